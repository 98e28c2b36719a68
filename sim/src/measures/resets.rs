//! State resets, by a definition that holds for every version of state resolution (`sim/README.md`, "State resets").
//!
//! An event *E* arrives at a server, whose current state of the room was *S* and is *S'*. Under a key, *S* had the event *v*. The key
//! is *reset* if
//!
//! 1. *S'* has there an event that is before *v* in the graph of events, or nothing;
//! 2. and none of the events that *E* brings in explains that. They are *E* and what is before it, without what is before the
//!    forward extremities that the room had. One of them explains it that is not before *v*, was not rejected, and
//!    - is a state event of the same key; or
//!    - is the room's create event, its power levels, its join rules, an invite by a third party or a membership other than `join`,
//!      under a key on which it depends whether *v* is allowed: a key that the auth events of *v*, or of an event in its auth chain,
//!      are selected by.
//!
//! So a branch that loses against one that it did not know is no reset, and neither is what a ban takes away that somebody made on the
//! other branch. What nobody undid and is undone all the same is one.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::auth_rules::select_auth_events;
use orrery_core::event::Pdu;
use orrery_core::event::content::Membership;
use orrery_core::identifiers::EventId;
use orrery_core::room_version::RoomVersion;

/// A type and a state key.
pub type Key = (String, String);

/// The events of a room, as somebody sees them who sees all servers.
pub trait Events {
    fn version(&self) -> RoomVersion;
    /// An event, if any server has it.
    fn event(&self, id: &EventId) -> Option<Pdu>;
    /// Whether the server in question has rejected it.
    fn is_rejected(&self, id: &EventId) -> bool;
}

/// The arrival of an event.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The events that arrived: one, or none for a state that changes with no event.
    pub events: &'a [EventId],
    /// The forward extremities before.
    pub extremities: &'a [EventId],
    /// What changed: the key, what was there and what is.
    pub changes: &'a [(Key, Option<EventId>, Option<EventId>)],
}

/// The keys that an arrival resets.
#[must_use]
pub fn find(events: &dyn Events, arrival: &Arrival<'_>) -> Vec<Key> {
    let mut graph = Graph { events, known: BTreeMap::new() };
    let mut brought: Option<Vec<EventId>> = None;
    let mut resets = Vec::new();
    for (key, was, is) in arrival.changes {
        let Some(was) = was else { continue };
        if is.as_ref().is_some_and(|is| arrival.events.contains(is)) {
            continue;
        }
        let before = graph.ancestors(std::slice::from_ref(was));
        if is.as_ref().is_some_and(|is| !before.contains(is)) {
            continue;
        }
        let brought = brought.get_or_insert_with(|| {
            let old = graph.ancestors(arrival.extremities);
            graph.ancestors(arrival.events).into_iter().filter(|id| !old.contains(id)).collect()
        });
        let keys = graph.depends_on(was);
        let explains = |id: &EventId, graph: &mut Graph<'_>| {
            !before.contains(id) && !events.is_rejected(id) && graph.undoes(id, key, &keys)
        };
        if !brought.iter().any(|id| explains(id, &mut graph)) {
            resets.push(key.clone());
        }
    }
    resets
}

/// Events, each asked for once.
struct Graph<'e> {
    events: &'e dyn Events,
    known: BTreeMap<EventId, Option<Pdu>>,
}

impl Graph<'_> {
    fn event(&mut self, id: &EventId) -> Option<&Pdu> {
        if !self.known.contains_key(id) {
            self.known.insert(id.clone(), self.events.event(id));
        }
        self.known[id].as_ref()
    }

    /// These events and all before them, along `edges`.
    fn reach(&mut self, from: &[EventId], edges: impl Fn(&Pdu) -> &[EventId]) -> BTreeSet<EventId> {
        let mut reached: BTreeSet<EventId> = from.iter().cloned().collect();
        let mut pending = from.to_vec();
        while let Some(id) = pending.pop() {
            let Some(event) = self.event(&id) else { continue };
            for next in edges(event).to_vec() {
                if reached.insert(next.clone()) {
                    pending.push(next);
                }
            }
        }
        reached
    }

    /// In the graph of events.
    fn ancestors(&mut self, of: &[EventId]) -> BTreeSet<EventId> {
        self.reach(of, |event| &event.prev_events)
    }

    /// The keys on which it depends whether an event is allowed.
    fn depends_on(&mut self, id: &EventId) -> BTreeSet<Key> {
        let rules = self.events.version().rules();
        let mut keys = BTreeSet::new();
        for id in self.reach(std::slice::from_ref(id), |event| &event.auth_events) {
            let Some(event) = self.event(&id) else { continue };
            let selected =
                select_auth_events(rules, &event.kind, event.state_key.as_deref(), &event.sender, &event.content);
            keys.extend(selected.into_iter().map(|(kind, state_key)| (kind.to_owned(), state_key.to_owned())));
        }
        keys
    }

    /// Whether an event can be why what was under `key`, and depends on `keys`, is no more.
    fn undoes(&mut self, id: &EventId, key: &Key, keys: &BTreeSet<Key>) -> bool {
        let Some(event) = self.event(id) else { return false };
        let Some(state_key) = event.state_key.clone() else { return false };
        let own = (event.kind.clone(), state_key);
        own == *key || (keys.contains(&own) && event.membership() != Some(Membership::Join))
    }
}
