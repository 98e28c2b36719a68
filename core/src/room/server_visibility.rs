//! What of a room's history another server may see (Client-Server API, "Room history visibility"), judged at the event: a server
//! sees what any of its users may see. Whether the server is in the room at all is asked before.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::history_visibility::{self, membership_in};
use super::state::Room;
use super::stored_event::StoredEvent;
use super::tables::EventIndex;
use crate::canonical_json::{self, Value};
use crate::event::content::{HistoryVisibility, Membership};
use crate::identifiers::ServerName;
use crate::store::state_map::StateId;
use crate::store::{Read, StorageError};

/// One server looking at one room. Remembers what it found for the last state, of which the next event's differs by little: so
/// a stretch of history costs one look at the members, and then what changes.
#[derive(Debug)]
pub struct ServerViewer<'a> {
    server: &'a ServerName,
    visibility: Option<(StateId, HistoryVisibility)>,
    members: Option<(StateId, BTreeMap<EventIndex, Membership>)>,
}

impl<'a> ServerViewer<'a> {
    #[must_use]
    pub fn new(server: &'a ServerName) -> ServerViewer<'a> {
        ServerViewer { server, visibility: None, members: None }
    }

    /// Whether the server, which is in the room now, may see `event`. The event's state must be known.
    pub fn sees(
        &mut self,
        read: &(impl Read + ?Sized),
        room: &Room,
        event: &StoredEvent,
    ) -> Result<bool, StorageError> {
        let header = &event.header;
        if header.sender.server_str() == self.server.as_str() {
            return Ok(true);
        }
        let before = self.visibility(read, room, header.state_before)?;
        let after = match header.state_key.as_deref() {
            Some("") if header.kind == "m.room.history_visibility" => visibility_in(event),
            _ => before,
        };
        // Whoever is in the room may see what was sent before they came, if it was shared.
        if before.max(after) >= HistoryVisibility::Shared {
            return Ok(true);
        }
        if let Some(membership) = self.own_membership(event) {
            // Its users are told when they are invited, join, leave or are put out.
            return Ok(membership != Membership::Knock);
        }
        let invited = before == HistoryVisibility::Invited || after == HistoryVisibility::Invited;
        let members = self.members(read, room, header.state_before)?;
        Ok(members.values().any(|membership| match membership {
            Membership::Join => true,
            Membership::Invite => invited,
            Membership::Knock | Membership::Leave | Membership::Ban => false,
        }))
    }

    /// The membership that the event gives one of the server's users.
    fn own_membership(&self, event: &StoredEvent) -> Option<Membership> {
        let user_id = event.header.state_key.as_deref().filter(|_| event.header.kind == "m.room.member")?;
        let (_, server) = user_id.split_once(':')?;
        if server == self.server.as_str() { membership_in(event) } else { None }
    }

    fn visibility(
        &mut self,
        read: &(impl Read + ?Sized),
        room: &Room,
        at: StateId,
    ) -> Result<HistoryVisibility, StorageError> {
        if let Some((state, visibility)) = self.visibility
            && state == at
        {
            return Ok(visibility);
        }
        let visibility = history_visibility::at(read, room, at)?;
        self.visibility = Some((at, visibility));
        Ok(visibility)
    }

    /// The memberships of the server's users in the state `at`.
    fn members(
        &mut self,
        read: &(impl Read + ?Sized),
        room: &Room,
        at: StateId,
    ) -> Result<&BTreeMap<EventIndex, Membership>, StorageError> {
        let (known, mut members) = self.members.take().unwrap_or((StateId::EMPTY, BTreeMap::new()));
        if known == StateId::EMPTY {
            for event in room.state_events(read, at, Some("m.room.member"))? {
                members.extend(self.own_membership(&event).map(|membership| (event.index, membership)));
            }
        } else if known != at {
            let mut came: Vec<EventIndex> = Vec::new();
            room.state_difference(read, known, at, &mut |from, to| {
                from.map(|index| members.remove(&index));
                came.extend(to);
            })?;
            came.sort_unstable();
            for event in StoredEvent::expect_all(read, room.num, &came)? {
                members.extend(self.own_membership(&event).map(|membership| (event.index, membership)));
            }
        }
        Ok(&self.members.insert((at, members)).1)
    }
}

/// The visibility that an `m.room.history_visibility` sets.
fn visibility_in(event: &StoredEvent) -> HistoryVisibility {
    match canonical_json::parse(event.content_bytes()) {
        Ok(Value::Object(content)) => HistoryVisibility::of(Some(&content)),
        _ => HistoryVisibility::of(None),
    }
}

#[cfg(test)]
mod tests;
