//! The iterative auth checks (Room version 2): a state that grows by the events that it allows.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::conflict::Conflicts;
use super::explain::Phase;
use super::graph::{Graph, Place};
use super::{Error, Room, RoomEvent};
use crate::auth_rules::{AuthState, Verdict, allows, authorize, select_auth_events};
use crate::event::Pdu;
use crate::identifiers::{EventId, UserId};
use crate::store::StorageError;
use crate::store::state_map::{self, Change, Nodes, StateId, StateKeyHash};

/// The most that [`select_auth_events`] selects beside the create event: power levels, join rules, a third-party invite, and the
/// members that are sender, target and authoriser.
const MAX_SELECTED: usize = 6;

/// One resolution under way.
pub(super) struct Resolution<'a> {
    pub room: Room<'a>,
    pub graph: Graph<'a>,
    pub nodes: &'a dyn Nodes,
    /// The first of the states, which has all that they agree on.
    pub first: StateId,
    pub conflicts: &'a Conflicts,
    /// The events that were read, by place.
    events: Vec<Option<RoomEvent>>,
    create: Option<Arc<Pdu>>,
    /// *R*, without what the states agree on.
    resolved: BTreeMap<StateKeyHash, Place>,
    /// *R* has what the states agree on, from the start.
    pub starts_from_agreed: bool,
    /// What the states agree on, as far as it was asked for.
    agreed: BTreeMap<StateKeyHash, Option<Place>>,
    /// The keys of memberships that were asked for.
    members: BTreeMap<UserId, StateKeyHash>,
    pub power_levels: StateKeyHash,
    pub join_rules: StateKeyHash,
    /// How many events were judged.
    pub judged: usize,
    /// Every judgement, if somebody wants to know.
    pub trace: Option<Vec<Judgement>>,
}

/// An event that was judged, for [`super::explain`].
pub(super) struct Judgement {
    pub place: Place,
    pub phase: Phase,
    pub verdict: Verdict,
}

impl Judgement {
    pub fn event_id(&self, resolution: &mut Resolution<'_>) -> Result<EventId, StorageError> {
        Ok(resolution.event(self.place)?.pdu.event_id.clone())
    }
}

impl<'a> Resolution<'a> {
    pub fn new(room: &Room<'a>, nodes: &'a dyn Nodes, first: StateId, conflicts: &'a Conflicts) -> Resolution<'a> {
        Resolution {
            room: *room,
            graph: Graph::new(room.chains),
            nodes,
            first,
            conflicts,
            events: Vec::new(),
            create: None,
            resolved: BTreeMap::new(),
            starts_from_agreed: true,
            agreed: BTreeMap::new(),
            members: BTreeMap::new(),
            power_levels: StateKeyHash::new("m.room.power_levels", ""),
            join_rules: StateKeyHash::new("m.room.join_rules", ""),
            judged: 0,
            trace: None,
        }
    }

    /// The event at a place.
    pub fn event(&mut self, place: Place) -> Result<&RoomEvent, StorageError> {
        if place.at() >= self.events.len() {
            self.events.resize_with(self.graph.len(), || None);
        }
        let slot = &mut self.events[place.at()];
        match slot {
            Some(event) => Ok(event),
            None => Ok(slot.insert(self.room.events.event(self.graph.index(place))?)),
        }
    }

    pub fn pdu(&mut self, place: Place) -> Result<Arc<Pdu>, StorageError> {
        Ok(self.event(place)?.pdu.clone())
    }

    /// The room's create event.
    pub fn create(&mut self) -> Result<Arc<Pdu>, StorageError> {
        match &self.create {
            Some(create) => Ok(create.clone()),
            None => Ok(self.create.insert(self.room.events.event(self.room.create)?.pdu).clone()),
        }
    }

    /// What *R* has at `key`.
    pub fn state(&mut self, key: &StateKeyHash) -> Result<Option<Place>, StorageError> {
        if let Some(place) = self.resolved.get(key) {
            return Ok(Some(*place));
        }
        if !self.starts_from_agreed {
            return Ok(None);
        }
        self.agreed(key)
    }

    /// What all states have at `key`.
    fn agreed(&mut self, key: &StateKeyHash) -> Result<Option<Place>, StorageError> {
        if let Some(known) = self.agreed.get(key) {
            return Ok(*known);
        }
        let event = match self.conflicts.at(key) {
            Some(_) => None,
            None => state_map::get(self.nodes, self.first, key)?,
        };
        let place = event.map(|event| self.graph.meet(event)).transpose()?;
        self.agreed.insert(*key, place);
        Ok(place)
    }

    /// Puts an event into *R*.
    pub fn set(&mut self, place: Place) {
        self.resolved.insert(self.graph.key(place), place);
    }

    /// Takes out of *R* what [`Resolution::set`] put at `key`.
    pub fn unset(&mut self, key: &StateKeyHash) {
        self.resolved.remove(key);
    }

    /// Judges an event on *R*, and puts it there if it is allowed.
    pub fn check(&mut self, place: Place, phase: Phase) -> Result<(), Error> {
        if self.judge(place, phase, true)? {
            self.set(place);
        }
        Ok(())
    }

    /// Whether the rules allow an event in the state *R*. What *R* lacks of the state that they ask for is taken from the
    /// event's own auth events, if `cited` says so and they are not rejected.
    pub fn judge(&mut self, place: Place, phase: Phase, cited: bool) -> Result<bool, Error> {
        let (rules, create, event) = (self.room.rules, self.create()?, self.pdu(place)?);
        let selected =
            select_auth_events(rules, &event.kind, event.state_key.as_deref(), &event.sender, &event.content);
        let mut places = [place; MAX_SELECTED];
        let mut count = 0;
        for (kind, state_key) in selected {
            if kind == "m.room.create" {
                continue;
            }
            let key = self.key_for(place, &event, kind, state_key);
            let found = match self.state(&key)? {
                Some(found) => Some(found),
                None if cited => match self.graph.auth_event_at(place, &key)? {
                    Some(auth) if !self.event(auth)?.rejected => Some(auth),
                    _ => None,
                },
                None => None,
            };
            if let Some(found) = found {
                self.event(found)?;
                places[count] = found;
                count += 1;
            }
        }
        let read = |place: Place| &*self.events[place.at()].as_ref().expect("it was read just now").pdu;
        let state = places.map(read);
        let state = AuthState(&state[..count]);
        let allowed = match &mut self.trace {
            None => allows(rules, &event, &create, &state),
            Some(trace) => {
                let verdict = authorize(rules, &event, &create, &state);
                let allowed = verdict.allowed;
                trace.push(Judgement { place, phase, verdict });
                allowed
            }
        };
        self.judged += 1;
        Ok(allowed)
    }

    /// The key of the state event of `kind` and `state_key`, which `event` needs to be judged.
    fn key_for(&mut self, place: Place, event: &Pdu, kind: &str, state_key: &str) -> StateKeyHash {
        match kind {
            "m.room.power_levels" => self.power_levels,
            "m.room.join_rules" => self.join_rules,
            _ if event.is_state_of(kind, state_key) => self.graph.key(place),
            "m.room.member" if *state_key == *event.sender => {
                let new = || StateKeyHash::new(kind, state_key);
                *self.members.entry(event.sender.clone()).or_insert_with(new)
            }
            _ => StateKeyHash::new(kind, state_key),
        }
    }

    /// The result, as changes to one of the states, whose place is given too.
    pub fn changes(&mut self) -> Result<(usize, Vec<Change>), StorageError> {
        let winner = |key: &StateKeyHash| self.resolved.get(key).map(|place| self.graph.index(*place));
        let base = self.conflicts.nearest(winner);
        let mut changes = Vec::with_capacity(self.conflicts.len());
        for conflict in self.conflicts.iter() {
            let winner = winner(&conflict.key);
            if winner != self.conflicts.in_set(conflict, base) {
                changes.push((conflict.key, winner));
            }
        }
        // What all states agree on takes its place again. What no state has, but the auth difference brought, stays.
        let others: Vec<(StateKeyHash, Place)> = self.resolved.iter().map(|(key, place)| (*key, *place)).collect();
        for (key, place) in others {
            if self.conflicts.at(&key).is_none() && self.agreed(&key)?.is_none() {
                changes.push((key, Some(self.graph.index(place))));
            }
        }
        Ok((base, changes))
    }

    /// What the result has at `key`.
    pub fn result(&mut self, key: &StateKeyHash) -> Result<Option<Place>, StorageError> {
        match self.agreed(key)? {
            Some(agreed) => Ok(Some(agreed)),
            None => Ok(self.resolved.get(key).copied()),
        }
    }
}
