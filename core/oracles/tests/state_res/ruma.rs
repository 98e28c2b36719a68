//! The oracle: the same events in `ruma`'s types.

use std::collections::BTreeMap;
use std::sync::Arc;

use orrery_core::event::Pdu;
use orrery_core::identifiers;
use orrery_sim::reference::state_res::{conflicted_state_subgraph, full_auth_chain};
use orrery_sim::reference::{Graph, State};
use ruma_common::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId};
use ruma_events::{StateEventType, TimelineEventType};
use ruma_state_res::StateMap;
use ruma_state_res::utils::event_id_set::EventIdSet;
use serde_json::value::RawValue;

pub struct Event {
    event_id: OwnedEventId,
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    kind: TimelineEventType,
    content: Box<RawValue>,
    state_key: Option<String>,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    rejected: bool,
}

#[derive(Default)]
pub struct Events(BTreeMap<OwnedEventId, Arc<Event>>);

impl Events {
    pub fn add(&mut self, pdu: &Pdu, rejected: bool) {
        let content = String::from_utf8(pdu.content_bytes().to_vec()).unwrap();
        // A create event of version 12 that states none is its own.
        let room_id = (!pdu.names_room(&pdu.room_id)).then(|| OwnedRoomId::try_from(pdu.room_id.as_str()).unwrap());
        let event = Event {
            event_id: id(&pdu.event_id),
            room_id,
            sender: OwnedUserId::try_from(pdu.sender.as_str()).unwrap(),
            kind: TimelineEventType::from(pdu.kind.as_str()),
            content: RawValue::from_string(content).unwrap(),
            state_key: pdu.state_key.clone(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(u32::try_from(pdu.origin_server_ts).unwrap().into()),
            prev_events: pdu.prev_events.iter().map(id).collect(),
            auth_events: pdu.auth_events.iter().map(id).collect(),
            rejected,
        };
        self.0.insert(event.event_id.clone(), Arc::new(event));
    }

    /// What `ruma` resolves these states to.
    pub fn resolve(&self, graph: &Graph, sets: &[State]) -> State {
        let rules = RoomVersionId::try_from(graph.version.as_str()).unwrap().rules().unwrap();
        let chains = sets.iter().map(|set| {
            let mut chain = EventIdSet::new();
            full_auth_chain(graph, set, true).iter().for_each(|event| _ = chain.insert(id(event)));
            chain
        });
        let maps: Vec<StateMap<OwnedEventId>> = sets
            .iter()
            .map(|set| {
                let entry = |((kind, key), event): (&(String, String), _)| {
                    ((StateEventType::from(kind.as_str()), key.clone()), id(event))
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
                found.iter().for_each(|event| _ = subgraph.insert(id(event)));
                Some(subgraph)
            },
        );
        let entry = |((kind, key), event): ((StateEventType, String), OwnedEventId)| {
            ((kind.to_string(), key), identifiers::EventId::parse(event.as_str()).unwrap())
        };
        resolved.unwrap().into_iter().map(entry).collect()
    }
}

fn id(event: &identifiers::EventId) -> OwnedEventId {
    OwnedEventId::try_from(event.as_str()).unwrap()
}

impl ruma_state_res::Event for Event {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.event_id
    }
    fn room_id(&self) -> Option<&RoomId> {
        self.room_id.as_deref()
    }
    fn sender(&self) -> &UserId {
        &self.sender
    }
    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.origin_server_ts
    }
    fn event_type(&self) -> &TimelineEventType {
        &self.kind
    }
    fn content(&self) -> &RawValue {
        &self.content
    }
    fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }
    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.prev_events.iter())
    }
    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.auth_events.iter())
    }
    fn redacts(&self) -> Option<&OwnedEventId> {
        None
    }
    fn rejected(&self) -> bool {
        self.rejected
    }
}
