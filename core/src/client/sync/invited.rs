//! A room that the user is invited to or has knocked on, in a sync: its stripped state (Client-Server API, "Stripped state").

use alloc::vec::Vec;

use super::super::json_writer::{Items, Members};
use super::answer::Inputs;
use super::joined::write_events;
use crate::event::content::Membership;
use crate::event::{STRIPPED_STATE, write_stripped};
use crate::room::tables::UserRoom;
use crate::room::{Room, StoredEvent};
use crate::store::StorageError;

/// Appends the room as it was at the invite or knock; `false` if the user ignores who invites them.
pub(super) fn write(sync: &Inputs<'_>, room: &Room, row: &UserRoom, out: &mut Vec<u8>) -> Result<bool, StorageError> {
    let read = sync.context.read;
    let event = StoredEvent::expect(read, room.num, row.event)?;
    let name = match row.membership {
        Membership::Knock => "knock_state",
        _ if sync.ignored.contains(&event.header.sender) => return Ok(false),
        _ => "invite_state",
    };
    let at = event.header.state_before;
    let mut state = Vec::with_capacity(STRIPPED_STATE.len() + 2);
    for kind in STRIPPED_STATE {
        state.extend(room.state_event(read, at, kind, "")?);
    }
    // Who invites is shown with their name and face.
    if event.header.sender != sync.requester.user_id {
        state.extend(room.state_event(read, at, "m.room.member", &event.header.sender)?);
    }
    state.push(event);
    let mut members = Members::begin(out);
    write_events(&mut members, name, |out| {
        let mut items = Items::begin(out);
        for event in &state {
            write_stripped(&event.pdu(room.info.version)?, items.item());
        }
        Ok(items.end())
    })?;
    members.end();
    Ok(true)
}
