//! Typed tables in the one ordered map, and the registry of their tags.
//!
//! A key of a server-wide table is `tag, parts…`; a key of a room's table is `0x80, room number, tag, parts…`, so that all
//! of a room lies together and could be moved as a whole.

use alloc::vec::Vec;
use bytes::Bytes;
use core::marker::PhantomData;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::codec::{Decode, Key, KeyReader, Record};
use super::read::{Order, Read, StorageError};

/// The schema that this code reads and writes. A store with another one is upgraded or refused at start.
pub const SCHEMA: u32 = 3;

/// The tags of the server-wide tables, in one place so that none is used twice.
pub mod tags {
    pub const META: u8 = 0x01;
    pub const LOG: u8 = 0x02;
    pub const ROOM_BY_ID: u8 = 0x03;
    pub const EVENT_BY_ID: u8 = 0x04;
    pub const ROOM_COUNT: u8 = 0x05;
    pub const ACCOUNT: u8 = 0x10;
    pub const DEVICE: u8 = 0x11;
    pub const ACCESS_TOKEN: u8 = 0x12;
    pub const REFRESH_TOKEN: u8 = 0x13;
    pub const PROFILE: u8 = 0x14;
    pub const ACCOUNT_DATA: u8 = 0x15;
    pub const FILTER: u8 = 0x16;
    pub const USER_ROOM: u8 = 0x17;
    pub const TRANSACTION: u8 = 0x18;
    pub const PRESENCE: u8 = 0x19;
    pub const REGISTRATION_TOKEN: u8 = 0x1a;
    pub const UIA_SESSION: u8 = 0x1b;
    pub const UIA_NEXT_SLOT: u8 = 0x1c;
    pub const LOGIN_TOKEN: u8 = 0x1d;
    pub const ACCOUNT_DATA_BY_POSITION: u8 = 0x1e;
    pub const PUSH_RULES: u8 = 0x1f;
    pub const OPENID_TOKEN: u8 = 0x40;
    pub const REMOTE_SPACE: u8 = 0x41;
    pub const ALIAS: u8 = 0x20;
    pub const PUBLIC_ROOM: u8 = 0x21;
    pub const PUBLIC_ROOM_BY_SIZE: u8 = 0x22;
    pub const HOLE: u8 = 0x23;
    pub const PARTING: u8 = 0x24;
    pub const REMOTE_SERVER: u8 = 0x28;
    pub const REMOTE_SERVER_SLOT: u8 = 0x29;
    pub const REMOTE_SERVER_NEXT_SLOT: u8 = 0x2a;
    pub const SERVER_KEY: u8 = 0x2b;
    pub const SERVER_KEYS_ANSWER: u8 = 0x2c;
    pub const DESTINATION: u8 = 0x38;
    pub const MISSED_ROOM: u8 = 0x39;
    pub const QUEUED_EDU: u8 = 0x3a;
    pub const ROUTED: u8 = 0x3b;
    pub const SEEN_MESSAGE: u8 = 0x4b;
    pub const SEEN_MESSAGE_SLOT: u8 = 0x4c;
    pub const SEEN_MESSAGE_NEXT_SLOT: u8 = 0x4d;
    pub const DEVICE_KEYS: u8 = 0x50;
    pub const DEVICE_KEY_COUNTS: u8 = 0x51;
    pub const ONE_TIME_KEY: u8 = 0x52;
    pub const ONE_TIME_KEY_BY_ID: u8 = 0x53;
    pub const FALLBACK_KEY: u8 = 0x54;
    pub const DEVICE_LIST: u8 = 0x55;
    pub const DEVICE_LIST_BY_POSITION: u8 = 0x56;
    pub const TO_DEVICE: u8 = 0x57;
    pub const TO_DEVICE_COUNT: u8 = 0x58;
    pub const TO_DEVICE_TRANSACTION: u8 = 0x59;
    pub const CROSS_SIGNING_KEY: u8 = 0x5c;
    pub const KEY_SIGNATURE: u8 = 0x5d;
    pub const REMOTE_DEVICE_LIST: u8 = 0x5e;
    pub const REMOTE_DEVICE: u8 = 0x5f;
    pub const LIST_READER: u8 = 0x5a;
    pub const LIST_READER_SLOT: u8 = 0x5b;
    pub const LIST_READER_NEXT_SLOT: u8 = 0x60;
    pub const RESTORED: u8 = 0x61;
    pub const LIST_CHANGE: u8 = 0x62;
    pub const ERRAND: u8 = 0x30;
    pub const ERASED: u8 = 0x31;
    pub const RECEIVED_TRANSACTION: u8 = 0x32;
}

/// The tags of the tables that each room has. What every event changes has neighbouring tags: the newest event is the last
/// row of its table, the head follows it, and the timeline begins with its newest row.
pub mod room_tags {
    pub const INFO: u8 = 0x01;
    pub const ALIAS: u8 = 0x02;
    pub const STATE_NODE: u8 = 0x03;
    pub const RECEIPT: u8 = 0x04;
    pub const RECEIPT_BY_POSITION: u8 = 0x05;
    pub const AUTH_CHAIN: u8 = 0x06;
    pub const SERVER: u8 = 0x07;
    pub const REASON: u8 = 0x08;
    pub const MISSING: u8 = 0x09;
    pub const EARLY_REDACTION: u8 = 0x0a;
    pub const RELAYED: u8 = 0x0b;
    pub const OUTSIDE: u8 = 0x0c;
    pub const FILLING: u8 = 0x0d;
    pub const MILESTONE: u8 = 0x0e;
    pub const SAID_VERSION: u8 = 0x0f;
    pub const EVENT: u8 = 0x10;
    pub const HEAD: u8 = 0x11;
    pub const TIMELINE: u8 = 0x12;
    pub const FILLED: u8 = 0x13;
}

const ROOM_PREFIX: u8 = 0x80;

/// The room that a key belongs to.
#[must_use]
pub(crate) fn room_of(key: &[u8]) -> Option<RoomNum> {
    let (&ROOM_PREFIX, rest) = key.split_first()? else { return None };
    RoomNum::read(&mut KeyReader(rest)).ok()
}

/// A room on this server, as a small integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoomNum(pub u32);

/// A place in the server-wide stream of durable changes. A sync token is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// The order that an event added now has in its room's timeline.
    #[must_use]
    pub fn order(self) -> i64 {
        i64::try_from(self.0).expect("positions stay far below 2^63")
    }
}

impl Key for RoomNum {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
}
impl Decode for RoomNum {
    fn read(from: &mut KeyReader<'_>) -> Result<RoomNum, StorageError> {
        u32::read(from).map(RoomNum)
    }
}
impl Key for Position {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
}
impl Decode for Position {
    fn read(from: &mut KeyReader<'_>) -> Result<Position, StorageError> {
        u64::read(from).map(Position)
    }
}

/// Where a step's writes go.
pub trait Write: Read {
    fn write(&mut self, key: Vec<u8>, value: Option<Bytes>);
}

/// A server-wide table.
#[derive(Debug)]
pub struct Table<K, V> {
    tag: u8,
    marker: PhantomData<fn(K) -> V>,
}

/// A table that every room has.
#[derive(Debug)]
pub struct RoomTable<K, V> {
    tag: u8,
    marker: PhantomData<fn(K) -> V>,
}

impl<K: Decode, V: Record> Table<K, V> {
    #[must_use]
    pub const fn new(tag: u8) -> Table<K, V> {
        assert!(tag < ROOM_PREFIX, "tags of rooms begin here");
        Table { tag, marker: PhantomData }
    }

    fn prefix(&self, key: impl Key) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.push(self.tag);
        key.write(&mut out);
        out
    }

    pub fn get(&self, read: &(impl Read + ?Sized), key: impl Key) -> Result<Option<V>, StorageError> {
        read.get(&self.prefix(key))?.map(|bytes| V::decode(&bytes)).transpose()
    }
    pub fn contains(&self, read: &(impl Read + ?Sized), key: impl Key) -> Result<bool, StorageError> {
        Ok(read.get(&self.prefix(key))?.is_some())
    }
    pub fn put(&self, write: &mut (impl Write + ?Sized), key: impl Key, value: &V) {
        write.write(self.prefix(key), Some(value.encode().into()));
    }
    pub fn delete(&self, write: &mut (impl Write + ?Sized), key: impl Key) {
        write.write(self.prefix(key), None);
    }

    /// Visits the rows whose keys begin with the parts of `prefix`.
    pub fn scan<E: From<StorageError>>(
        &self,
        read: &(impl Read + ?Sized),
        prefix: impl Key,
        order: Order,
        visit: impl FnMut(K, V) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let from = self.prefix(prefix);
        let to = after(&from);
        scan_decoded(read, (&from, &to), 1, order, visit)
    }

    /// Visits the rows with `from <= key < to`; `None` is the end of the table.
    pub fn scan_range<E: From<StorageError>>(
        &self,
        read: &(impl Read + ?Sized),
        from: impl Key,
        to: Option<impl Key>,
        order: Order,
        visit: impl FnMut(K, V) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let from = self.prefix(from);
        let to = to.map_or_else(|| after(&[self.tag]), |to| self.prefix(to));
        scan_decoded(read, (&from, &to), 1, order, visit)
    }

    /// The last row of the table.
    pub fn last(&self, read: &(impl Read + ?Sized)) -> Result<Option<(K, V)>, StorageError> {
        let mut last = None;
        self.scan::<StorageError>(read, (), Order::Descending, |key, value| {
            last = Some((key, value));
            Ok(ControlFlow::Break(()))
        })?;
        Ok(last)
    }
}

impl<K: Decode, V: Record> RoomTable<K, V> {
    #[must_use]
    pub const fn new(tag: u8) -> RoomTable<K, V> {
        RoomTable { tag, marker: PhantomData }
    }

    fn prefix(&self, room: RoomNum, key: impl Key) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        out.push(ROOM_PREFIX);
        room.write(&mut out);
        out.push(self.tag);
        key.write(&mut out);
        out
    }

    pub fn get(&self, read: &(impl Read + ?Sized), room: RoomNum, key: impl Key) -> Result<Option<V>, StorageError> {
        self.get_bytes(read, room, key)?.map(|bytes| V::decode(&bytes)).transpose()
    }
    pub fn contains(&self, read: &(impl Read + ?Sized), room: RoomNum, key: impl Key) -> Result<bool, StorageError> {
        Ok(self.get_bytes(read, room, key)?.is_some())
    }
    /// The row as it is stored.
    pub fn get_bytes(
        &self,
        read: &(impl Read + ?Sized),
        room: RoomNum,
        key: impl Key,
    ) -> Result<Option<Bytes>, StorageError> {
        read.get(&self.prefix(room, key))
    }
    pub fn put(&self, write: &mut (impl Write + ?Sized), room: RoomNum, key: impl Key, value: &V) {
        self.put_bytes(write, room, key, value.encode().into());
    }
    pub fn put_bytes(&self, write: &mut (impl Write + ?Sized), room: RoomNum, key: impl Key, value: Bytes) {
        write.write(self.prefix(room, key), Some(value));
    }
    pub fn delete(&self, write: &mut (impl Write + ?Sized), room: RoomNum, key: impl Key) {
        write.write(self.prefix(room, key), None);
    }

    /// Visits the rows whose keys begin with the parts of `prefix`.
    pub fn scan<E: From<StorageError>>(
        &self,
        read: &(impl Read + ?Sized),
        room: RoomNum,
        prefix: impl Key,
        order: Order,
        visit: impl FnMut(K, V) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let from = self.prefix(room, prefix);
        let to = after(&from);
        scan_decoded(read, (&from, &to), 6, order, visit)
    }

    /// Visits the rows with `from <= key < to` as they are stored.
    pub fn scan_bytes<E: From<StorageError>>(
        &self,
        read: &(impl Read + ?Sized),
        room: RoomNum,
        (from, to): (impl Key, impl Key),
        mut visit: impl FnMut(K, &[u8]) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let (from, to) = (self.prefix(room, from), self.prefix(room, to));
        scan_raw(read, (&from, &to), 6, Order::Ascending, &mut |key, value| visit(K::read(&mut KeyReader(key))?, value))
    }

    /// Visits the rows with `from <= key < to`; `None` is the end of the table.
    pub fn scan_range<E: From<StorageError>>(
        &self,
        read: &(impl Read + ?Sized),
        room: RoomNum,
        (from, to): (impl Key, Option<impl Key>),
        order: Order,
        visit: impl FnMut(K, V) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let from = self.prefix(room, from);
        let to = to.map_or_else(|| after(&self.prefix(room, ())), |to| self.prefix(room, to));
        scan_decoded(read, (&from, &to), 6, order, visit)
    }
}

/// The first key after all that begin with `prefix`.
fn after(prefix: &[u8]) -> Vec<u8> {
    let mut out = prefix.to_vec();
    while let Some(last) = out.pop() {
        if last < 0xff {
            out.push(last + 1);
            return out;
        }
    }
    unreachable!("tags are below 0xff, so a prefix always has a successor")
}

fn scan_decoded<K: Decode, V: Record, E: From<StorageError>>(
    read: &(impl Read + ?Sized),
    range: (&[u8], &[u8]),
    skip: usize,
    order: Order,
    mut visit: impl FnMut(K, V) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    scan_raw(read, range, skip, order, &mut |key, value| visit(K::read(&mut KeyReader(key))?, V::decode(value)?))
}

/// Takes a row's key and value, and says whether to go on.
type VisitRow<'v, E> = &'v mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, E>;

/// Visits rows with what is left of their keys after `skip` bytes, until an error.
fn scan_raw<E: From<StorageError>>(
    read: &(impl Read + ?Sized),
    (from, to): (&[u8], &[u8]),
    skip: usize,
    order: Order,
    visit: VisitRow<'_, E>,
) -> Result<(), E> {
    let mut result = Ok(());
    read.scan(from, to, order, &mut |key, value| match visit(&key[skip..], value) {
        Ok(flow) => flow,
        Err(error) => {
            result = Err(error);
            ControlFlow::Break(())
        }
    })?;
    result
}
