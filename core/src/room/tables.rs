//! What is stored of a room.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::reason::Reason;
use crate::event::content::Membership;
use crate::identifiers::{EventId, RoomId, ServerName, UserId};
use crate::room_version::RoomVersion;
use crate::store::state_map::StateId;
use crate::store::tables::{Position, RoomNum, RoomTable, Table, room_tags, tags};
use crate::store::{Decode, Key, KeyReader, StorageError};
use crate::time::Timestamp;

/// An event as a small integer: its number within its room, in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventIndex(pub u32);

impl Key for EventIndex {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
}
impl Decode for EventIndex {
    fn read(from: &mut KeyReader<'_>) -> Result<EventIndex, StorageError> {
        u32::read(from).map(EventIndex)
    }
}

/// A place in the timeline: the position for events that arrived live, negative numbers for history fetched later. Keys sort
/// the newest first, so that a room's newest rows lie beside its head and its newest event, and one page of disk holds what
/// an event changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimelineKey(pub i64);

impl Key for TimelineKey {
    fn write(&self, out: &mut Vec<u8>) {
        (!self.0).write(out);
    }
}
impl Decode for TimelineKey {
    fn read(from: &mut KeyReader<'_>) -> Result<TimelineKey, StorageError> {
        i64::read(from).map(|key| TimelineKey(!key))
    }
}

/// What never changes of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomInfo {
    pub room_id: RoomId,
    pub version: RoomVersion,
}

/// What every event changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomHead {
    /// The index that the next event takes.
    pub next_index: u32,
    /// The forward extremities: what the next event's `prev_events` name.
    pub extremities: Vec<EventIndex>,
    /// The greatest depth of an extremity.
    pub depth: i64,
    /// The depth of the event by which this server came into the room: what lies below is history, fetched when somebody asks for
    /// it and never received as new.
    pub since_depth: i64,
    /// The current state: where the states after the forward extremities meet.
    pub state: StateId,
    /// They have too much in conflict to be resolved: `state` is what it was before that.
    pub unresolved: bool,
    /// When the last event of the timeline was added.
    pub last: Position,
    /// Members by membership, as the room summary counts them.
    pub joined: u32,
    pub invited: u32,
    /// The joined members that are users of this server.
    pub local_joined: u32,
}

/// A user's own view of a room: one row for each room that a local user ever had a membership of. Users of other servers have
/// one for each room that they are joined to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRoom {
    pub membership: Membership,
    /// The member event that says so.
    pub event: EventIndex,
    /// When that event was added.
    pub position: Position,
    /// When the user last joined, if they ever did.
    pub joined_at: Option<Position>,
    /// The user asked to forget the room: it is gone from `/sync` and `/messages` refuses.
    pub forgotten: bool,
}

/// A server that is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInRoom {
    /// How many of its users are joined.
    pub members: u32,
    /// Since when the first of them is, without a break.
    pub since: Position,
}

pub const ROOM_BY_ID: Table<RoomId, RoomNum> = Table::new(tags::ROOM_BY_ID);
/// The number that the next room takes.
pub(super) const ROOM_COUNT: Table<(), u32> = Table::new(tags::ROOM_COUNT);
pub const EVENT_BY_ID: Table<String, (RoomNum, EventIndex)> = Table::new(tags::EVENT_BY_ID);
/// By user, then room.
pub const USER_ROOMS: Table<(UserId, RoomNum), UserRoom> = Table::new(tags::USER_ROOM);

pub const INFO: RoomTable<(), RoomInfo> = RoomTable::new(room_tags::INFO);
pub const HEAD: RoomTable<(), RoomHead> = RoomTable::new(room_tags::HEAD);
/// The rows are [`super::stored_event::StoredEvent`]s.
pub(super) const EVENTS: RoomTable<EventIndex, ()> = RoomTable::new(room_tags::EVENT);
/// By place in the timeline, the newest first.
pub(super) const TIMELINE: RoomTable<TimelineKey, EventIndex> = RoomTable::new(room_tags::TIMELINE);
/// Places in the timeline that lie about [`crate::limits::UNREAD_STRETCH`] events apart.
pub(super) const MILESTONES: RoomTable<TimelineKey, ()> = RoomTable::new(room_tags::MILESTONE);
/// The nodes of the room's states.
pub(super) const STATE_NODES: RoomTable<[u8; 16], ()> = RoomTable::new(room_tags::STATE_NODE);
/// The servers that have joined members.
pub const SERVERS: RoomTable<ServerName, ServerInRoom> = RoomTable::new(room_tags::SERVER);
/// Why events are rejected or soft-failed.
pub(super) const REASONS: RoomTable<EventIndex, Reason> = RoomTable::new(room_tags::REASON);
/// The events that accepted events name as previous ones and that are not in the graph here: what lies there is a gap.
pub(super) const MISSING: RoomTable<EventId, ()> = RoomTable::new(room_tags::MISSING);
/// The redactions that came before what they redact.
pub(super) const EARLY_REDACTIONS: RoomTable<EventId, Vec<EventIndex>> = RoomTable::new(room_tags::EARLY_REDACTION);
/// The events that are in the state which this server was told when it came into a room, and that could not be checked then.
pub(super) const HOLES: Table<(RoomNum, EventId), Timestamp> = Table::new(tags::HOLE);
/// Those of them that are here by now, and that the current state may not have yet.
pub(super) const FILLINGS: RoomTable<EventIndex, ()> = RoomTable::new(room_tags::FILLING);
/// Those of them that the current state has had, from when on. States that were stored before have not.
pub(super) const FILLED: RoomTable<EventIndex, Timestamp> = RoomTable::new(room_tags::FILLED);
