//! The durability barrier: no effect leaves before every commit that came before it is durable.

use alloc::collections::VecDeque;

use crate::effect::{Batch, CommitId, Effect};

/// Effects on their way to the host, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    commits: VecDeque<Effect>,
    /// Each with the last commit that it must wait for.
    held: VecDeque<(CommitId, Effect)>,
    last: CommitId,
    durable: CommitId,
}

impl Outbox {
    /// Numbers a batch and sends it off.
    pub fn commit(&mut self, batch: Batch) -> CommitId {
        self.last.0 += 1;
        self.commits.push_back(Effect::Commit { id: self.last, batch });
        self.last
    }

    /// Queues any other effect behind the commits so far.
    pub fn push(&mut self, effect: Effect) {
        debug_assert!(!matches!(effect, Effect::Commit { .. }), "commits are numbered by `commit`");
        self.held.push_back((self.last, effect));
    }

    pub fn durable(&mut self, id: CommitId) {
        assert!(id <= self.last, "the host answers only for commits that it was given");
        self.durable = self.durable.max(id);
    }

    /// The next effect that may leave.
    pub fn pop(&mut self) -> Option<Effect> {
        if let Some(commit) = self.commits.pop_front() {
            return Some(commit);
        }
        if self.held.front()?.0 > self.durable {
            return None;
        }
        self.held.pop_front().map(|(_, effect)| effect)
    }

    /// Effects that wait for the disk.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }
}
