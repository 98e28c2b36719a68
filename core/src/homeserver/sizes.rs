//! How much a server keeps in memory, for hosts that watch over it.

use alloc::vec::Vec;

use super::Homeserver;
use crate::identifiers::ServerName;
use crate::store::Storage;

/// How many there are at this moment of what grows with what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Flows under way.
    pub flows: usize,
    /// Commits that are not durable yet.
    pub undurable_commits: usize,
    /// Effects that wait for commits to be durable.
    pub held_effects: usize,
    /// `/sync` requests that wait for news.
    pub waiting_syncs: usize,
    /// Other servers for which something is due.
    pub destinations: usize,
    /// Events and receipts that are queued for them.
    pub due: usize,
}

impl<S: Storage + 'static> Homeserver<S> {
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let destinations = self.world.destinations.borrow();
        Sizes {
            flows: self.executor.under_way(),
            undurable_commits: self.pending_commits(),
            held_effects: self.held_effects(),
            waiting_syncs: self.world.machines.borrow().waiting_syncs(),
            destinations: destinations.len(),
            due: destinations.due(),
        }
    }

    /// The servers that have yet to be sent something.
    #[must_use]
    pub fn undelivered(&self) -> Vec<ServerName> {
        self.world.destinations.borrow().undelivered().cloned().collect()
    }
}
