//! Listings of whole auth chains. They cost what they list, and memory of a bit for each event up to the newest one.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::AuthChains;
use crate::store::StorageError;
use crate::store::state_map::{Nodes, StateId, walk};

/// The auth chain of `events` (Room version 2, "Auth chain"): their auth events, the auth events of those, and so on. In the
/// order of indices, so that each event comes after its own auth events. An event of `events` is among them if another one's
/// chain has it.
pub fn chain_of_events(chains: &dyn AuthChains, events: &[u32]) -> Result<Vec<u32>, StorageError> {
    let (mut reached, mut cited) = (BitSet::default(), BitSet::default());
    for &event in events {
        reached.insert(event);
    }
    let mut before = u32::MAX;
    while let Some(event) = reached.last_below(before) {
        for &auth in chains.row(event)?.auth_events() {
            reached.insert(auth);
            cited.insert(auth);
        }
        before = event;
    }
    Ok(cited.into_sorted())
}

/// The full auth chain of `state` (Room version 2, "Auth difference"): the union of the auth chains of its events.
pub fn chain_of_state(chains: &dyn AuthChains, nodes: &dyn Nodes, state: StateId) -> Result<Vec<u32>, StorageError> {
    let mut events = Vec::new();
    walk(nodes, state, None, &mut |_, event| {
        events.push(event);
        ControlFlow::Continue(())
    })?;
    chain_of_events(chains, &events)
}

/// A set of indices.
#[derive(Default)]
struct BitSet(Vec<u64>);

impl BitSet {
    fn insert(&mut self, index: u32) {
        let word = index as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (index % 64);
    }

    /// The greatest index in it that is less than `before`.
    fn last_below(&self, before: u32) -> Option<u32> {
        let (mut word, mut mask) = (before as usize / 64, (1u64 << (before % 64)) - 1);
        if word >= self.0.len() {
            (word, mask) = (self.0.len().checked_sub(1)?, u64::MAX);
        }
        loop {
            let bits = self.0[word] & mask;
            if bits != 0 {
                return Some(word as u32 * 64 + 63 - bits.leading_zeros());
            }
            (word, mask) = (word.checked_sub(1)?, u64::MAX);
        }
    }

    fn into_sorted(self) -> Vec<u32> {
        let mut out = Vec::with_capacity(self.0.iter().map(|word| word.count_ones() as usize).sum());
        for (word, bits) in (0u32..).zip(self.0) {
            out.extend((0..64).filter(|bit| bits >> bit & 1 == 1).map(|bit| word * 64 + bit));
        }
        out
    }
}
