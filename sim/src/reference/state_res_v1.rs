//! State resolution of room version 1.

use orrery_core::identifiers::EventId;
use sha1::{Digest, Sha1};

use super::state_res::Conflicted;
use super::{Graph, State};

/// *R* is built up in passes: power levels, join rules, members, everything else.
pub fn resolve(graph: &Graph, mut r: State, conflicted: Conflicted) -> State {
    for kind in ["m.room.power_levels", "m.room.join_rules", "m.room.member"] {
        // Members are many keys; the text does not say in which order, and here none sees another's result.
        let before = r.clone();
        let is_of_kind = |(of, key): &(String, String)| of == kind && (key.is_empty() || kind != "m.room.power_levels");
        for (key, events) in conflicted.iter().filter(|(key, _)| is_of_kind(key)) {
            let list = sorted(graph, events);
            let mut passing = before.clone();
            passing.insert(key.clone(), list[0].clone());
            for event in &list[1..] {
                if !graph.allows(graph.event(event), &passing) {
                    break;
                }
                passing.insert(key.clone(), event.clone());
            }
            r.insert(key.clone(), passing[key].clone());
        }
    }
    let before = r.clone();
    for (key, events) in conflicted.iter().filter(|(key, _)| !before.contains_key(*key)) {
        let list = sorted(graph, events);
        // "Just pick the event with the highest depth and lowest `sha1(event_id)` that passes authentication in *R*." The text
        // does not say what to pick if none does.
        let picked = list.iter().rev().find(|event| graph.allows(graph.event(event), &before));
        r.insert(key.clone(), picked.unwrap_or(&list[0]).clone());
    }
    r
}

/// "By ascending `depth` then descending `sha1(event_id)`."
fn sorted(graph: &Graph, events: &std::collections::BTreeSet<EventId>) -> Vec<EventId> {
    let mut list: Vec<EventId> = events.iter().cloned().collect();
    list.sort_by_key(|id| {
        let hash: [u8; 20] = Sha1::digest(id.as_bytes()).into();
        (graph.event(id).depth, std::cmp::Reverse(hash))
    });
    list
}
