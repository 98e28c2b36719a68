//! History that comes later: events from behind a gap, put into the timeline where the gap is.
//!
//! They are judged on their auth events and on the state before them, not on the current state; they change nothing of what the
//! room is now, and no client is told of them but one that pages back.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::reason::{JudgedOn, Reason};
use super::super::state::Room;
use super::super::stored_event::{Standing, StoredEvent};
use super::super::tables::{EVENT_BY_ID, EventIndex, HEAD, TIMELINE, TimelineKey};
use super::super::timeline::{self, Place};
use super::super::{extremities, redaction, resolution};
use super::event::{Before, hide, states_before};
use super::holes::found;
use super::judge::{KnownEvents, OnAuthEvents, judge_on_auth_events, judge_on_state, second_create, stored};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::Step;
use crate::identifiers::EventId;
use crate::limits::{MAX_GAP_SEARCH, MAX_PREV_EVENTS};
use crate::store::state_map::StateId;
use crate::store::{Read, StorageError, auth_chain};

/// A place in the timeline where history is missing, and can be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The order of the event after it.
    pub before: i64,
    /// How many places are free.
    pub places: u64,
    /// Events behind it: those that the events after it name as previous ones, and that are not in the graph.
    pub missing: Vec<EventId>,
}

/// What another server told of the states after those previous events of an event that are not in the graph: see [`super::receive`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub after: Vec<EventId>,
    pub states: Vec<StateId>,
}

/// Whether history is missing anywhere.
pub fn has_gaps(read: &(impl Read + ?Sized), room: &Room) -> Result<bool, StorageError> {
    Ok(!extremities::missing(read, room, 1)?.is_empty())
}

/// The first gap that somebody meets who goes back from `from` and looks at `limit` events: at `from` itself, or after one of them
/// but the last. Gaps down to that before the event of order `left_open` are passed over.
pub fn find_gap(
    read: &(impl Read + ?Sized),
    room: &Room,
    from: Place,
    (limit, left_open): (usize, Option<i64>),
) -> Result<Option<Gap>, StorageError> {
    if !has_gaps(read, room)? {
        return Ok(None);
    }
    let is_open = |event: &StoredEvent| {
        event.header.after_gap && left_open.is_none_or(|left_open| event.header.order < left_open)
    };
    // The event after `from`, then those before.
    let mut above = None;
    timeline::forward::<StorageError>(read, room, from, None, 1, |_, event| {
        above = Some(event);
        Ok(ControlFlow::Break(()))
    })?;
    let mut seen = 0;
    let mut gap = None;
    timeline::backward::<StorageError>(read, room, Some(from), Place::START, limit, |order, event| {
        if let Some(event) = above.take().filter(&is_open) {
            gap = gap_below(read, room, &event, Some(order))?;
        }
        seen += 1;
        if gap.is_some() || seen > limit {
            return Ok(ControlFlow::Break(()));
        }
        above = (seen < limit).then_some(event);
        Ok(ControlFlow::Continue(()))
    })?;
    match above.filter(|event| gap.is_none() && seen <= limit && is_open(event)) {
        Some(first) => gap_below(read, room, &first, None),
        None => Ok(gap),
    }
}

/// The gap before `event`, below which the next event of the timeline has the order `next`.
fn gap_below(
    read: &(impl Read + ?Sized),
    room: &Room,
    event: &StoredEvent,
    next: Option<i64>,
) -> Result<Option<Gap>, StorageError> {
    let before = event.header.order;
    let places = next.map_or(u64::MAX, |next| before.abs_diff(next) - 1);
    if places == 0 {
        return Ok(None);
    }
    // What was put in earlier stands close together: where branches end in it, the gap is behind all of them.
    let (mut missing, mut order) = (Vec::new(), before);
    timeline::forward::<StorageError>(read, room, Place(before - 1), None, MAX_GAP_SEARCH, |at, event| {
        if at > order + 1 || at.abs_diff(before) >= MAX_GAP_SEARCH as u64 || missing.len() >= MAX_PREV_EVENTS {
            return Ok(ControlFlow::Break(()));
        }
        order = at;
        if event.header.after_gap {
            missing.extend(not_in_graph(read, room, &event.pdu(room.info.version)?)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    missing.sort_unstable();
    missing.dedup();
    // The rest is behind what these lead to, or its turn comes.
    missing.truncate(MAX_PREV_EVENTS);
    Ok((!missing.is_empty()).then_some(Gap { before, places, missing }))
}

/// The previous events of an event that are not in the graph.
pub fn not_in_graph(read: &(impl Read + ?Sized), room: &Room, pdu: &Pdu) -> Result<Vec<EventId>, StorageError> {
    let mut missing = Vec::new();
    for event_id in &pdu.prev_events {
        if room.event(read, event_id)?.is_none_or(|event| event.header.outlier) {
            missing.push(event_id.clone());
        }
    }
    Ok(missing)
}

/// Puts checked events into the gap before the event of order `before`: an event after those of its previous events that are
/// among them, and with what was told of the states after others. Gives the number of events that are now in the timeline; an event that
/// cannot be judged, or has no place, is left out.
pub fn store_history(
    step: &mut Step<'_>,
    room: &mut Room,
    before: i64,
    events: &[(Pdu, Told)],
) -> Result<usize, ApiError> {
    let mut next = None;
    timeline::backward::<StorageError>(step, room, Some(Place(before - 1)), Place::START, 1, |order, _| {
        next = Some(order);
        Ok(ControlFlow::Break(()))
    })?;
    let places = usize::try_from(next.map_or(u64::MAX, |next| before.abs_diff(next) - 1)).unwrap_or(usize::MAX);
    // Without a place for all, the newest have one.
    let events = &events[events.len().saturating_sub(places)..];
    let mut accepted = Vec::with_capacity(events.len());
    for (pdu, told) in events {
        accepted.extend(store(step, room, pdu, told)?);
    }
    let first = before - i64::try_from(accepted.len()).map_err(|_| ApiError::internal("too much history"))?;
    for (order, index) in (first..).zip(&accepted) {
        let mut event = StoredEvent::expect(step, room.num, *index)?;
        event.header.order = order;
        event.put(step, room.num);
        TIMELINE.put(step, room.num, TimelineKey(order), index);
    }
    close(step, room, before)?;
    HEAD.put(step, room.num, (), &room.head);
    Ok(accepted.len())
}

/// Judges one event and stores it; an accepted one has no place in the timeline yet, and its index is returned.
fn store(step: &mut Step<'_>, room: &mut Room, pdu: &Pdu, told: &Told) -> Result<Option<EventIndex>, ApiError> {
    let Ok(stored) = stored(step, room, pdu)? else { return Ok(None) };
    if pdu.room_id != room.info.room_id
        || stored.as_ref().is_some_and(|stored| !stored.header.outlier || stored.is_rejected())
    {
        return Ok(None);
    }
    let mut known = KnownEvents::default();
    let Ok(OnAuthEvents { auth, mut reason }) = judge_on_auth_events(step, room, pdu, &mut known)? else {
        return Ok(None);
    };
    let Before::States { mut states, missing } = states_before(step, room, pdu, &known)? else { return Ok(None) };
    let after_gap = !missing.is_empty();
    if after_gap {
        // What was to be stored before it may have been left out.
        if missing.iter().any(|event_id| !told.after.contains(event_id)) {
            return Ok(None);
        }
        states.extend(&told.states);
    }
    let Some(state_before) = resolution::resolve(step, room, &states)? else { return Ok(None) };
    if reason.is_none() && pdu.prev_events.is_empty() && pdu.kind != "m.room.create" {
        reason = Some(Reason::NoPrevEvents);
    }
    if reason.is_none() {
        reason = second_create(step, room, pdu)?;
    }
    if reason.is_none() {
        let verdict = judge_on_state(step, room, pdu, state_before, &mut known)?;
        reason = verdict.map(|verdict| Reason::rule(JudgedOn::StateBefore, verdict));
    }
    let index = stored.map_or(EventIndex(room.head.next_index), |stored| stored.index);
    if let Some(reason) = reason {
        hide(step, room, (pdu, index, &auth), (state_before, after_gap), (Standing::Rejected, &reason))?;
        return Ok(None);
    }
    let mut event = StoredEvent::hidden(index, pdu, state_before, Standing::Accepted);
    event.header.after_gap = after_gap;
    if let Some(state_key) = pdu.state_key.as_deref() {
        event.header.replaces = room.state_index(step, state_before, &pdu.kind, state_key)?;
        auth_chain::insert(step, room.num, index.0, (&pdu.kind, state_key), &auth);
        room.apply_state(step, state_before, &pdu.kind, state_key, index)?;
    }
    redaction::apply_early(step, room, &mut event)?;
    event.put(step, room.num);
    EVENT_BY_ID.put(step, pdu.event_id.as_str(), &(room.num, index));
    room.head.next_index = room.head.next_index.max(index.0 + 1);
    extremities::no_longer_missing(step, room.num, &pdu.event_id)?;
    found(step, room, [&pdu.event_id])?;
    if after_gap {
        extremities::note_missing(step, room, pdu)?;
    }
    if pdu.kind == "m.room.redaction" {
        redaction::apply(step, room, pdu, (index, state_before))?;
    }
    Ok(Some(index))
}

/// Events after the gap whose previous events are all in the graph now are no longer after a gap.
fn close(step: &mut Step<'_>, room: &Room, before: i64) -> Result<(), StorageError> {
    let (mut closed, mut order) = (Vec::new(), before);
    timeline::forward::<StorageError>(step, room, Place(before - 1), None, MAX_GAP_SEARCH, |at, event| {
        if at > order + 1 || at.abs_diff(before) >= MAX_GAP_SEARCH as u64 {
            return Ok(ControlFlow::Break(()));
        }
        order = at;
        if event.header.after_gap && not_in_graph(step, room, &event.pdu(room.info.version)?)?.is_empty() {
            closed.push(event);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for mut event in closed {
        event.header.after_gap = false;
        event.put(step, room.num);
    }
    Ok(())
}
