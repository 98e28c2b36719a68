//! The last step of every accepted event, ours or not: into the graph and the timeline, and what follows from it for the room.

use alloc::string::String;

use super::history_visibility::membership_in;
use super::receive::Fillings;
use super::state::Room;
use super::stored_event::{CurrentState, StoredEvent};
use super::tables::{EVENT_BY_ID, EventIndex, HEAD, TIMELINE, TimelineKey};
use super::{extremities, membership, redaction, resolution, timeline};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::{Notice, Step};
use crate::identifiers::DeviceId;
use crate::limits::GAP_PLACES;
use crate::store::auth_chain;
use crate::store::log::{self, LogEntry};
use crate::store::state_map::StateId;
use crate::store::tables::Position;

/// An accepted event that is about to be stored.
pub(super) struct Arrival<'a> {
    pub pdu: &'a Pdu,
    /// A free index, or that of the outlier that the event is stored as.
    pub index: EventIndex,
    /// Its auth events.
    pub auth: &'a [u32],
    pub state_before: StateId,
    /// Not all of its previous events are in the graph.
    pub after_gap: bool,
    pub transaction: Option<(DeviceId, String)>,
}

/// An event that has been stored.
pub(super) struct Arrived {
    pub position: Position,
    /// The state after it.
    pub state_after: StateId,
}

/// Puts an accepted event at the end of the timeline.
pub(super) fn arrive(step: &mut Step<'_>, room: &mut Room, arrival: Arrival<'_>) -> Result<Arrived, ApiError> {
    let Arrival { pdu, index, auth, state_before, after_gap, transaction } = arrival;
    if after_gap {
        step.skip_positions(GAP_PLACES);
    }
    let position = step.next_position();
    let order = position.order();
    let replaces = match pdu.state_key.as_deref() {
        Some(state_key) => room.state_index(step, state_before, &pdu.kind, state_key)?,
        None => None,
    };
    let mut event = StoredEvent::new(index, pdu, order, state_before, replaces);
    event.header.transaction = transaction;
    event.header.after_gap = after_gap;

    let mut state_after = state_before;
    if let Some(state_key) = pdu.state_key.as_deref() {
        auth_chain::insert(step, room.num, index.0, (&pdu.kind, state_key), auth);
        state_after = room.apply_state(step, state_before, &pdu.kind, state_key, index)?;
    }
    redaction::apply_early(step, room, &mut event)?;
    event.put(step, room.num);
    let before = room.head.state;
    let was_missing = extremities::is_missing(step, room, &pdu.event_id)?;
    let ends = extremities::with(step, room, pdu, (index, was_missing))?;
    let resolved = match ends[..] {
        [only] if only == index => Some(state_after),
        _ => {
            let mut states = extremities::states_after(step, room, &ends)?;
            Fillings::of(step, room)?.fill_each(step, room, &mut states)?;
            resolution::resolve(step, room, &states)?
        }
    };
    let after = resolved.unwrap_or(before);
    if before != state_before || after != state_after {
        event.header.current = Some(CurrentState { before, after });
        event.put(step, room.num);
    }
    EVENT_BY_ID.put(step, pdu.event_id.as_str(), &(room.num, index));
    TIMELINE.put(step, room.num, TimelineKey(order), &index);
    timeline::note_milestone(step, room, index, order);
    log::append(step, position, &LogEntry::Event { room: room.num, index: index.0 });
    if was_missing {
        extremities::no_longer_missing(step, room.num, &pdu.event_id)?;
    }
    if after_gap {
        extremities::note_missing(step, room, pdu)?;
    }

    let head = &mut room.head;
    head.next_index = head.next_index.max(index.0 + 1);
    head.extremities = ends;
    head.depth = head.depth.max(pdu.depth);
    head.last = position;
    head.state = after;
    head.unresolved = resolved.is_none();
    if event.header.current.is_some() {
        membership::follow_state(step, room, (before, after), position)?;
    } else if pdu.kind == "m.room.member" && pdu.is_state() {
        let was = match replaces {
            Some(index) => membership_in(&StoredEvent::expect(step, room.num, index)?),
            None => None,
        };
        membership::follow(step, room, &event, (was, pdu.membership()), position)?;
    }
    if pdu.kind == "m.room.redaction" {
        redaction::apply(step, room, pdu, (index, state_before))?;
    }
    HEAD.put(step, room.num, (), &room.head);
    step.notify(Notice::Room(room.num));
    if pdu.sender.server_str() != step.config.server_name.as_str() {
        step.notify(Notice::Foreign(position));
    }
    Ok(Arrived { position, state_after })
}
