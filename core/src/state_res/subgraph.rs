//! The conflicted state subgraph (Room version 12): all events on paths of auth events from one conflicted event to another.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::conflict::Conflicts;
use super::graph::Graph;
use crate::store::StorageError;

/// Adds the events of the subgraph that are not in the conflicted state set.
pub(super) fn conflicted_state_subgraph(
    graph: &mut Graph<'_>,
    conflicts: &Conflicts,
    to: &mut BTreeSet<u32>,
) -> Result<(), StorageError> {
    let Some(oldest) = conflicts.events().iter().map(|(event, _)| *event).min() else { return Ok(()) };
    // Down from the conflicted events, as far as there are any: what is older leads to none.
    let mut conflicted: Vec<u32> = conflicts.events().iter().map(|(event, _)| *event).collect();
    conflicted.sort_unstable();
    let mut seen = Vec::new();
    let mut below: Vec<u32> = Vec::new();
    let mut pending = conflicted.clone();
    while let Some(event) = pending.pop() {
        let place = graph.meet(event)?;
        if place.at() >= seen.len() {
            seen.resize(graph.len(), false);
        }
        if !core::mem::replace(&mut seen[place.at()], true) {
            below.push(event);
            pending.extend(graph.auth_events(place).iter().filter(|auth| **auth >= oldest));
        }
    }
    below.sort_unstable();
    // And up again: on a path is what is conflicted or cites what is.
    let mut on_path = alloc::vec![false; graph.len()];
    for event in below {
        let place = graph.meet(event)?;
        let is_conflicted = conflicted.binary_search(&event).is_ok();
        let leads = |auth: &u32| graph.place(*auth).is_some_and(|place| on_path[place.at()]);
        if is_conflicted || graph.auth_events(place).iter().any(leads) {
            on_path[place.at()] = true;
            if !is_conflicted {
                to.insert(event);
            }
        }
    }
    Ok(())
}
