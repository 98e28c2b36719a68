//! A room that the user has left or was banned from, in a sync: told once, up to the event that ended it.

use alloc::vec::Vec;

use super::super::event_format;
use super::super::json_writer::Members;
use super::answer::Inputs;
use super::joined::{join_at, write_events, write_state};
use super::state::{self, StateSpan};
use super::timeline::{Span, Window};
use super::{account_data, lazy_members};
use crate::room::tables::UserRoom;
use crate::room::timeline::{self, Place};
use crate::room::{Room, StoredEvent, outside};
use crate::store::StorageError;

/// Appends a left room.
pub(super) fn write(sync: &Inputs<'_>, room: &Room, row: &UserRoom, out: &mut Vec<u8>) -> Result<(), StorageError> {
    let read = sync.context.read;
    let leaving = StoredEvent::expect(read, room.num, row.event)?;
    let joined = match sync.since {
        Some(since) => join_at(read, room, &sync.requester.user_id, since)?.map(|join| (since, join)),
        None => None,
    };
    // Of a leaving that came with the state of a room, to which others of this server came back later, no more is known; unless they
    // joined after it, which a resolution has taken back.
    let unseen = leaving.header.outlier && joined.is_none_or(|(_, join)| join < leaving.index);
    if unseen || outside::of(read, room.num, &sync.requester.user_id, row)?.is_some() {
        return write_outside(sync, room, row, leaving, out);
    }
    // They are out since then; mostly by an event that came then, but a resolution can bring back an old one.
    let until = Place::after(row.position);
    let end = timeline::state_at(read, room, until)?;
    let was_in = joined.map(|(since, _)| Place::after(since));
    // Joined and left again since then, or never told of at all: the client gets to know the room as they left it.
    let was_in_meanwhile = row.joined_at.is_some_and(|joined| sync.since.is_none_or(|since| joined > since));
    let mut shown = sync.shown(row);
    let (window, state) = if was_in.is_some() || was_in_meanwhile {
        let window = Window::load(sync, room, &mut shown, Span { known: was_in, until, own: Some(row.event) }, end)?;
        let known = match (was_in, window.base) {
            (Some(_), Some(base)) => Some(base),
            (Some(place), None) => Some(timeline::state_at(read, room, place)?),
            (None, _) => None,
        };
        let span = StateSpan { known, end };
        let mut state = state::select(sync, room, &window, span)?;
        lazy_members::add(sync, room, &window, span, &[], &mut state)?;
        state::filter(sync, &mut state);
        (window, state)
    } else {
        // They were invited, or knocked, or were banned from outside: all that is theirs to see is that event.
        let before = Place(until.0 - 1);
        let span = Span { known: Some(before), until, own: Some(row.event) };
        let window = Window::load(sync, room, &mut shown, span, end)?;
        // With `state_after`, a client takes what the event changes from there and not from the timeline.
        let span = StateSpan { known: Some(timeline::state_at(read, room, before)?), end };
        let mut state = state::select(sync, room, &window, span)?;
        state::filter(sync, &mut state);
        (window, state)
    };
    let state: Vec<StoredEvent> = state.into_values().collect();
    let mut members = Members::begin(out);
    write_events(&mut members, "account_data", |out| account_data::write_room(sync, room, was_in.is_some(), out))?;
    write_state(sync, room, &mut shown, &state, &mut members)?;
    window.write(sync, room, &mut shown, members.name("timeline"))?;
    members.end();
    Ok(())
}

/// Appends a room that this server never was in: nothing is known of it but the event by which the user refused an invite or took
/// back a knock.
fn write_outside(
    sync: &Inputs<'_>,
    room: &Room,
    row: &UserRoom,
    leaving: StoredEvent,
    out: &mut Vec<u8>,
) -> Result<(), StorageError> {
    let mut shown = sync.shown(row);
    let mut members = Members::begin(out);
    write_state(sync, room, &mut shown, &[], &mut members)?;
    let mut timeline = Members::begin(members.name("timeline"));
    event_format::write_all(&sync.context, room, &mut shown, &[leaving], timeline.name("events"))?;
    timeline.name("limited").extend_from_slice(b"false");
    timeline.end();
    members.end();
    Ok(())
}
