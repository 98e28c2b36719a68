//! Fetching the history that is missing in a room's timeline (Server-Server API, "Backfilling and retrieving missing events").

use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap};
use alloc::format;
use alloc::vec::Vec;
use core::cell::Cell;
use core::cmp::Reverse;

use super::fetch_events::Asked;
use super::outgoing::{Outgoing, RemoteError};
use super::receive_pdu::{PduError, check_history, in_room};
use crate::canonical_json::Value;
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::{Cx, Lane};
use crate::http::percent_encode;
use crate::identifiers::{EventId, RoomId};
use crate::limits::{
    BACKFILL_ROUNDS, BACKFILL_TIMEOUT, MAX_BACKFILL, MAX_BACKFILL_SERVERS, MAX_BACKFILL_STATES, QUERY_TIMEOUT,
};
use crate::room::receive::{Gap, Told, find_gap, not_in_graph, store_history};
use crate::room::timeline::Place;
use crate::room::{Room, servers};

/// Fills the gaps that somebody meets who goes back from `from` and looks at `limit` events: the first, then what is the first after
/// that, up to [`BACKFILL_ROUNDS`] times. Where no server of the room answers with history that holds, everything stays as it is.
pub async fn backfill(cx: &Cx, room_id: &RoomId, from: Place, limit: usize) -> Result<(), ApiError> {
    // What is under way is of use to whoever comes next, if not to this client.
    cx.outlive_request();
    // Two who come to a gap at once fill it once.
    let _lane = cx.lane(Lane::History(room_id.clone())).await;
    let until = cx.now() + BACKFILL_TIMEOUT;
    let mut left_open = None;
    for _ in 0..BACKFILL_ROUNDS {
        let plan = cx.step(|step| {
            let Some(room) = Room::find(step, room_id)?.filter(Room::is_resident) else { return Ok(None) };
            let Some(gap) = find_gap(step, &room, from, (limit, left_open))? else { return Ok(None) };
            let mut servers = servers::servers_in(step, &room)?;
            servers.retain(|server| *server != step.config.server_name);
            Ok(Some((room.info.version, gap, servers)))
        })?;
        let Some((version, gap, servers)) = plan else { return Ok(()) };
        let mut filled = 0;
        for server in servers.iter().take(MAX_BACKFILL_SERVERS) {
            match (Asked { cx, server, room_id, version, until, no_answer: &Cell::new(false) }).fill(&gap).await {
                Ok(stored) => filled = stored,
                Err(PduError::Internal(error)) => return Err(error),
                Err(_) => {}
            }
            // If nothing of what came was of use, another one may know better.
            if filled > 0 {
                break;
            }
        }
        if filled == 0 {
            left_open = Some(gap.before);
        }
    }
    Ok(())
}

impl Asked<'_> {
    /// Fetches the history behind a gap and stores it. Gives the number of events that are new in the timeline.
    async fn fill(&self, gap: &Gap) -> Result<usize, PduError> {
        let room = percent_encode(self.room_id);
        let mut target = format!("/_matrix/federation/v1/backfill/{room}?limit={MAX_BACKFILL}");
        for event_id in &gap.missing {
            target.push_str("&v=");
            target.push_str(&percent_encode(event_id));
        }
        let answer = match self.ask(Outgoing::get(target).timeout(QUERY_TIMEOUT)).await {
            Ok(answer) => answer,
            Err(RemoteError::Internal(error)) => return Err(error.into()),
            Err(_) => return Ok(0),
        };
        let events = answer.get("pdus").and_then(Value::as_array).unwrap_or_default();
        let events = events.iter().filter_map(Value::as_object).take(MAX_BACKFILL).cloned().collect();
        let checked = check_history(self.cx, self.version, events).await.into_iter();
        let pdus = checked.filter_map(|checked| in_room(checked, self.room_id).ok());
        let pdus = self.without_known(pdus.collect())?;
        let pdus = in_graph_order(connected(pdus, &gap.missing));
        let mut begins = self.begins(&pdus)?;
        let mut fetched = 0;
        let mut history = Vec::with_capacity(pdus.len());
        for pdu in pdus {
            let mut told = Told::default();
            if let Some(after) = begins.remove(&pdu.event_id).filter(|_| fetched < MAX_BACKFILL_STATES) {
                fetched += 1;
                told = match self.states_after(&pdu, &after).await {
                    Ok(states) => Told { after, states },
                    Err(PduError::Internal(error)) => return Err(error.into()),
                    // Without them the event is left out, and so is what follows it alone.
                    Err(_) => Told::default(),
                };
            }
            history.push((pdu, told));
        }
        Ok(self.in_room(|step, room| store_history(step, room, gap.before, &history))?)
    }

    /// Without what is here already, where the gap ends.
    fn without_known(&self, mut pdus: Vec<Pdu>) -> Result<Vec<Pdu>, ApiError> {
        self.in_room(|step, room| {
            let mut known = BTreeSet::new();
            for pdu in &pdus {
                if room.event(step, &pdu.event_id)?.is_some_and(|event| !event.header.outlier) {
                    known.insert(pdu.event_id.clone());
                }
            }
            pdus.retain(|pdu| !known.contains(&pdu.event_id));
            Ok(pdus)
        })
    }

    /// The events at which a stretch of history begins: those with previous events that are neither in it nor in the graph, and these.
    fn begins(&self, pdus: &[Pdu]) -> Result<BTreeMap<EventId, Vec<EventId>>, ApiError> {
        let among: BTreeSet<&EventId> = pdus.iter().map(|pdu| &pdu.event_id).collect();
        self.in_room(|step, room| {
            let mut begins = BTreeMap::new();
            for pdu in pdus {
                let mut missing = not_in_graph(step, room, pdu)?;
                missing.retain(|event_id| !among.contains(event_id));
                if !missing.is_empty() {
                    begins.insert(pdu.event_id.clone(), missing);
                }
            }
            Ok(begins)
        })
    }
}

/// The events that `ends` lead back to, by way of events that are among them too: others have no place in the gap, whoever sends
/// them.
fn connected(pdus: Vec<Pdu>, ends: &[EventId]) -> Vec<Pdu> {
    let mut by_id: BTreeMap<EventId, Pdu> = pdus.into_iter().map(|pdu| (pdu.event_id.clone(), pdu)).collect();
    let mut ahead: Vec<EventId> = ends.to_vec();
    let mut found = Vec::with_capacity(by_id.len());
    while let Some(event_id) = ahead.pop() {
        if let Some(pdu) = by_id.remove(&event_id) {
            ahead.extend(pdu.prev_events.iter().cloned());
            found.push(pdu);
        }
    }
    found
}

/// Each event after those of its previous events that are among them; otherwise by depth, time and ID. Events in a circle, which no
/// honest server can have made, are left out.
fn in_graph_order(pdus: Vec<Pdu>) -> Vec<Pdu> {
    let mut waits_for: BTreeMap<EventId, usize> = BTreeMap::new();
    let mut followers: BTreeMap<EventId, Vec<EventId>> = BTreeMap::new();
    let ids: BTreeSet<EventId> = pdus.iter().map(|pdu| pdu.event_id.clone()).collect();
    for pdu in &pdus {
        let prev_events: BTreeSet<&EventId> = pdu.prev_events.iter().filter(|prev| ids.contains(*prev)).collect();
        waits_for.insert(pdu.event_id.clone(), prev_events.len());
        for prev in prev_events {
            followers.entry(prev.clone()).or_default().push(pdu.event_id.clone());
        }
    }
    let mut by_id: BTreeMap<EventId, Pdu> = pdus.into_iter().map(|pdu| (pdu.event_id.clone(), pdu)).collect();
    let place = |pdu: &Pdu| Reverse((pdu.depth, pdu.origin_server_ts, pdu.event_id.clone()));
    let mut ready: BinaryHeap<Reverse<(i64, i64, EventId)>> =
        by_id.values().filter(|pdu| waits_for.get(&pdu.event_id) == Some(&0)).map(place).collect();
    let mut sorted = Vec::with_capacity(by_id.len());
    while let Some(Reverse((_, _, event_id))) = ready.pop() {
        for follower in followers.remove(&event_id).unwrap_or_default() {
            let left = waits_for.get_mut(&follower).expect("every event among them waits for a number of others");
            *left -= 1;
            if *left == 0 {
                ready.extend(by_id.get(&follower).map(place));
            }
        }
        sorted.extend(by_id.remove(&event_id));
    }
    sorted
}
