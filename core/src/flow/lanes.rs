//! Lanes: what must not run side by side runs one after the other, and nothing else waits for it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;

use super::call::Host;
use crate::effect::CallId;
use crate::identifiers::{RoomId, ServerName};

/// What a lane is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Events that come into a room from other servers, and whatever else waits while it changes a room.
    Room(RoomId),
    /// Events of this server that a room's policy server is asked to sign: they keep their order.
    PolicyServer(RoomId),
    /// The fetching of a room's history.
    History(RoomId),
    /// The fetching of a server's signing keys.
    ServerKeys(ServerName),
    /// The asking of notaries for a server's signing keys.
    NotarisedKeys(ServerName),
    /// The resolution of a server's name.
    ServerDiscovery(ServerName),
    /// The transactions that a server sends us: they are taken in their order.
    Origin(ServerName),
}

/// The lanes that somebody is in. A lane that is empty is not here.
#[derive(Debug, Default)]
pub(super) struct Lanes(BTreeMap<Lane, VecDeque<CallId>>);

impl Lanes {
    /// `true` if the lane was empty and is the caller's now.
    pub fn enter(&mut self, lane: &Lane) -> bool {
        if self.0.contains_key(lane) {
            return false;
        }
        self.0.insert(lane.clone(), VecDeque::new());
        true
    }

    /// How many wait for the lane to be left.
    pub fn waiting(&self, lane: &Lane) -> usize {
        self.0.get(lane).map_or(0, VecDeque::len)
    }

    pub fn queue(&mut self, lane: &Lane, call: CallId) {
        self.0.entry(lane.clone()).or_default().push_back(call);
    }

    /// `false` if the call is not in the queue any more: its turn has come.
    pub fn unqueue(&mut self, lane: &Lane, call: CallId) -> bool {
        let Some(queue) = self.0.get_mut(lane) else { return false };
        let before = queue.len();
        queue.retain(|other| *other != call);
        queue.len() < before
    }

    /// Who comes next; without anyone the lane is empty.
    pub fn leave(&mut self, lane: &Lane) -> Option<CallId> {
        let next = self.0.get_mut(lane)?.pop_front();
        if next.is_none() {
            self.0.remove(lane);
        }
        next
    }
}

/// A lane that is the holder's until this is dropped.
pub struct LaneGuard {
    host: Rc<dyn Host>,
    lane: Lane,
}

impl LaneGuard {
    pub(super) fn new(host: Rc<dyn Host>, lane: Lane) -> LaneGuard {
        LaneGuard { host, lane }
    }
}

impl core::fmt::Debug for LaneGuard {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("LaneGuard").field(&self.lane).finish()
    }
}

impl Drop for LaneGuard {
    fn drop(&mut self) {
        self.host.calls().borrow_mut().leave(&self.lane);
    }
}
