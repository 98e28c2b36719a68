//! The ends of the graph as it is known here: forward extremities, which the next event names as its previous ones, and the
//! events that are missing behind gaps.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::ControlFlow;

use super::receive::Fillings;
use super::resolution::resolve;
use super::state::Room;
use super::stored_event::{Standing, StoredEvent};
use super::tables::{EventIndex, MISSING};
use crate::event::Pdu;
use crate::flow::Step;
use crate::identifiers::EventId;
use crate::limits::{MAX_EXTREMITY_SEARCH, MAX_PREV_EVENTS};
use crate::store::state_map::StateId;
use crate::store::tables::RoomNum;
use crate::store::{Order, Read, StorageError};

/// The forward extremities once the accepted event `index` has come.
///
/// Rejected and soft-failed events are never among them; but an event that names one as its previous event covers what lies
/// below that one. `was_missing`: [`is_missing`] of the event.
pub(super) fn with(
    read: &(impl Read + ?Sized),
    room: &Room,
    pdu: &Pdu,
    (index, was_missing): (EventIndex, bool),
) -> Result<Vec<EventIndex>, StorageError> {
    let mut covered = BTreeSet::new();
    let mut hidden = alloc::vec![pdu.prev_events.clone()];
    let mut searched = 0;
    while let Some(prev_events) = hidden.pop() {
        for event_id in prev_events {
            let Some(prev) = room.index_of(read, &event_id)? else { continue };
            if !covered.insert(prev) || room.head.extremities.contains(&prev) || searched == MAX_EXTREMITY_SEARCH {
                continue;
            }
            let event = StoredEvent::expect(read, room.num, prev)?;
            if event.header.standing != Standing::Accepted {
                searched += 1;
                hidden.push(event.pdu(room.info.version)?.prev_events);
            }
        }
    }
    let mut extremities = room.head.extremities.clone();
    extremities.retain(|extremity| !covered.contains(extremity));
    // What an event that is here already names as its previous event is no end.
    if !was_missing {
        extremities.push(index);
    }
    Ok(extremities)
}

/// The forward extremities that a new event takes as its previous events, and the state before it.
pub(super) fn for_new_event(step: &mut Step<'_>, room: &Room) -> Result<(Vec<EventIndex>, StateId), StorageError> {
    let mut newest = room.head.extremities.clone();
    if newest.len() <= MAX_PREV_EVENTS && !room.head.unresolved {
        return Ok((newest, room.head.state));
    }
    newest.sort_unstable_by_key(|index| Reverse(*index));
    newest.truncate(MAX_PREV_EVENTS);
    let mut states = states_after(step, room, &newest)?;
    Fillings::of(step, room)?.fill_each(step, room, &mut states)?;
    if let Some(state) = resolve(step, room, &states)? {
        return Ok((newest, state));
    }
    // With one previous event there is nothing to resolve.
    newest.truncate(1);
    Ok((newest, states.first().copied().unwrap_or(room.head.state)))
}

/// The states after events.
pub(super) fn states_after(
    read: &(impl Read + ?Sized),
    room: &Room,
    events: &[EventIndex],
) -> Result<Vec<StateId>, StorageError> {
    events.iter().map(|index| room.state_after(read, &StoredEvent::expect(read, room.num, *index)?)).collect()
}

/// Notes which previous events of an accepted event are not in the graph.
pub(super) fn note_missing(step: &mut Step<'_>, room: &Room, pdu: &Pdu) -> Result<(), StorageError> {
    for event_id in &pdu.prev_events {
        if room.event(step, event_id)?.is_none_or(|event| event.header.outlier) {
            MISSING.put(step, room.num, event_id, &());
        }
    }
    Ok(())
}

/// An event has come into the graph.
pub(super) fn no_longer_missing(step: &mut Step<'_>, room: RoomNum, event_id: &EventId) -> Result<(), StorageError> {
    if MISSING.contains(step, room, event_id)? {
        MISSING.delete(step, room, event_id);
    }
    Ok(())
}

/// Whether an event is known to be missing: it lies behind a gap, where history is fetched when somebody asks for it.
pub fn is_missing(read: &(impl Read + ?Sized), room: &Room, event_id: &EventId) -> Result<bool, StorageError> {
    MISSING.contains(read, room.num, event_id)
}

/// Up to `limit` of the events that are missing here although events that are here name them as their previous ones (the backward
/// extremities): where history can be fetched from.
pub fn missing(read: &(impl Read + ?Sized), room: &Room, limit: usize) -> Result<Vec<EventId>, StorageError> {
    let mut missing = Vec::new();
    MISSING.scan::<StorageError>(read, room.num, (), Order::Ascending, |event_id, ()| {
        if missing.len() == limit {
            return Ok(ControlFlow::Break(()));
        }
        missing.push(event_id);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(missing)
}
