//! The algorithm of room versions 2 to 11, and its variant of version 12 ("Algorithm").

use alloc::vec;
use alloc::vec::Vec;

use super::auth_difference::auth_difference;
use super::checks::Resolution;
use super::explain::Phase;
use super::graph::Place;
use super::subgraph::conflicted_state_subgraph;
use super::{Error, mainline, power_ordering};
use crate::event::Pdu;
use crate::event::content::Membership;
use crate::limits::MAX_FULL_CONFLICTED_SET;

/// Resolves. `v2_1` is the variant: the checks start from the empty state, and the conflicted state subgraph is in conflict.
pub(super) fn run(resolution: &mut Resolution<'_>, v2_1: bool) -> Result<(), Error> {
    let full = full_conflicted_set(resolution, v2_1)?;
    let picked = power_events(resolution, &full)?;
    let power_events: Vec<Place> = full.iter().copied().filter(|place| picked[place.at()]).collect();
    let ordered = power_ordering::sort(resolution, &power_events)?;
    resolution.starts_from_agreed = !v2_1;
    for place in ordered {
        resolution.check(place, Phase::Power)?;
    }
    let key = resolution.power_levels;
    let power_levels = resolution.state(&key)?;
    let remaining: Vec<Place> = full.into_iter().filter(|place| !picked[place.at()]).collect();
    for (place, position) in mainline::sort(resolution, power_levels, &remaining)? {
        resolution.check(place, Phase::Mainline(position))?;
    }
    Ok(())
}

/// "Full conflicted set".
fn full_conflicted_set(resolution: &mut Resolution<'_>, v2_1: bool) -> Result<Vec<Place>, Error> {
    let (graph, conflicts) = (&mut resolution.graph, resolution.conflicts);
    let mut more = auth_difference(graph, resolution.nodes, resolution.first, conflicts)?;
    if v2_1 {
        conflicted_state_subgraph(graph, conflicts, &mut more)?;
    }
    let events = conflicts.events();
    if events.len() + more.len() > MAX_FULL_CONFLICTED_SET {
        return Err(Error::TooMuch);
    }
    let mut full = Vec::with_capacity(events.len() + more.len());
    for event in events.iter().map(|(event, _)| *event).chain(more) {
        full.push(graph.meet(event)?);
    }
    Ok(full)
}

/// Which events of the full conflicted set are power events, or in a power event's auth chain there: by place.
fn power_events(resolution: &mut Resolution<'_>, full: &[Place]) -> Result<Vec<bool>, Error> {
    let mut in_full = vec![false; resolution.graph.len()];
    for place in full {
        in_full[place.at()] = true;
    }
    let mut picked = vec![false; resolution.graph.len()];
    let mut pending = Vec::new();
    for &place in full {
        if is_power_event(&resolution.event(place)?.pdu) {
            pending.push(place);
        }
    }
    while let Some(place) = pending.pop() {
        if core::mem::replace(&mut picked[place.at()], true) {
            continue;
        }
        let graph = &resolution.graph;
        let met = graph.auth_events(place).iter().filter_map(|auth| graph.place(*auth));
        pending.extend(met.filter(|auth| in_full.get(auth.at()) == Some(&true)));
    }
    Ok(picked)
}

/// "Power events": those that might take away somebody's ability to do something.
pub(super) fn is_power_event(event: &Pdu) -> bool {
    match event.kind.as_str() {
        "m.room.power_levels" | "m.room.join_rules" => event.state_key.as_deref() == Some(""),
        "m.room.member" => {
            matches!(event.membership(), Some(Membership::Leave | Membership::Ban))
                && event.state_key.as_deref() != Some(&event.sender)
        }
        _ => false,
    }
}
