//! Receipts (Client-Server API, "Receipts"): how far each user has read, by type and thread.
//!
//! Each receipt takes a position of its own, and a room's receipts lie in the order of those: what is new since any position
//! is one short scan, however many members the room has.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::state::Room;
use crate::flow::{Notice, Step};
use crate::identifiers::{EventId, ServerName, UserId};
use crate::store::log::{self, LogEntry};
use crate::store::tables::{Position, RoomNum, RoomTable, room_tags};
use crate::store::{Order, Read, StorageError};
use crate::time::Timestamp;

/// The types of receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReceiptKind {
    /// `m.read`, which every member sees.
    Read,
    /// `m.read.private`, which only its user sees.
    ReadPrivate,
}

impl ReceiptKind {
    #[must_use]
    pub fn parse(text: &str) -> Option<ReceiptKind> {
        match text {
            "m.read" => Some(ReceiptKind::Read),
            "m.read.private" => Some(ReceiptKind::ReadPrivate),
            _ => None,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ReceiptKind::Read => "m.read",
            ReceiptKind::ReadPrivate => "m.read.private",
        }
    }

    const fn key(self) -> u8 {
        match self {
            ReceiptKind::Read => 0,
            ReceiptKind::ReadPrivate => 1,
        }
    }
}

/// How far a user has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub kind: ReceiptKind,
    pub user_id: UserId,
    /// `thread_id`: the event ID of a thread's root, or `main`; `None` is unthreaded.
    pub thread_id: Option<String>,
    pub event_id: EventId,
    /// The place of that event in the timeline.
    pub order: i64,
    pub ts: Timestamp,
}

impl Receipt {
    /// Whether `user_id` may know of it.
    #[must_use]
    pub fn is_for(&self, user_id: &UserId) -> bool {
        self.kind == ReceiptKind::Read || self.user_id == *user_id
    }
}

/// By type, user and thread (empty for unthreaded): where the receipt is.
const RECEIPTS: RoomTable<(u8, UserId, String), Position> = RoomTable::new(room_tags::RECEIPT);
const BY_POSITION: RoomTable<Position, Receipt> = RoomTable::new(room_tags::RECEIPT_BY_POSITION);

/// Moves a receipt forward. One that is there already, or further, stays: a slow device does not undo what another has read.
pub fn advance(step: &mut Step<'_>, room: &Room, receipt: &Receipt) -> Result<(), StorageError> {
    let key = (receipt.kind.key(), &receipt.user_id, receipt.thread_id.as_deref().unwrap_or(""));
    if let Some(position) = RECEIPTS.get(step, room.num, key)? {
        let old = BY_POSITION.get(step, room.num, position)?;
        if old.is_some_and(|old| old.order >= receipt.order) {
            return Ok(());
        }
        BY_POSITION.delete(step, room.num, position);
    }
    let position = step.next_position();
    RECEIPTS.put(step, room.num, key, &position);
    BY_POSITION.put(step, room.num, position, receipt);
    let private = receipt.kind == ReceiptKind::ReadPrivate;
    log::append(step, position, &LogEntry::Receipt { room: room.num, user_id: receipt.user_id.clone(), private });
    if receipt.user_id.server_str() == step.config.server_name.as_str() {
        step.notify(Notice::Read { user_id: receipt.user_id.clone(), room: room.num });
    }
    step.notify(if private { Notice::User(receipt.user_id.clone()) } else { Notice::Room(room.num) });
    Ok(())
}

/// Visits the receipts that moved after `since`, oldest first.
pub fn scan_since(
    read: &(impl Read + ?Sized),
    room: RoomNum,
    since: Position,
    mut visit: impl FnMut(Receipt),
) -> Result<(), StorageError> {
    let range = (Position(since.0 + 1), None::<Position>);
    BY_POSITION.scan_range::<StorageError>(read, room, range, Order::Ascending, |_, receipt| {
        visit(receipt);
        Ok(ControlFlow::Continue(()))
    })
}

/// The receipt that was moved at a position, if it has not moved since.
pub fn at(read: &(impl Read + ?Sized), room: RoomNum, position: Position) -> Result<Option<Receipt>, StorageError> {
    BY_POSITION.get(read, room, position)
}

/// The receipts of a server's users that every member sees and that moved at `from <= position < to`, oldest first, at most
/// `most` of them.
pub fn public_of_server(
    read: &(impl Read + ?Sized),
    room: RoomNum,
    (from, to): (Position, Position),
    server: &ServerName,
    most: usize,
) -> Result<Vec<Receipt>, StorageError> {
    let mut receipts = Vec::new();
    BY_POSITION.scan_range::<StorageError>(read, room, (from, Some(to)), Order::Ascending, |_, receipt| {
        if receipt.kind == ReceiptKind::Read && receipt.user_id.server_str() == server.as_str() {
            receipts.push(receipt);
        }
        Ok(if receipts.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(receipts)
}

/// The newest receipts, at most `limit` of them, newest first.
pub fn newest(read: &(impl Read + ?Sized), room: RoomNum, limit: usize) -> Result<Vec<Receipt>, StorageError> {
    let mut receipts = Vec::new();
    if limit == 0 {
        return Ok(receipts);
    }
    BY_POSITION.scan::<StorageError>(read, room, (), Order::Descending, |_, receipt| {
        receipts.push(receipt);
        Ok(if receipts.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(receipts)
}

/// Every receipt of one user, and when it moved last.
pub fn of_user(
    read: &(impl Read + ?Sized),
    room: RoomNum,
    user_id: &UserId,
) -> Result<Vec<(Position, Receipt)>, StorageError> {
    let mut positions = Vec::new();
    for kind in [ReceiptKind::Read, ReceiptKind::ReadPrivate] {
        RECEIPTS.scan::<StorageError>(read, room, (kind.key(), user_id), Order::Ascending, |_, position| {
            positions.push(position);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    let mut receipts = Vec::with_capacity(positions.len());
    for position in positions {
        receipts.extend(BY_POSITION.get(read, room, position)?.map(|receipt| (position, receipt)));
    }
    Ok(receipts)
}

/// Whether any receipt moved after `since`.
pub fn any_since(read: &(impl Read + ?Sized), room: RoomNum, since: Position) -> Result<bool, StorageError> {
    let mut any = false;
    BY_POSITION.scan::<StorageError>(read, room, (), Order::Descending, |position, _| {
        any = position > since;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(any)
}
