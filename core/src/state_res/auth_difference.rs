//! The auth difference (Room version 2): the events in some states' full auth chains, but not in all.
//!
//! Each event is painted with the states that reach it, from the newest event down. The conflicted events are painted to begin
//! with; an event that all states have is painted with all of them when it is met. Where only events painted with all states
//! are left, everything below is shared as well, and the walk ends.
//!
//! That leaves events that no conflicted event of some state reaches, but one of the many events that the states agree on
//! might. The event that stands at the same key in all states is asked at once, and nearly always answers; for the rest, the
//! state events that are newer than the oldest such event are gone through, because no older event can reach it. Between
//! branches of honest servers those are the events since the branches parted; an event that cites what nobody cited for long
//! makes it more, at well below a microsecond each.

use alloc::collections::{BTreeSet, BinaryHeap};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::conflict::{Conflicts, Sets};
use super::graph::{Graph, Place};
use crate::store::StorageError;
use crate::store::state_map::{self, Nodes, StateId};

/// The events of the auth difference that are not in the conflicted state set.
pub(super) fn auth_difference(
    graph: &mut Graph<'_>,
    nodes: &dyn Nodes,
    first: StateId,
    conflicts: &Conflicts,
) -> Result<BTreeSet<u32>, StorageError> {
    let mut walk = Walk {
        graph,
        nodes,
        first,
        conflicts,
        met: Vec::new(),
        queue: BinaryHeap::new(),
        expanding: 0,
        partial: BTreeSet::new(),
    };
    for (event, sets) in conflicts.events() {
        let place = walk.graph.meet(*event)?;
        walk.met_at(place).conflicted = true;
        walk.paint(place, *sets);
    }
    walk.run()?;
    walk.ask_the_rest()?;
    Ok(walk.partial)
}

/// What is known of an event that was met.
#[derive(Clone, Copy, Default)]
struct Met {
    sets: Sets,
    conflicted: bool,
    queued: bool,
}

struct Walk<'w, 'a> {
    graph: &'w mut Graph<'a>,
    nodes: &'w dyn Nodes,
    first: StateId,
    conflicts: &'w Conflicts,
    /// By place.
    met: Vec<Met>,
    /// The events whose paint has yet to run down.
    queue: BinaryHeap<u32>,
    /// How many of them are not painted with all states.
    expanding: usize,
    /// The events that are painted, but not with all states, and not conflicted.
    partial: BTreeSet<u32>,
}

impl Walk<'_, '_> {
    fn met_at(&mut self, place: Place) -> &mut Met {
        if place.at() >= self.met.len() {
            self.met.resize(self.graph.len(), Met::default());
        }
        &mut self.met[place.at()]
    }

    fn paint(&mut self, place: Place, sets: Sets) {
        let all = self.conflicts.all;
        let index = self.graph.index(place);
        let met = self.met_at(place);
        let before = met.sets;
        met.sets |= sets;
        let after = met.sets;
        if after == before {
            return;
        }
        let (was_queued, conflicted) = (core::mem::replace(&mut met.queued, true), met.conflicted);
        if !was_queued {
            self.queue.push(index);
        }
        let expanded_before = was_queued && before != all;
        self.expanding = self.expanding + usize::from(after != all) - usize::from(expanded_before);
        if !conflicted {
            if after == all {
                self.partial.remove(&index);
            } else if before == 0 {
                self.partial.insert(index);
            }
        }
    }

    fn run(&mut self) -> Result<(), StorageError> {
        while let Some(&newest) = self.queue.peek() {
            if self.expanding == 0 && self.partial.first().is_none_or(|oldest| newest <= *oldest) {
                break;
            }
            self.queue.pop();
            let place = self.graph.meet(newest)?;
            let met = self.met_at(place);
            met.queued = false;
            let sets = met.sets;
            self.expanding -= usize::from(sets != self.conflicts.all);
            for nth in 0..self.graph.auth_events(place).len() {
                let auth = self.graph.auth_events(place)[nth];
                self.reach(auth, sets)?;
            }
        }
        Ok(())
    }

    /// Paints an event that one painted with `sets` cites.
    fn reach(&mut self, index: u32, sets: Sets) -> Result<(), StorageError> {
        let place = self.graph.meet(index)?;
        let met = *self.met_at(place);
        if met.sets == 0 && !met.conflicted && sets != self.conflicts.all {
            let key = self.graph.key(place);
            if self.conflicts.at(&key).is_none()
                && let Some(agreed) = state_map::get(self.nodes, self.first, &key)?
            {
                if agreed == index {
                    self.paint(place, self.conflicts.all);
                    return Ok(());
                }
                // An event older than this one cannot reach it.
                if agreed > index {
                    let agreed = self.graph.meet(agreed)?;
                    self.paint(agreed, self.conflicts.all);
                }
            }
        }
        self.paint(place, sets);
        Ok(())
    }

    /// Takes out of [`Walk::partial`] what an event that the states agree on reaches.
    fn ask_the_rest(&mut self) -> Result<(), StorageError> {
        let Some(&oldest) = self.partial.first() else { return Ok(()) };
        let all = self.conflicts.all;
        // Events that were not met before, and that all states reach.
        let mut reached = BTreeSet::new();
        let mut result = Ok(());
        self.graph.chains().newer_than(oldest, &mut |index, row| {
            let Some(&oldest) = self.partial.first().filter(|oldest| **oldest < index) else {
                return ControlFlow::Break(());
            };
            // Most events cite what is older than any in question.
            if row.auth_events().iter().all(|auth| *auth < oldest) {
                return ControlFlow::Continue(());
            }
            let shared = match self.graph.place(index).and_then(|place| self.met.get(place.at())) {
                Some(met) if met.sets != 0 => met.sets == all,
                _ if reached.remove(&index) => true,
                _ if self.conflicts.at(&row.key).is_some() => false,
                _ => match state_map::get(self.nodes, self.first, &row.key) {
                    Ok(agreed) => agreed == Some(index),
                    Err(error) => {
                        result = Err(error);
                        return ControlFlow::Break(());
                    }
                },
            };
            for &auth in row.auth_events().iter().filter(|_| shared) {
                match self.graph.place(auth).and_then(|place| self.met.get_mut(place.at())) {
                    Some(met) if met.sets != 0 => {
                        met.sets = all;
                        self.partial.remove(&auth);
                    }
                    _ => {
                        reached.insert(auth);
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        result
    }
}
