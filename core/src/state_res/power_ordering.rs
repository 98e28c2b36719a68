//! The reverse topological power ordering (Room version 2).

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Error;
use super::checks::Resolution;
use super::graph::Place;
use crate::auth_rules::{PowerLevel, PowerLevels};
use crate::identifiers::EventId;

/// What an event is ordered by among those that may come next: more power, earlier, lesser ID.
type Rank = (Reverse<PowerLevel>, i64, EventId);

/// Sorts `events` with Kahn's algorithm: an event comes after its auth events among them, otherwise the events of the most
/// powerful senders come first.
pub(super) fn sort(resolution: &mut Resolution<'_>, events: &[Place]) -> Result<Vec<Place>, Error> {
    // Events are numbered by their order in `events` here.
    let mut number = vec![u32::MAX; resolution.graph.len()];
    for (nth, place) in (0..).zip(events) {
        number[place.at()] = nth;
    }
    let numbered = |place: Place| number.get(place.at()).copied().filter(|nth| *nth != u32::MAX);
    // Who cites whom, sorted by the cited.
    let mut citations: Vec<(u32, u32)> = Vec::with_capacity(events.len() * 2);
    let mut waits_for = vec![0u32; events.len()];
    let mut ranks: Vec<Option<Rank>> = Vec::with_capacity(events.len());
    for (nth, &place) in (0u32..).zip(events) {
        let graph = &resolution.graph;
        let cited = graph.auth_events(place).iter().filter_map(|auth| numbered(graph.place(*auth)?));
        citations.extend(cited.map(|cited| (cited, nth)));
        ranks.push(Some(rank(resolution, place)?));
    }
    citations.sort_unstable();
    // An event that cites another one twice waits for it once.
    citations.dedup();
    for (_, citing) in &citations {
        waits_for[*citing as usize] += 1;
    }
    let mut ready = BinaryHeap::new();
    let mut make_ready = |nth: u32, ready: &mut BinaryHeap<Reverse<(Rank, u32)>>| {
        let rank = ranks[nth as usize].take().expect("an event is ready once");
        ready.push(Reverse((rank, nth)));
    };
    for nth in (0..).zip(&waits_for).filter(|(_, waits)| **waits == 0).map(|(nth, _)| nth) {
        make_ready(nth, &mut ready);
    }
    let mut sorted = Vec::with_capacity(events.len());
    while let Some(Reverse((_, nth))) = ready.pop() {
        sorted.push(events[nth as usize]);
        let from = citations.partition_point(|(cited, _)| *cited < nth);
        for (_, citing) in citations[from..].iter().take_while(|(cited, _)| *cited == nth) {
            let waits = &mut waits_for[*citing as usize];
            *waits -= 1;
            if *waits == 0 {
                make_ready(*citing, &mut ready);
            }
        }
    }
    Ok(sorted)
}

fn rank(resolution: &mut Resolution<'_>, place: Place) -> Result<Rank, Error> {
    let key = resolution.power_levels;
    let create = resolution.create()?;
    let power_levels = match resolution.graph.auth_event_at(place, &key)? {
        Some(power_levels) => Some(resolution.pdu(power_levels)?),
        None => None,
    };
    let rules = resolution.room.rules;
    let event = &resolution.event(place)?.pdu;
    let power = PowerLevels::new(rules, &*create, power_levels.as_deref()).user(&event.sender);
    Ok((Reverse(power), event.origin_server_ts, event.event_id.clone()))
}
