//! The workload as `ruma-state-res` has it, and what its caller has to do: the states' full auth chains, and the conflicted
//! state subgraph of version 12.

use std::collections::BTreeMap;
use std::sync::Arc;

use orrery_core::identifiers;
use orrery_oracles::ruma_event::{RumaEvent, ruma_id};
use ruma_common::room_version_rules::RoomVersionRules;
use ruma_common::{OwnedEventId, RoomVersionId};
use ruma_events::StateEventType;
use ruma_state_res::StateMap;
use ruma_state_res::utils::event_id_map::EventIdMap;
use ruma_state_res::utils::event_id_set::EventIdSet;

use crate::workload::{State, Workload};

pub struct Theirs {
    rules: RoomVersionRules,
    events: EventIdMap<OwnedEventId, Arc<RumaEvent>>,
    sides: [StateMap<OwnedEventId>; 2],
}

impl Theirs {
    pub fn new(workload: &Workload) -> Theirs {
        let version = RoomVersionId::try_from(workload.version.as_str()).expect("a room version");
        let mut events = EventIdMap::new();
        for pdu in &workload.events {
            events.insert(ruma_id(&pdu.event_id), Arc::new(RumaEvent::of(pdu)));
        }
        let sides = workload.sides.each_ref().map(|state: &State| {
            let entry = |((kind, key), event): (&(String, String), _)| {
                ((StateEventType::from(kind.as_str()), key.clone()), ruma_id(event))
            };
            state.iter().map(entry).collect()
        });
        Theirs { rules: version.rules().expect("a known version"), events, sides }
    }

    pub fn auth_chains(&self) -> Vec<EventIdSet<OwnedEventId>> {
        self.sides.iter().map(|side| self.reached(side.values())).collect()
    }

    fn reached<'e>(&'e self, from: impl Iterator<Item = &'e OwnedEventId>) -> EventIdSet<OwnedEventId> {
        let mut reached = EventIdSet::new();
        let mut pending: Vec<&OwnedEventId> = from.collect();
        while let Some(event) = pending.pop() {
            if !reached.contains(event) {
                reached.insert(event.clone());
                pending.extend(&self.events.get(event).expect("it is there").auth_events);
            }
        }
        reached
    }

    fn subgraph(&self, conflicted: &StateMap<Vec<OwnedEventId>>) -> EventIdSet<OwnedEventId> {
        let below = self.reached(conflicted.values().flatten());
        let mut cited_by: EventIdMap<OwnedEventId, Vec<&OwnedEventId>> = EventIdMap::new();
        for event in below.iter() {
            for auth in &self.events.get(event).expect("it is there").auth_events {
                cited_by.entry(auth.clone()).or_default().push(event);
            }
        }
        let mut subgraph = EventIdSet::new();
        let mut pending: Vec<&OwnedEventId> = conflicted.values().flatten().collect();
        while let Some(event) = pending.pop() {
            if !subgraph.contains(event) {
                subgraph.insert(event.clone());
                pending.extend(cited_by.get(event).into_iter().flatten());
            }
        }
        subgraph
    }

    pub fn resolve(&self) -> StateMap<OwnedEventId> {
        ruma_state_res::resolve(
            &self.rules.authorization,
            self.rules.state_res.v2_rules().expect("version 2 or newer"),
            &self.sides,
            self.auth_chains(),
            |event| self.events.get(event).cloned(),
            |conflicted| Some(self.subgraph(conflicted)),
        )
        .expect("the events are whole")
    }

    /// The resolved state, to compare.
    pub fn resolved_state(&self) -> State {
        let entry = |((kind, key), event): ((StateEventType, String), OwnedEventId)| {
            ((kind.to_string(), key), identifiers::EventId::parse(event.as_str()).expect("an event ID"))
        };
        self.resolve().into_iter().map(entry).collect::<BTreeMap<_, _>>()
    }
}
