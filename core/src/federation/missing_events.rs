//! An event that refers to events which are not known here: they are asked for, then the state where they begin (Server-Server
//! API, "Retrieving events", "Backfilling and retrieving missing events").
//!
//! One server is asked: who sent the event, and then others if that one cannot help. What happens at each bound:
//! - Previous events are sought for [`MISSING_EVENTS_ROUNDS`] rounds or until [`MAX_MISSING_EVENTS_FETCHED`] are there. Where
//!   there are more, history has a gap: the state at its end is asked for.
//! - The state is asked for at most [`STATE_FETCHES`] times for one event. Branches beyond that are left out.
//! - All of it takes at most [`MISSING_EVENTS_TIMEOUT`](crate::limits::MISSING_EVENTS_TIMEOUT).
//! - An event whose auth events or state cannot be had is dropped. Nothing of it is kept, and it may come again.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::fetch_events::Asked;
use super::outgoing::Outgoing;
use super::receive_pdu::{Checked, PduError};
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::http::percent_encode;
use crate::identifiers::EventId;
use crate::limits::{
    MAX_MISSING_EVENTS, MAX_MISSING_EVENTS_FETCHED, MAX_PREV_EVENTS, MISSING_EVENTS_ROUNDS, STATE_FETCHES,
};
use crate::room::receive::{Outcome, sort_by_prev_events};
use crate::room::{Standing, StoredEvent, extremities};

impl Asked<'_> {
    /// Receives an event after what it refers to. The room's lane is the caller's.
    pub async fn receive_with_missing(&self, event: Checked) -> Result<Standing, PduError> {
        let wanted = event.pdu.event_id.clone();
        let mut result = Err(PduError::Missing(wanted.clone()));
        let mut state_fetches = STATE_FETCHES;
        for mut event in self.with_prev_events(event).await? {
            let is_wanted = event.pdu.event_id == wanted;
            let received = self.receive_one(&mut event, &mut state_fetches, is_wanted).await;
            if is_wanted {
                result = received;
            } else if let Err(PduError::Internal(error)) = received {
                return Err(PduError::Internal(error));
            }
            self.cx.give_way().await;
        }
        result
    }

    async fn receive_one(
        &self,
        event: &mut Checked,
        state_fetches: &mut u32,
        is_wanted: bool,
    ) -> Result<Standing, PduError> {
        let (mut told, mut has_auth_events) = (Vec::new(), false);
        loop {
            let outcome = self.in_room(|step, room| {
                // The last user of this server may have left while something was fetched.
                let resident = room.is_resident();
                resident.then(|| event.receive(step, room, &told)).transpose()
            })?;
            match outcome.ok_or(PduError::NotInRoom)? {
                Outcome::Stored { standing, .. } => return Ok(standing),
                Outcome::MissingAuthEvents(missing) if !has_auth_events => {
                    has_auth_events = true;
                    self.fetch_auth_events(&event.pdu, missing).await?;
                }
                // The last is kept for the event that everything is about.
                Outcome::MissingPrevEvents(missing) if told.is_empty() && (*state_fetches > 1 || is_wanted) => {
                    *state_fetches = state_fetches.saturating_sub(1);
                    told = self.states_after(&event.pdu, &missing).await?;
                }
                Outcome::MissingRecommendation(server) => {
                    event.policy.ask(self.cx, &mut event.pdu, self.version, server, self.until).await;
                }
                Outcome::MissingAuthEvents(missing) | Outcome::MissingPrevEvents(missing) => {
                    let missing = missing.into_iter().next().unwrap_or_else(|| event.pdu.event_id.clone());
                    return Err(PduError::Missing(missing));
                }
            }
        }
    }

    /// The event and those before it that are not here, each after its previous events.
    async fn with_prev_events(&self, event: Checked) -> Result<Vec<Checked>, PduError> {
        let mut found = BTreeMap::from([(event.pdu.event_id.clone(), event)]);
        for _ in 0..MISSING_EVENTS_ROUNDS {
            let gap = self.in_room(|step, room| {
                let mut gap = Gap::default();
                for Checked { pdu, .. } in found.values() {
                    for prev in &pdu.prev_events {
                        let in_graph = |event: StoredEvent| !event.header.outlier;
                        if !found.contains_key(prev)
                            && !room.event(step, prev)?.is_some_and(in_graph)
                            && !extremities::is_missing(step, room, prev)?
                        {
                            gap.missing.insert(prev.clone());
                            gap.latest.insert(pdu.event_id.clone());
                        }
                    }
                }
                gap.since_depth = room.head.since_depth;
                for index in room.head.extremities.iter().rev().take(MAX_PREV_EVENTS) {
                    gap.earliest.push(StoredEvent::expect(step, room.num, *index)?.header.event_id);
                }
                Ok::<_, ApiError>(gap)
            })?;
            if gap.missing.is_empty() || found.len() >= MAX_MISSING_EVENTS_FETCHED {
                break;
            }
            let before = found.len();
            self.add_missing(gap, &mut found).await;
            if found.len() == before {
                break;
            }
        }
        let sorted = sort_by_prev_events(found.values().map(|event| event.pdu.clone()).collect());
        Ok(sorted.iter().filter_map(|pdu| found.remove(&pdu.event_id)).collect())
    }

    /// Asks for the events in a gap, and takes those that lie in it.
    async fn add_missing(&self, gap: Gap, found: &mut BTreeMap<EventId, Checked>) {
        let ids = |ids: &mut dyn Iterator<Item = &EventId>| -> Vec<Value> { ids.map(Value::from).collect() };
        let content = Object::new()
            .with("earliest_events", ids(&mut gap.earliest.iter()))
            .with("latest_events", ids(&mut gap.latest.iter().take(MAX_PREV_EVENTS)))
            .with("limit", MAX_MISSING_EVENTS as i64)
            .with("min_depth", gap.since_depth);
        let target = format!("/_matrix/federation/v1/get_missing_events/{}", percent_encode(self.room_id));
        let Ok(answer) = self.ask(Outgoing::post(target, content.into())).await else { return };
        let events = answer.get("events").and_then(Value::as_array).unwrap_or_default();
        let events = events.iter().filter_map(|event| event.as_object().cloned()).take(MAX_MISSING_EVENTS).collect();
        let given = self.check(events).await.into_iter();
        let mut given: BTreeMap<EventId, Checked> = given.map(|event| (event.pdu.event_id.clone(), event)).collect();
        // What nothing refers to is not what was asked for.
        let mut missing: Vec<EventId> = gap.missing.into_iter().collect();
        while let Some(event_id) = missing.pop() {
            if found.len() < MAX_MISSING_EVENTS_FETCHED
                && let Some(event) = given.remove(&event_id)
                && event.pdu.depth >= gap.since_depth
            {
                missing.extend(event.pdu.prev_events.iter().cloned());
                found.insert(event_id, event);
            }
        }
    }
}

/// Where history is missing.
#[derive(Default)]
struct Gap {
    /// The newest events on the near side of it, known ones.
    earliest: Vec<EventId>,
    /// The events on its far side.
    latest: BTreeSet<EventId>,
    /// What these name as their previous events.
    missing: BTreeSet<EventId>,
    /// What is deeper is the history before this server came into the room.
    since_depth: i64,
}
