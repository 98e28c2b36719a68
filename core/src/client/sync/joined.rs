//! A joined room in a sync.

use alloc::vec::Vec;

use super::super::event_format::{self, Shown};
use super::super::json_writer::Members;
use super::answer::Inputs;
use super::changes::RoomChange;
use super::state::{self, StateSpan};
use super::summary::Summary;
use super::timeline::{Span, Window};
use super::{account_data, ephemeral, lazy_members};
use crate::event::content::Membership;
use crate::identifiers::UserId;
use crate::room::history_visibility::membership_in;
use crate::room::tables::UserRoom;
use crate::room::timeline::{self, Place};
use crate::room::{EventIndex, Room, StoredEvent};
use crate::store::tables::{Position, RoomNum};
use crate::store::{Read, StorageError};

/// Appends a joined room; `false` if there is nothing to say. The memberships that it tells are added to `sent`.
pub(super) fn write(
    sync: &Inputs<'_>,
    (room, row): (&Room, &UserRoom),
    change: RoomChange,
    sent: &mut Vec<(RoomNum, UserId)>,
    out: &mut Vec<u8>,
) -> Result<bool, StorageError> {
    let read = sync.context.read;
    let known = known_since(sync, room, row)?;
    let until = Place::after(sync.until);
    let mut shown = sync.shown(row);
    let end = room.head.state;
    let window = if change.events || known.is_none() {
        let span = Span { known: known.map(Place::after), until, own: None };
        Window::load(sync, room, &mut shown, span, end)?
    } else {
        Window::nothing(until, end)
    };
    let known_state = match (known, window.base) {
        (Some(_), _) if sync.request.full_state => None,
        (Some(_), Some(base)) => Some(base),
        (Some(since), None) => Some(timeline::state_at(read, room, Place::after(since))?),
        (None, _) => None,
    };
    let span = StateSpan { known: known_state, end };
    let mut state = state::select(sync, room, &window, span)?;
    let has_lost_keys = state::has_lost_keys(sync, room, span)?;
    let summary_changed =
        known_state.is_none() || has_lost_keys || window.events.iter().chain(state.values()).any(Summary::changes_with);
    let told_all = known_state.is_none() && sync.request.filter.room.state.rooms.selects(room.room_id());
    let told = state.values().chain(&window.events);
    let summary = if summary_changed { Some(Summary::of(sync, room, told, told_all)?) } else { None };
    let heroes = summary.as_ref().map_or(&[][..], Summary::heroes);
    lazy_members::add(sync, room, &window, span, heroes, &mut state)?;
    state::filter(sync, &mut state);

    let mut something = known.is_none()
        || has_lost_keys
        || sync.request.full_state
        || window.limited && !sync.wants_no_timeline()
        || !window.events.is_empty()
        || !state.is_empty();
    let unread = sync.unread(room, row)?;
    something |= sync.since.is_some_and(|since| unread.changed_since(since));
    something |= sync.changes.is_some_and(|changes| changes.push_rules) && unread.any;
    let mut members = Members::begin(out);
    something |= write_events(&mut members, "account_data", |out| {
        if change.account_data || known.is_none() {
            account_data::write_room(sync, room, known.is_some(), out)
        } else {
            none(out)
        }
    })?;
    something |= write_events(&mut members, "ephemeral", |out| {
        ephemeral::write(sync, room, known, change.receipts || known.is_none(), out)
    })?;
    if !something {
        return Ok(false);
    }
    let state: Vec<StoredEvent> = state.into_values().collect();
    write_state(sync, room, &mut shown, &state, &mut members)?;
    if let Some(summary) = &summary {
        summary.write(members.name("summary"));
    }
    window.write(sync, room, &mut shown, members.name("timeline"))?;
    unread.write(sync.request.filter.room.timeline.unread_thread_notifications, &mut members);
    members.end();
    if sync.request.filter.room.state.lazy_load_members {
        sent.extend(lazy_members::told(room.num, window.events.iter().chain(&state)));
    }
    Ok(true)
}

/// Where the client's knowledge of the room ends: `since`, if the user was in the room then.
fn known_since(sync: &Inputs<'_>, room: &Room, row: &UserRoom) -> Result<Option<Position>, StorageError> {
    let Some(since) = sync.since else { return Ok(None) };
    let joined = row.joined_at.is_some_and(|joined| joined <= since)
        || was_joined(sync.context.read, room, &sync.requester.user_id, since)?;
    Ok(joined.then_some(since))
}

/// Whether the user was in the room at a position.
pub(super) fn was_joined(
    read: &dyn Read,
    room: &Room,
    user_id: &UserId,
    position: Position,
) -> Result<bool, StorageError> {
    join_at(read, room, user_id, position).map(|join| join.is_some())
}

/// The join that the user was in the room by at a position.
pub(super) fn join_at(
    read: &dyn Read,
    room: &Room,
    user_id: &UserId,
    position: Position,
) -> Result<Option<EventIndex>, StorageError> {
    let state = timeline::state_at(read, room, Place::after(position))?;
    let member = room.state_event(read, state, "m.room.member", user_id)?;
    Ok(member.filter(|member| membership_in(member) == Some(Membership::Join)).map(|member| member.index))
}

/// Appends `state` or `state_after`.
pub(super) fn write_state(
    sync: &Inputs<'_>,
    room: &Room,
    shown: &mut Shown<'_>,
    events: &[StoredEvent],
    members: &mut Members<'_>,
) -> Result<(), StorageError> {
    let mut section = Members::begin(members.name(sync.request.state.name()));
    event_format::write_all(&sync.context, room, shown, events, section.name("events"))?;
    section.end();
    Ok(())
}

/// Appends a section of events, whose array `write` appends. Returns whether there are any.
pub(super) fn write_events(
    members: &mut Members<'_>,
    name: &str,
    write: impl FnOnce(&mut Vec<u8>) -> Result<usize, StorageError>,
) -> Result<bool, StorageError> {
    let mut section = Members::begin(members.name(name));
    let count = write(section.name("events"))?;
    section.end();
    Ok(count > 0)
}

fn none(out: &mut Vec<u8>) -> Result<usize, StorageError> {
    out.extend_from_slice(b"[]");
    Ok(0)
}
