//! The requests that wait for something to happen.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;

use super::super::request::ClientRequest;
use super::super::token::EphemeralToken;
use super::active::Slot;
use super::request::SyncRequest;
use crate::input::RequestId;
use crate::store::tables::Position;
use crate::time::Timestamp;

/// A sync that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub slot: Slot,
    pub request: Rc<ClientRequest>,
    pub asked: Rc<SyncRequest>,
    /// How far it has looked: nothing up to there is news to it.
    pub since: Position,
    pub ephemeral: EphemeralToken,
    pub deadline: Timestamp,
}

/// Every sync that waits.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiters: BTreeMap<RequestId, Waiter>,
    by_deadline: BTreeSet<(Timestamp, RequestId)>,
}

impl Waiters {
    pub fn add(&mut self, waiter: Waiter) {
        self.by_deadline.insert((waiter.deadline, waiter.request.id));
        self.waiters.insert(waiter.request.id, waiter);
    }

    pub fn remove(&mut self, id: RequestId) -> Option<Waiter> {
        let waiter = self.waiters.remove(&id)?;
        self.by_deadline.remove(&(waiter.deadline, id));
        Some(waiter)
    }

    pub fn get(&self, id: RequestId) -> Option<&Waiter> {
        self.waiters.get(&id)
    }

    /// The waiter has looked this far and goes on waiting.
    pub fn advance(&mut self, id: RequestId, since: Position, ephemeral: EphemeralToken) {
        if let Some(waiter) = self.waiters.get_mut(&id) {
            waiter.since = since;
            waiter.ephemeral = ephemeral;
        }
    }

    /// The waiter whose time is over first.
    pub fn first(&self) -> Option<(Timestamp, RequestId)> {
        self.by_deadline.first().copied()
    }

    pub fn len(&self) -> usize {
        self.waiters.len()
    }
}
