//! The one log: every durable change takes the next position, and readers are cursors into it.

use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::read::{Order, Read, StorageError};
use super::tables::{Position, RoomNum, Table, Write, tags};
use crate::identifiers::UserId;
use crate::random::Random;
use crate::time::Timestamp;

/// What happened at a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogEntry {
    /// An event was added to the room's timeline; `index` is its number within the room.
    Event { room: RoomNum, index: u32 },
    /// A receipt of the user moved in the room; a private one only they see.
    Receipt { room: RoomNum, user_id: UserId, private: bool },
    /// Account data of the user changed, in a room or globally.
    AccountData { user_id: UserId, room: Option<RoomNum>, kind: alloc::string::String },
    /// The user's membership of a room changed in a way that only they see (an invite, a knock, forgetting a room).
    Membership { user_id: UserId, room: RoomNum },
    /// The user's devices, their keys, or the user's cross-signing keys changed. The user may be of another server.
    DeviceList { user_id: UserId },
    /// Messages arrived for devices of these users.
    ToDevice { recipients: alloc::vec::Vec<UserId> },
}

const LOG: Table<Position, LogEntry> = Table::new(tags::LOG);

/// Adds an entry at a position that was just taken.
pub fn append(write: &mut dyn Write, position: Position, entry: &LogEntry) {
    LOG.put(write, position, entry);
}

/// The last position that was taken; zero on a new store.
pub fn last_position(read: &dyn Read) -> Result<Position, StorageError> {
    Ok(LOG.last(read)?.map(|row| row.0).unwrap_or_default())
}

/// The first position that a life of the server takes that begins now, and is not its first: whatever an earlier life has taken, though
/// the store has lost it because it is an older one, comes before. No life takes as many as there would be room for. Where it is known
/// that something was lost, the clock may have been ahead when it was, by a day at most; and what was restored may be restored again,
/// or be of a life that began ahead itself: what it lost came after `last`, the last position that the store has.
#[must_use]
pub fn first_position(boots: u32, now: Timestamp, last: Position, restored: Option<Random>) -> Position {
    if boots <= 1 {
        return Position(0);
    }
    let now = now.0.min(MAX_TIME);
    let begin = restored.map_or(now, |mut random| {
        let lost = (last.0 >> POSITIONS_PER_MILLISECOND) + 1;
        lost.max(now + A_DAY) + random.below(A_DAY)
    });
    Position(begin.min(MAX_TIME) << POSITIONS_PER_MILLISECOND)
}

/// In milliseconds.
const A_DAY: u64 = 24 * 3_600_000;

/// By how many bits milliseconds are shifted: 1024 positions in each.
const POSITIONS_PER_MILLISECOND: u32 = 10;
/// Positions are numbers in JSON too, so they stay below 2^53: until the year 2248.
const MAX_TIME: u64 = (1 << 43) - 1;

/// Whether a position was taken, as the store has it. One that it has lost, because it is an older store, was not.
pub fn is_taken(read: &(impl Read + ?Sized), position: Position) -> Result<bool, StorageError> {
    Ok(position == Position(0) || LOG.contains(read, position)?)
}

/// The entry at a position.
pub fn at(read: &(impl Read + ?Sized), position: Position) -> Result<Option<LogEntry>, StorageError> {
    LOG.get(read, position)
}

/// Visits the entries with `after < position <= until`, oldest first.
pub fn scan<E: From<StorageError>>(
    read: &dyn Read,
    after: Position,
    until: Position,
    visit: impl FnMut(Position, LogEntry) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    if after >= until {
        return Ok(());
    }
    LOG.scan_range(read, Position(after.0 + 1), Some(Position(until.0.saturating_add(1))), Order::Ascending, visit)
}
