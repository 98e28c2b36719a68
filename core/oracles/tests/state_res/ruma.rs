//! The oracle: the same events in `ruma`'s types.

use std::collections::BTreeMap;
use std::sync::Arc;

use orrery_core::event::Pdu;
use orrery_core::identifiers;
use orrery_oracles::ruma_event::{RumaEvent, ruma_id};
use orrery_sim::reference::state_res::{conflicted_state_subgraph, full_auth_chain};
use orrery_sim::reference::{Graph, State};
use ruma_common::{OwnedEventId, RoomVersionId};
use ruma_events::StateEventType;
use ruma_state_res::StateMap;
use ruma_state_res::utils::event_id_set::EventIdSet;

#[derive(Default)]
pub struct Events(BTreeMap<OwnedEventId, Arc<RumaEvent>>);

impl Events {
    pub fn add(&mut self, pdu: &Pdu, rejected: bool) {
        let event = RumaEvent { rejected, ..RumaEvent::of(pdu) };
        self.0.insert(event.event_id.clone(), Arc::new(event));
    }

    /// What `ruma` resolves these states to.
    pub fn resolve(&self, graph: &Graph, sets: &[State]) -> State {
        let rules = RoomVersionId::try_from(graph.version.as_str()).unwrap().rules().unwrap();
        let chains = sets.iter().map(|set| {
            let mut chain = EventIdSet::new();
            full_auth_chain(graph, set, true).iter().for_each(|event| _ = chain.insert(ruma_id(event)));
            chain
        });
        let maps: Vec<StateMap<OwnedEventId>> = sets
            .iter()
            .map(|set| {
                let entry = |((kind, key), event): (&(String, String), _)| {
                    ((StateEventType::from(kind.as_str()), key.clone()), ruma_id(event))
                };
                set.iter().map(entry).collect()
            })
            .collect();
        let resolved = ruma_state_res::resolve(
            &rules.authorization,
            rules.state_res.v2_rules().unwrap(),
            &maps,
            chains.collect(),
            |event| self.0.get(event).cloned(),
            |conflicted| {
                let conflicted = conflicted.values().flatten();
                let conflicted = conflicted.map(|event| identifiers::EventId::parse(event.as_str()).unwrap()).collect();
                let mut subgraph = EventIdSet::new();
                let found = conflicted_state_subgraph(graph, &conflicted);
                found.iter().for_each(|event| _ = subgraph.insert(ruma_id(event)));
                Some(subgraph)
            },
        );
        let entry = |((kind, key), event): ((StateEventType, String), OwnedEventId)| {
            ((kind.to_string(), key), identifiers::EventId::parse(event.as_str()).unwrap())
        };
        resolved.unwrap().into_iter().map(entry).collect()
    }
}
