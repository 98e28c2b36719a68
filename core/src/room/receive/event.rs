//! One event, all of whose previous events are in the graph, or the state before which was fetched.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::arrival::{Arrival, arrive};
use super::super::policy_server::{self, Word};
use super::super::reason::{JudgedOn, Reason};
use super::super::state::Room;
use super::super::stored_event::{Standing, StoredEvent};
use super::super::tables::{EVENT_BY_ID, EventIndex, HEAD, REASONS};
use super::super::{extremities, redaction, resolution};
use super::judge::{KnownEvents, OnAuthEvents, judge_on_auth_events, judge_on_state, second_create, stored};
use crate::auth_rules::not_signed_by_authoriser;
use crate::error::ApiError;
use crate::event::{Pdu, PolicyServer, Recommendation};
use crate::flow::Step;
use crate::identifiers::{DeviceId, EventId};
use crate::store::state_map::StateId;
use crate::store::{StorageError, auth_chain};

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, and was perhaps before.
    Stored { index: EventIndex, standing: Standing },
    /// Nothing: these auth events are not known.
    MissingAuthEvents(Vec<EventId>),
    /// Nothing: these previous events are not in the graph.
    MissingPrevEvents(Vec<EventId>),
    /// Nothing: it has passed the checks up to 6, and the room's policy server is yet to say what it thinks of it.
    MissingRecommendation(PolicyServer),
}

/// What comes with an event that its JSON does not say.
#[derive(Debug, Default)]
pub struct Given<'a> {
    /// The state before the event, whatever else is known: for [`enter`].
    pub state_before: Option<StateId>,
    /// What another server told of the states after those previous events that are not in the graph: see [`receive`].
    pub told: &'a [StateId],
    /// What the room's policy server said of it.
    pub recommendation: Option<&'a Recommendation>,
    /// The device and transaction ID of an event of this server.
    pub transaction: Option<(DeviceId, String)>,
    /// Why it is rejected, whatever else is found.
    pub rejected: Option<Reason>,
}

/// Judges a checked event (checks 4 to 7) and stores it with its standing. An accepted one joins the timeline.
///
/// `told` are the states after those of its previous events that are not in the graph, as another server told them, for an event
/// after a gap. They count beside the states after those that are, so that nobody who names an event that nobody else has thereby
/// says what the state of the room is.
///
/// An event that is stored already, and is no outlier, stays as it is; a rejected one stays rejected.
///
/// A user of this server is in the room: what is known of another room stays as it was when the last one left.
///
/// # Errors
/// The event is of another room, or has the ID of another room's event (`400 M_BAD_JSON`); storage failed.
pub fn receive(step: &mut Step<'_>, room: &mut Room, pdu: &Pdu, told: &[StateId]) -> Result<Outcome, ApiError> {
    receive_given(step, room, pdu, Given { told, ..Given::default() })
}

/// Receives the event that brings a local user into a room in which there was none, after [`super::store_outliers`] of the state
/// that came with it and of that state's auth chain. `state` is [`Room::state_of`] that state. There is no current state to judge
/// the event on. Otherwise as [`receive`].
pub fn enter(step: &mut Step<'_>, room: &mut Room, join: &Pdu, state: StateId) -> Result<Outcome, ApiError> {
    let given = Given { state_before: Some(state), ..Given::default() };
    receive_judged(step, room, join, given, &mut KnownEvents::default())
}

/// Why a member event is rejected that lacks the signature of the server of the user who authorised it, of which
/// [`crate::auth_rules::authorize`] knows nothing.
#[must_use]
pub fn unauthorised(room: &Room, pdu: &Pdu) -> Reason {
    Reason::rule(JudgedOn::AuthEvents, not_signed_by_authoriser(room.info.version.rules(), pdu))
}

/// [`receive`] of an event of which more is known.
pub fn receive_given(step: &mut Step<'_>, room: &mut Room, pdu: &Pdu, given: Given<'_>) -> Result<Outcome, ApiError> {
    receive_next(step, room, pdu, given, &mut KnownEvents::default())
}

/// [`receive_given`] of one event after the other in one step: what is looked up for one is known for the next.
pub fn receive_next(
    step: &mut Step<'_>,
    room: &mut Room,
    pdu: &Pdu,
    given: Given<'_>,
    known: &mut KnownEvents<'_>,
) -> Result<Outcome, ApiError> {
    assert!(room.is_resident(), "events are received for rooms in which users of this server are");
    let outcome = receive_judged(step, room, pdu, given, known);
    if pdu.kind == "m.room.redaction" {
        // What is known may be what it has taken the content of.
        *known = KnownEvents::default();
    }
    outcome
}

fn receive_judged(
    step: &mut Step<'_>,
    room: &mut Room,
    pdu: &Pdu,
    given: Given<'_>,
    known: &mut KnownEvents<'_>,
) -> Result<Outcome, ApiError> {
    let Given { state_before: given, told, recommendation, transaction, rejected } = given;
    if pdu.room_id != room.info.room_id {
        return Err(ApiError::bad_json(alloc::format!("The event {} is of another room", pdu.event_id)));
    }
    let stored = stored(step, room, pdu)??;
    if let Some(stored) = &stored
        && (!stored.header.outlier || stored.is_rejected())
    {
        return Ok(Outcome::Stored { index: stored.index, standing: stored.header.standing });
    }
    let OnAuthEvents { auth, reason } = match judge_on_auth_events(step, room, pdu, known)? {
        Ok(judged) => judged,
        Err(missing) => return Ok(Outcome::MissingAuthEvents(missing)),
    };
    let mut reason = rejected.or(reason);
    let before = match states_before(step, room, pdu, known)? {
        Before::States { missing, .. } if !missing.is_empty() && told.is_empty() && given.is_none() => {
            return Ok(Outcome::MissingPrevEvents(missing));
        }
        Before::States { mut states, missing } => {
            known.fillings(step, room)?.fill_each(step, room, &mut states)?;
            let after_gap = !missing.is_empty();
            if after_gap {
                match given {
                    Some(given) => states = alloc::vec![given],
                    None => states.extend(told),
                }
            }
            resolution::resolve(step, room, &states)?.map(|state| (state, after_gap))
        }
        Before::Unresolved => None,
    };
    if reason.is_none() && pdu.prev_events.is_empty() && pdu.kind != "m.room.create" {
        reason = Some(Reason::NoPrevEvents);
    }
    if reason.is_none() {
        reason = second_create(step, room, pdu)?;
    }
    let (state_before, after_gap) = before.unwrap_or((StateId::EMPTY, false));
    if reason.is_none() {
        reason = match before {
            None => Some(Reason::Unresolved),
            Some(_) => judge_on_state(step, room, pdu, state_before, known)?
                .map(|verdict| Reason::rule(JudgedOn::StateBefore, verdict)),
        };
    }
    let mut standing = Standing::Rejected;
    if reason.is_none() {
        standing = Standing::Accepted;
        if room.is_resident() {
            let current = known.fillings(step, room)?.fill(step, room, room.head.state)?;
            if current != state_before
                && let Some(verdict) = judge_on_state(step, room, pdu, current, known)?
            {
                standing = Standing::SoftFailed;
                reason = Some(Reason::rule(JudgedOn::CurrentState, verdict));
            }
        }
    }
    let has_policy =
        |known: &mut KnownEvents<'_>| known.state_index(step, room, room.head.state, ("m.room.policy", ""));
    if reason.is_none() && has_policy(known)?.is_some() {
        match policy_server::word(step, room, (&pdu.kind, pdu.state_key.as_deref()), recommendation)? {
            Word::Recommended => {}
            Word::NotRecommended(why) => (standing, reason) = (Standing::SoftFailed, Some(why)),
            Word::Unknown(server) => return Ok(Outcome::MissingRecommendation(server)),
        }
    }
    if !room.is_resident() {
        // What is known of the room here is old, and has no part in what the room is now.
        room.head.extremities.clear();
        room.head.since_depth = pdu.depth;
    }
    // An outlier that was accepted may be rejected now.
    known.forget(&pdu.event_id);
    let index = stored.map_or(EventIndex(room.head.next_index), |stored| stored.index);
    match reason {
        None => {
            let arrival = Arrival { pdu, index, auth: &auth, state_before, after_gap, transaction };
            known.add_state_after(&pdu.event_id, arrive(step, room, arrival)?.state_after);
            known.settle(step, room)?;
        }
        Some(reason) => hide(step, room, (pdu, index, &auth), (state_before, after_gap), (standing, &reason))?,
    }
    Ok(Outcome::Stored { index, standing })
}

pub(super) enum Before {
    /// The states after the previous events that are in the graph, and the ones that are not.
    States { states: Vec<StateId>, missing: Vec<EventId> },
    /// A previous event has no state.
    Unresolved,
}

pub(super) fn states_before(
    step: &Step<'_>,
    room: &Room,
    pdu: &Pdu,
    known: &KnownEvents<'_>,
) -> Result<Before, StorageError> {
    let (mut states, mut missing) = (Vec::with_capacity(pdu.prev_events.len()), Vec::new());
    for event_id in &pdu.prev_events {
        if let Some(state) = known.state_after(event_id) {
            states.push(state);
            continue;
        }
        match room.event(step, event_id)?.filter(|event| !event.header.outlier) {
            Some(event)
                if event.is_rejected() && REASONS.get(step, room.num, event.index)? == Some(Reason::Unresolved) =>
            {
                return Ok(Before::Unresolved);
            }
            Some(event) => states.push(room.state_after(step, &event)?),
            None if missing.contains(event_id) => {}
            None => missing.push(event_id.clone()),
        }
    }
    Ok(Before::States { states, missing })
}

/// Stores an event that is not accepted: in the graph, so that what follows it has a state, and nowhere else.
pub(super) fn hide(
    step: &mut Step<'_>,
    room: &mut Room,
    (pdu, index, auth): (&Pdu, EventIndex, &[u32]),
    (state_before, after_gap): (StateId, bool),
    (standing, reason): (Standing, &Reason),
) -> Result<(), ApiError> {
    let mut event = StoredEvent::hidden(index, pdu, state_before, standing);
    event.header.after_gap = after_gap;
    if let Some(state_key) = pdu.state_key.as_deref() {
        auth_chain::insert(step, room.num, index.0, (&pdu.kind, state_key), auth);
        if standing == Standing::SoftFailed {
            // It is part of the state after it.
            room.apply_state(step, state_before, &pdu.kind, state_key, index)?;
        }
    }
    redaction::apply_early(step, room, &mut event)?;
    event.put(step, room.num);
    EVENT_BY_ID.put(step, pdu.event_id.as_str(), &(room.num, index));
    REASONS.put(step, room.num, index, reason);
    extremities::no_longer_missing(step, room.num, &pdu.event_id)?;
    room.head.next_index = room.head.next_index.max(index.0 + 1);
    HEAD.put(step, room.num, (), &room.head);
    Ok(())
}
