//! How much a server keeps in memory, for hosts that watch over it, and what is refused when it is too much.

use alloc::vec::Vec;

use super::{Homeserver, busy};
use crate::error::ApiError;
use crate::http::Method;
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

    /// Refuses what changes something while the storage is far behind: answers come when nobody waits for them any more then, and
    /// whoever has given up and asks again has it fall behind further, for ever.
    pub(super) fn require_storage_for(&self, method: Method) -> Result<(), ApiError> {
        let is_behind = self.world.overlay.borrow_mut().is_behind(self.world.now());
        if is_behind && method != Method::Get { Err(busy()) } else { Ok(()) }
    }

    /// The servers that have yet to be sent something.
    #[must_use]
    pub fn undelivered(&self) -> Vec<ServerName> {
        self.world.destinations.borrow().undelivered().cloned().collect()
    }
}
