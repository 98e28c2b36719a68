//! A room that the user is invited to or has knocked on, in a sync: its stripped state (Client-Server API, "Stripped state").

use alloc::vec::Vec;

use super::super::json_writer::{Items, Members};
use super::answer::Inputs;
use super::joined::write_events;
use crate::canonical_json::{self, Value};
use crate::event::content::Membership;
use crate::event::write_stripped;
use crate::room::outside::{self, Outside};
use crate::room::stripped_state::stripped_state;
use crate::room::tables::UserRoom;
use crate::room::{Room, StoredEvent};
use crate::store::StorageError;

/// Appends the room as it was at the invite or knock; `false` if the user ignores who invites them.
pub(super) fn write(sync: &Inputs<'_>, room: &Room, row: &UserRoom, out: &mut Vec<u8>) -> Result<bool, StorageError> {
    let read = sync.context.read;
    let event = StoredEvent::expect(read, room.num, row.event)?;
    let name = match row.membership {
        Membership::Knock => "knock_state",
        _ if sync.ignores(&event.header.sender) => return Ok(false),
        _ => "invite_state",
    };
    let mut members = Members::begin(out);
    if let Some(outside) = outside::of(read, room.num, &sync.requester.user_id, row)? {
        write_events(&mut members, name, |out| write_outside(room, &outside, &event, out))?;
        members.end();
        return Ok(true);
    }
    let inviter = Some(&event.header.sender).filter(|sender| **sender != sync.requester.user_id);
    let mut state = stripped_state(read, room, event.header.state_before, inviter)?;
    state.push(event);
    write_events(&mut members, name, |out| {
        let mut items = Items::begin(out);
        for event in &state {
            write_event(event, &mut items);
        }
        Ok(items.end())
    })?;
    members.end();
    Ok(true)
}

/// What another server told of its room, and the invite or knock itself, in whose place nothing of what was told stands.
fn write_outside(
    room: &Room,
    outside: &Outside,
    event: &StoredEvent,
    out: &mut Vec<u8>,
) -> Result<usize, StorageError> {
    let told = canonical_json::parse(outside.stripped_state.as_bytes())
        .map_err(|error| StorageError(alloc::format!("the stripped state of room {}: {error}", room.num.0)))?;
    let mut items = Items::begin(out);
    for entry in told.as_array().unwrap_or_default() {
        let text = |name| entry.get(name).and_then(Value::as_str);
        if text("type") != Some("m.room.member") || text("state_key") != event.header.state_key.as_deref() {
            entry.encode(items.item());
        }
    }
    write_event(event, &mut items);
    Ok(items.end())
}

/// Appends a state event. It looks the same in every room version.
fn write_event(event: &StoredEvent, items: &mut Items<'_>) {
    if let Some(state_key) = &event.header.state_key {
        write_stripped((&event.header.kind, state_key), &event.header.sender, event.content_bytes(), items.item());
    }
}
