//! Whose devices a client has to look at anew (Client-Server API, "Tracking the device list for a user"): users who share a room
//! with it and changed theirs, or with whom it has come to share a room, or no longer does.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::json_writer::Members;
use super::answer::Inputs;
use super::changes::UserRooms;
use super::joined::was_joined;
use crate::canonical_json::{Object, Value};
use crate::encryption::device_lists;
use crate::event::content::Membership;
use crate::identifiers::UserId;
use crate::room::history_visibility::membership_in;
use crate::room::tables::UserRoom;
use crate::room::timeline::{self, Place};
use crate::room::{EventIndex, Room, StoredEvent, membership};
use crate::store::state_map::StateId;
use crate::store::tables::{Position, RoomNum};
use crate::store::{Read, StorageError};

/// What changed for a user between two positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceLists {
    pub changed: BTreeSet<UserId>,
    pub left: BTreeSet<UserId>,
}

impl DeviceLists {
    /// For a sync. A client that knows nothing yet asks for everybody anyway.
    pub(super) fn of(sync: &Inputs<'_>) -> Result<DeviceLists, StorageError> {
        let Some(since) = sync.since else { return Ok(DeviceLists::default()) };
        let read = sync.context.read;
        let user = (&sync.requester.user_id, sync.rooms);
        match sync.changes {
            Some(changes) => {
                let rooms = changes.rooms.iter().filter(|(_, change)| change.events).map(|(num, _)| *num);
                DeviceLists::since(read, user, (rooms, &changes.device_lists), since)
            }
            None => {
                let updated = device_lists::changed_since(read, since)?;
                DeviceLists::since(read, user, (sync.rooms.0.keys().copied(), &updated), since)
            }
        }
    }

    /// For a user who is in `rooms`: from the rooms in which there were events, and the users whose devices changed.
    pub fn since<'u>(
        read: &dyn Read,
        (user_id, rooms): (&UserId, &UserRooms),
        (with_events, updated): (impl Iterator<Item = RoomNum>, impl IntoIterator<Item = &'u UserId>),
        since: Position,
    ) -> Result<DeviceLists, StorageError> {
        let mut lists = DeviceLists::default();
        for other in updated {
            if other == user_id || shares_a_room(read, rooms, other)? {
                lists.changed.insert(other.clone());
            }
        }
        let mut gone = BTreeSet::new();
        for num in with_events {
            if let Some(row) = rooms.0.get(&num) {
                lists.look_at(read, (user_id, num, row), since, &mut gone)?;
            }
        }
        for other in gone {
            if other != *user_id && !lists.changed.contains(&other) && !shares_a_room(read, rooms, &other)? {
                lists.left.insert(other);
            }
        }
        Ok(lists)
    }

    /// Finds who came into a room of the user, or with the user into the room; and who, or with whom the user, left it.
    fn look_at(
        &mut self,
        read: &dyn Read,
        (user_id, num, row): (&UserId, RoomNum, &UserRoom),
        since: Position,
        gone: &mut BTreeSet<UserId>,
    ) -> Result<(), StorageError> {
        let is_in = row.membership == Membership::Join;
        if !is_in && row.position <= since {
            return Ok(());
        }
        let room = Room::expect(read, num)?;
        let was_in =
            is_in && row.joined_at.is_some_and(|joined| joined <= since) || was_joined(read, &room, user_id, since)?;
        match (was_in, is_in) {
            (true, true) => {
                let before = timeline::state_at(read, &room, Place::after(since))?;
                if before != room.head.state {
                    self.compare(read, &room, (before, room.head.state), gone)?;
                }
            }
            (false, true) => {
                // Of the user's own devices a room says nothing.
                let members = joined_members(read, &room, room.head.state)?;
                self.changed.extend(members.into_iter().filter(|other| other != user_id));
            }
            (true, false) => {
                gone.extend(joined_members(read, &room, timeline::state_at(read, &room, Place::after(since))?)?);
            }
            (false, false) => {}
        }
        Ok(())
    }

    fn compare(
        &mut self,
        read: &dyn Read,
        room: &Room,
        (before, after): (StateId, StateId),
        gone: &mut BTreeSet<UserId>,
    ) -> Result<(), StorageError> {
        let mut changes = Vec::new();
        room.state_difference(read, before, after, &mut |was, is| changes.push((was, is)))?;
        for (was, is) in changes {
            let was = was.map(|index| StoredEvent::expect(read, room.num, index)).transpose()?;
            let is = is.map(|index| StoredEvent::expect(read, room.num, index)).transpose()?;
            let Some(user_id) = is.as_ref().or(was.as_ref()).and_then(member) else { continue };
            let joined = |event: &Option<StoredEvent>| event.as_ref().and_then(membership_in) == Some(Membership::Join);
            match (joined(&was), joined(&is)) {
                (false, true) => {
                    self.changed.insert(user_id);
                }
                (true, false) => {
                    gone.insert(user_id);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }

    /// As in `device_lists`, and as `/keys/changes` answers.
    #[must_use]
    pub fn describe(&self) -> Object {
        let names = |users: &BTreeSet<UserId>| Value::from(users.iter().map(ToString::to_string).collect::<Vec<_>>());
        Object::new().with("changed", names(&self.changed)).with("left", names(&self.left))
    }

    /// Appends the section, if there is anything in it.
    pub(super) fn write(&self, members: &mut Members<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        self.describe().encode(members.name("device_lists"));
        true
    }
}

fn shares_a_room(read: &dyn Read, rooms: &UserRooms, other: &UserId) -> Result<bool, StorageError> {
    Ok(membership::joined_rooms_of(read, other)?.into_iter().any(|room| rooms.is_joined(room)))
}

/// Whose membership an event is.
fn member(event: &StoredEvent) -> Option<UserId> {
    let state_key = event.header.state_key.as_deref().filter(|_| event.header.kind == "m.room.member")?;
    UserId::parse(state_key).ok()
}

fn joined_members(read: &dyn Read, room: &Room, state: StateId) -> Result<Vec<UserId>, StorageError> {
    let mut indices: Vec<EventIndex> = Vec::new();
    room.walk_state(read, state, Some("m.room.member"), &mut |index| {
        indices.push(index);
        ControlFlow::Continue(())
    })?;
    indices.sort_unstable();
    let events = StoredEvent::expect_all(read, room.num, &indices)?;
    Ok(events.iter().filter(|event| membership_in(event) == Some(Membership::Join)).filter_map(member).collect())
}
