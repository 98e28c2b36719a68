//! The time that the server goes by. It is the host's, except that it never runs backwards and never stands still: when the host's
//! clock is set back, time goes on from where it was, a little slower than the host's, until that has come up with it. So nobody
//! waits for an hour because a clock was an hour ahead.

use super::{Homeserver, World};
use crate::store::Storage;
use crate::time::Timestamp;

/// While the server is ahead, one of so many milliseconds of the host's does not count.
const ONE_IN: u64 = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The last reading of the host's clock.
    host: Timestamp,
    /// How many milliseconds the server is ahead of that.
    ahead: u64,
    /// Milliseconds that have counted since the last one that did not: fewer than [`ONE_IN`].
    counted: u64,
}

impl Clock {
    pub fn new(host: Timestamp) -> Clock {
        Clock { host, ahead: 0, counted: 0 }
    }

    /// What the time is.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.host.0.saturating_add(self.ahead))
    }

    /// The host's clock shows this.
    pub fn read(&mut self, host: Timestamp) {
        let passed = host.since(self.host);
        // Set back: how much time has passed nobody knows, so none has.
        self.ahead = self.ahead.saturating_add(self.host.since(host));
        let counted = self.counted.saturating_add(passed);
        self.ahead = self.ahead.saturating_sub(counted / ONE_IN);
        self.counted = counted % ONE_IN;
        self.host = host;
    }

    /// What the host's clock shows when the time is `at`, if it runs on evenly; what it shows now if that is past.
    pub fn host_at(&self, at: Timestamp) -> Timestamp {
        let left = at.since(self.now());
        // Of so many milliseconds `left` count, at the slower pace.
        let slowly = left.saturating_add(left.div_ceil(ONE_IN - 1));
        Timestamp(self.host.0.saturating_add(slowly.min(left.saturating_add(self.ahead))))
    }
}

impl<S: Storage + 'static> Homeserver<S> {
    /// The time as the server counts it: what the host's clock shows, and more for a while after that was set back.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// When the next [`Input::Wake`](crate::input::Input::Wake) is due, by the host's clock.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.world.machines.borrow().next_deadline(),
            self.world.calls.borrow().next_deadline(),
            self.world.destinations.borrow().next_deadline(),
        ];
        let clock = self.world.clock.get();
        deadlines.into_iter().flatten().min().map(|deadline| clock.host_at(deadline))
    }
}

impl<S> World<S> {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.get().now()
    }
}

#[cfg(test)]
mod tests;
