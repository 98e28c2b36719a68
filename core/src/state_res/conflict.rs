//! The conflicted state set (Room version 2, "Unconflicted state map and conflicted state set").

use alloc::vec::Vec;
use core::ops::Range;

use super::Error;
use crate::limits::{MAX_FULL_CONFLICTED_SET, MAX_STATE_SETS};
use crate::store::state_map::{Nodes, StateId, StateKeyHash, diff};

/// A set of states, by their place among those that are resolved: a bit each.
pub(super) type Sets = u64;

const _: () = assert!(MAX_STATE_SETS <= Sets::BITS as usize, "each state has a bit");

/// A state key on which the states disagree.
#[derive(Clone, Debug)]
pub(super) struct Conflict {
    pub key: StateKeyHash,
    /// The different events that states have there, among [`Conflicts::events`].
    candidates: Range<usize>,
}

/// All state keys on which the states disagree, in order.
#[derive(Debug)]
pub(super) struct Conflicts {
    conflicts: Vec<Conflict>,
    /// The conflicted state set: by conflict, each event with the states that have it.
    events: Vec<(u32, Sets)>,
    /// All states.
    pub all: Sets,
}

impl Conflicts {
    /// Compares the state `first` with the others. No two of them are equal.
    pub fn find(nodes: &dyn Nodes, first: StateId, others: &[StateId]) -> Result<Conflicts, Error> {
        if others.len() >= MAX_STATE_SETS {
            return Err(Error::TooMuch);
        }
        // What the first state has at a key, what another one has there, and which one that is.
        let mut differences: Vec<(StateKeyHash, u32, Option<u32>, Option<u32>)> = Vec::new();
        for (set, other) in (1u32..).zip(others) {
            diff(nodes, first, *other, &mut |key, ours, theirs| differences.push((*key, set, ours, theirs)))?;
        }
        if others.len() > 1 {
            differences.sort_unstable_by_key(|(key, set, ..)| (*key, *set));
        }
        let all = Sets::MAX >> (Sets::BITS as usize - 1 - others.len());
        let mut found = Conflicts { conflicts: Vec::with_capacity(differences.len()), events: Vec::new(), all };
        found.events.reserve(2 * differences.len());
        for of_key in differences.chunk_by(|a, b| a.0 == b.0) {
            found.add(of_key);
        }
        if found.events.len() > MAX_FULL_CONFLICTED_SET { Err(Error::TooMuch) } else { Ok(found) }
    }

    fn add(&mut self, of_key: &[(StateKeyHash, u32, Option<u32>, Option<u32>)]) {
        let (key, _, first, _) = of_key[0];
        let start = self.events.len();
        let others = of_key.iter().fold(0, |sets, (_, set, ..)| sets | 1 << set);
        self.events.extend(first.map(|event| (event, self.all & !others)));
        for (_, set, _, theirs) in of_key {
            let Some(event) = *theirs else { continue };
            match self.events[start..].iter_mut().find(|(known, _)| *known == event) {
                Some((_, sets)) => *sets |= 1 << set,
                None => self.events.push((event, 1 << set)),
            }
        }
        self.conflicts.push(Conflict { key, candidates: start..self.events.len() });
    }

    /// The state, by place, that has the most of `result` where they disagree, as far as writing it costs: a change costs the
    /// nodes above it, and changes share those.
    pub fn nearest(&self, result: impl Fn(&StateKeyHash) -> Option<u32>) -> usize {
        let results: Vec<(u16, Sets)> = self
            .conflicts
            .iter()
            .map(|conflict| {
                let [high, low, ..] = conflict.key.to_bytes();
                let result = result(&conflict.key);
                let has = self.candidates(conflict).iter().map(|(event, sets)| (Some(*event), *sets));
                let nothing = self.all & !self.candidates(conflict).iter().fold(0, |all, (_, sets)| all | sets);
                let sets = has.chain([(None, nothing)]).find(|(event, _)| *event == result).map_or(0, |(_, sets)| sets);
                (u16::from_be_bytes([high, low]) >> 4, sets)
            })
            .collect();
        let cost = |set: usize| {
            let changed = results.iter().filter(|(_, sets)| sets >> set & 1 == 0).map(|(node, _)| *node);
            changed.fold((0, None), |(cost, last), node| (cost + usize::from(last != Some(node)), Some(node))).0
        };
        (0..=self.all.ilog2() as usize).min_by_key(|set| cost(*set)).unwrap_or(0)
    }

    pub fn len(&self) -> usize {
        self.conflicts.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.iter()
    }

    /// The conflicted state set, each event with the states that have it.
    pub fn events(&self) -> &[(u32, Sets)] {
        &self.events
    }

    /// What one of the states, by place, has at a key.
    pub fn in_set(&self, of: &Conflict, set: usize) -> Option<u32> {
        self.candidates(of).iter().find(|(_, sets)| sets >> set & 1 == 1).map(|(event, _)| *event)
    }

    /// The different events at a key, each with the states that have it.
    pub fn candidates(&self, of: &Conflict) -> &[(u32, Sets)] {
        &self.events[of.candidates.clone()]
    }

    /// The conflict at `key`; `None` where the states agree.
    pub fn at(&self, key: &StateKeyHash) -> Option<&Conflict> {
        let place = self.conflicts.binary_search_by_key(key, |conflict| conflict.key);
        place.ok().map(|place| &self.conflicts[place])
    }
}
