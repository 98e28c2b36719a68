//! The graph of `auth_events`, kept so that questions about auth chains cost what they are about and not what the room is.
//!
//! Each state event of a room has one row: the key under which it stands in a state, and its auth events as indices. Whoever
//! stores a state event (accepted or not, outlier or not) calls [`insert`] in the same step, after its auth events were
//! stored; so an event's auth events have lower indices than the event, and the order of indices is a topological order of the
//! graph. Everything here and in `state_res` goes through the graph from the newest index down and therefore never looks at an
//! event twice, and stops where the rest is known to be shared.
//!
//! Events that are no state events have no row: nobody can cite them as auth events.
//!
//! - [`insert`] writes an event's row.
//! - [`chain_of_events`] lists the auth chain of events: what `/event_auth` answers.
//! - [`chain_of_state`] lists the full auth chain of a state: what `/send_join` and `/state` answer beside the state.
//! - [`AuthChains`] is what `state_res` reads; [`RoomAuthChains`] is a room's.

mod walk;

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::codec::Record;
use super::state_map::StateKeyHash;
use super::tables::{RoomNum, RoomTable, Write, room_tags};
use super::{Order, Read, StorageError};
use crate::limits::MAX_AUTH_EVENTS;

pub use walk::{chain_of_events, chain_of_state};

#[cfg(test)]
mod tests;

const AUTH_CHAIN: RoomTable<u32, AuthRow> = RoomTable::new(room_tags::AUTH_CHAIN);

/// What the graph knows of a state event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthRow {
    /// Where the event stands in states that have it.
    pub key: StateKeyHash,
    auth: [u32; MAX_AUTH_EVENTS],
    len: u8,
}

impl AuthRow {
    /// The row of a state event whose auth events are `auth`.
    ///
    /// # Panics
    /// With more than [`MAX_AUTH_EVENTS`], which the event format refuses.
    #[must_use]
    pub fn new(key: StateKeyHash, auth: &[u32]) -> AuthRow {
        let mut row = AuthRow { key, auth: [0; MAX_AUTH_EVENTS], len: auth.len() as u8 };
        row.auth[..auth.len()].copy_from_slice(auth);
        row
    }

    /// The indices of its auth events, each lower than its own.
    #[must_use]
    pub fn auth_events(&self) -> &[u32] {
        &self.auth[..usize::from(self.len)]
    }
}

/// The graph of one room, as it is read.
pub trait AuthChains {
    /// The row of a state event.
    ///
    /// # Errors
    /// Storage failed, or the event has no row.
    fn row(&self, index: u32) -> Result<AuthRow, StorageError>;

    /// Visits the rows of all events with higher indices than `index`, the newest first, until `visit` says to stop.
    ///
    /// # Errors
    /// Storage failed, or a row is malformed.
    fn newer_than(
        &self,
        index: u32,
        visit: &mut dyn FnMut(u32, &AuthRow) -> ControlFlow<()>,
    ) -> Result<(), StorageError>;
}

/// The graph of a room in storage.
#[derive(Debug)]
pub struct RoomAuthChains<'r, R: ?Sized> {
    pub read: &'r R,
    pub room: RoomNum,
}

impl<R: Read + ?Sized> AuthChains for RoomAuthChains<'_, R> {
    fn row(&self, index: u32) -> Result<AuthRow, StorageError> {
        let row = AUTH_CHAIN.get(self.read, self.room, index)?;
        let row = row.ok_or_else(|| {
            StorageError(alloc::format!("event {index} of room {} is not in the graph of auth events", self.room.0))
        })?;
        row.below(index)
    }

    fn newer_than(
        &self,
        index: u32,
        visit: &mut dyn FnMut(u32, &AuthRow) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let Some(from) = index.checked_add(1) else { return Ok(()) };
        AUTH_CHAIN.scan_range(self.read, self.room, (from, None::<u32>), Order::Descending, |index, row| {
            Ok(visit(index, &row.below(index)?))
        })
    }
}

/// Writes the row of the state event `index` of type `kind`.
///
/// # Panics
/// If an auth event is not stored before the event, or there are more than [`MAX_AUTH_EVENTS`].
pub fn insert(
    write: &mut (impl Write + ?Sized),
    room: RoomNum,
    index: u32,
    (kind, state_key): (&str, &str),
    auth_events: &[u32],
) {
    assert!(auth_events.iter().all(|auth| *auth < index), "auth events are stored before the events that cite them");
    // Distances are shorter than indices.
    let distances: Vec<u32> = auth_events.iter().map(|auth| index - auth).collect();
    AUTH_CHAIN.put(write, room, index, &AuthRow::new(StateKeyHash::new(kind, state_key), &distances));
}

impl AuthRow {
    /// A row as it is stored, with distances made into indices.
    fn below(mut self, index: u32) -> Result<AuthRow, StorageError> {
        for auth in &mut self.auth[..usize::from(self.len)] {
            *auth = index.checked_sub(*auth).filter(|auth| *auth < index).ok_or_else(malformed)?;
        }
        Ok(self)
    }
}

/// The key, then each number in LEB128.
impl Record for AuthRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + 3 * usize::from(self.len));
        out.extend_from_slice(&self.key.to_bytes());
        for &auth in self.auth_events() {
            let mut rest = auth;
            while rest >= 0x80 {
                out.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            out.push(rest as u8);
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<AuthRow, StorageError> {
        let (key, mut rest) = bytes.split_first_chunk::<16>().ok_or_else(malformed)?;
        let mut row = AuthRow::new(StateKeyHash::from_bytes(*key), &[]);
        while !rest.is_empty() {
            let len = rest.iter().position(|byte| *byte < 0x80).ok_or_else(malformed)? + 1;
            let (number, after) = rest.split_at(len);
            let place = row.auth.get_mut(usize::from(row.len)).ok_or_else(malformed)?;
            let number = number.iter().rev().fold(0u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
            *place = u32::try_from(number).map_err(|_| malformed())?;
            row.len += 1;
            rest = after;
        }
        Ok(row)
    }
}

fn malformed() -> StorageError {
    StorageError("a row of the graph of auth events is malformed".into())
}
