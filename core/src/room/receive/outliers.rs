//! Storing outliers: events that are known because others cite them, as auth events or in a state.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::super::redaction;
use super::super::state::Room;
use super::super::stored_event::{Standing, StoredEvent};
use super::super::tables::{EVENT_BY_ID, EventIndex, HEAD, REASONS};
use super::judge::{Known, KnownEvents, judge_on_auth_events, judge_on_state, second_create, stored};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::Step;
use crate::identifiers::EventId;
use crate::store::state_map::StateId;
use crate::store::{StorageError, auth_chain};

/// Stores events of a room as outliers, each judged on its auth events; those that fail are kept as rejected. Events that are
/// stored already stay as they are. Gives the index of each.
///
/// `pdus` are checked (checks 1 to 3), and each comes after its own auth events: see [`sort_by_auth_events`].
///
/// # Errors
/// An event is of another room or has the ID of another room's event, or one of its auth events is neither stored nor before it (`400 M_BAD_JSON`); storage failed.
pub fn store_outliers(step: &mut Step<'_>, room: &mut Room, pdus: &[Pdu]) -> Result<Vec<EventIndex>, ApiError> {
    let mut known = KnownEvents::default();
    let mut indices = Vec::with_capacity(pdus.len());
    for pdu in pdus {
        if pdu.room_id != room.info.room_id {
            return Err(ApiError::bad_json(alloc::format!("The event {} is of another room", pdu.event_id)));
        }
        if let Some(event) = known.find(step, room, &pdu.event_id)? {
            indices.push(event.index);
            continue;
        }
        stored(step, room, pdu)??;
        let judged = judge_on_auth_events(step, room, pdu, &mut known)?.map_err(|missing| {
            ApiError::bad_json(alloc::format!("The auth event {} of {} is missing", missing[0], pdu.event_id))
        })?;
        let reason = match second_create(step, room, pdu)? {
            Some(reason) => Some(reason),
            None => judged.reason,
        };
        let index = EventIndex(room.head.next_index);
        let standing = if reason.is_none() { Standing::Accepted } else { Standing::Rejected };
        let mut event = StoredEvent::outlier(index, pdu, standing);
        redaction::apply_early(step, room, &mut event)?;
        event.put(step, room.num);
        room.head.next_index += 1;
        EVENT_BY_ID.put(step, pdu.event_id.as_str(), &(room.num, index));
        if let Some(state_key) = pdu.state_key.as_deref() {
            auth_chain::insert(step, room.num, index.0, (&pdu.kind, state_key), &judged.auth);
        }
        if let Some(reason) = &reason {
            REASONS.put(step, room.num, index, reason);
        }
        known.add(Known { index, pdu: Cow::Borrowed(pdu), rejected: reason.is_some() });
        indices.push(index);
    }
    HEAD.put(step, room.num, (), &room.head);
    Ok(indices)
}

/// The state after an event that is stored as an outlier, if `before` is the state before it. `None` if it is not stored.
pub fn state_after_outlier(
    step: &mut Step<'_>,
    room: &Room,
    event_id: &EventId,
    before: StateId,
) -> Result<Option<StateId>, StorageError> {
    let Some(event) = room.event(step, event_id)? else { return Ok(None) };
    let Some(state_key) = event.header.state_key.as_deref().filter(|_| !event.is_rejected()) else {
        return Ok(Some(before));
    };
    let pdu = event.pdu(room.info.version)?;
    if judge_on_state(step, room, &pdu, before, &mut KnownEvents::default())?.is_some() {
        return Ok(Some(before));
    }
    room.apply_state(step, before, &pdu.kind, state_key, event.index).map(Some)
}

/// Orders events so that each comes after those of its auth events that are among them, and otherwise as they came. Duplicates
/// are left out, and so are events that cite each other in a circle, which no honest server can have made.
#[must_use]
pub fn sort_by_auth_events(pdus: Vec<Pdu>) -> Vec<Pdu> {
    sort_by(pdus, |pdu| &pdu.auth_events)
}

/// The same with previous events.
#[must_use]
pub fn sort_by_prev_events(pdus: Vec<Pdu>) -> Vec<Pdu> {
    sort_by(pdus, |pdu| &pdu.prev_events)
}

fn sort_by(pdus: Vec<Pdu>, references: fn(&Pdu) -> &Vec<EventId>) -> Vec<Pdu> {
    let mut given: BTreeMap<EventId, usize> = BTreeMap::new();
    for (at, pdu) in pdus.iter().enumerate() {
        given.entry(pdu.event_id.clone()).or_insert(at);
    }
    let mut order = Vec::with_capacity(pdus.len());
    let mut entered = BTreeSet::new();
    // Depth first, without recursion: chains are as long as senders like. A place is entered before its auth events and left
    // after them.
    let mut stack = Vec::new();
    // The create event authorizes all others, in versions where they do not cite it too.
    let (creates, others): (Vec<usize>, Vec<usize>) = (0..pdus.len()).partition(|at| pdus[*at].kind == "m.room.create");
    for start in creates.into_iter().chain(others) {
        stack.push((start, false));
        while let Some((at, leaving)) = stack.pop() {
            if leaving {
                order.push(at);
            } else if entered.insert(at) {
                stack.push((at, true));
                stack.extend(references(&pdus[at]).iter().filter_map(|auth| given.get(auth)).map(|at| (*at, false)));
            }
        }
    }
    let mut pdus: Vec<Option<Pdu>> = pdus.into_iter().map(Some).collect();
    let mut placed = BTreeSet::new();
    let mut sorted = Vec::with_capacity(order.len());
    for at in order {
        let Some(pdu) = pdus[at].take() else { continue };
        let in_order = references(&pdu).iter().all(|auth| !given.contains_key(auth) || placed.contains(auth));
        if in_order && placed.insert(pdu.event_id.clone()) {
            sorted.push(pdu);
        }
    }
    sorted
}
