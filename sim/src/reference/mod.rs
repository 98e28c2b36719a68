//! Naive models of what core does cleverly, written straight from the specification's text: sentence by sentence, over plain
//! maps of events, without regard to cost. They share nothing with core but the format of events, identifiers and signatures. The
//! simulator's checkers and the tests of `core/oracles` ask them what should have come out.

pub mod auth;
pub mod push_rules;
pub mod state_res;
mod state_res_v1;

use orrery_core::event::Pdu;
use orrery_core::identifiers::EventId;
use orrery_core::room_version::RoomVersion;
use std::collections::{BTreeMap, BTreeSet};

use auth::{Asked, Cited, Levels, Power, judge};

/// "The *state* of a room is a map of `(event_type, state_key)` to `event_id`."
pub type State = BTreeMap<(String, String), EventId>;

/// An event of a room.
#[derive(Clone, Debug)]
pub struct Known {
    pub event: Pdu,
    /// It was rejected.
    pub rejected: bool,
}

/// All events of a room.
#[derive(Clone, Debug)]
pub struct Graph {
    pub version: RoomVersion,
    pub create: EventId,
    events: BTreeMap<EventId, Known>,
}

impl Graph {
    /// The room of a create event.
    #[must_use]
    pub fn new(version: RoomVersion, create: Pdu) -> Graph {
        let mut graph = Graph { version, create: create.event_id.clone(), events: BTreeMap::new() };
        graph.add(create, false);
        graph
    }

    pub fn add(&mut self, event: Pdu, rejected: bool) {
        self.events.insert(event.event_id.clone(), Known { event, rejected });
    }

    #[must_use]
    pub fn contains(&self, id: &EventId) -> bool {
        self.events.contains_key(id)
    }

    /// An event of this room.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn event(&self, id: &EventId) -> &Pdu {
        &self.events[id].event
    }

    #[must_use]
    pub fn is_rejected(&self, id: &EventId) -> bool {
        self.events[id].rejected
    }

    /// Whether the rules allow an event of this room in a state. Its auth events and its signatures were checked when it came.
    #[must_use]
    pub fn allows(&self, event: &Pdu, state: &State) -> bool {
        let asked = Asked {
            version: self.version,
            event,
            auth_events: None,
            create: Some(Cited { event: self.event(&self.create), rejected: false }),
            state: &|kind, state_key| {
                let id = state.get(&(kind.to_owned(), state_key.to_owned()))?;
                Some(self.event(id))
            },
            is_signed_by: &|_| true,
        };
        judge(&asked).allowed
    }

    /// The power of an event's sender by its auth events.
    #[must_use]
    pub fn sender_power(&self, of: &EventId) -> Power {
        let power_levels = self.auth_event(of, "m.room.power_levels").map(|id| self.event(id));
        Levels::new(self.version, Some(self.event(&self.create)), power_levels).sender(&self.event(of).sender)
    }

    /// "The *auth chain* of an event *E* is the set containing all of *E*'s auth events, all of *their* auth events, and so on
    /// recursively, stretching back to the start of the room."
    #[must_use]
    pub fn auth_chain(&self, of: &EventId) -> BTreeSet<EventId> {
        let mut chain = BTreeSet::new();
        let mut pending = self.event(of).auth_events.clone();
        while let Some(id) = pending.pop() {
            if chain.insert(id.clone()) {
                pending.extend(self.event(&id).auth_events.iter().cloned());
            }
        }
        chain
    }

    /// The auth event of an event that is of a type and has an empty state key.
    #[must_use]
    pub fn auth_event(&self, of: &EventId, kind: &str) -> Option<&EventId> {
        self.event(of).auth_events.iter().find(|id| self.event(id).is_state_of(kind, ""))
    }
}
