//! The workload as `ruma-state-res` has it, and what its caller has to do: the states' full auth chains, and the conflicted
//! state subgraph of version 12.

use std::collections::BTreeMap;
use std::sync::Arc;

use orrery_core::event::Pdu;
use orrery_core::identifiers;
use ruma_common::room_version_rules::RoomVersionRules;
use ruma_common::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId};
use ruma_events::{StateEventType, TimelineEventType};
use ruma_state_res::StateMap;
use ruma_state_res::utils::event_id_map::EventIdMap;
use ruma_state_res::utils::event_id_set::EventIdSet;
use serde_json::value::RawValue;

use crate::workload::{State, Workload};

pub struct Theirs {
    rules: RoomVersionRules,
    events: EventIdMap<OwnedEventId, Arc<Event>>,
    sides: [StateMap<OwnedEventId>; 2],
}

impl Theirs {
    pub fn new(workload: &Workload) -> Theirs {
        let version = RoomVersionId::try_from(workload.version.as_str()).expect("a room version");
        let mut events = EventIdMap::new();
        for pdu in &workload.events {
            events.insert(id(&pdu.event_id), Arc::new(Event::of(pdu)));
        }
        let sides = workload.sides.each_ref().map(|state: &State| {
            let entry = |((kind, key), event): (&(String, String), _)| {
                ((StateEventType::from(kind.as_str()), key.clone()), id(event))
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

fn id(event: &identifiers::EventId) -> OwnedEventId {
    OwnedEventId::try_from(event.as_str()).expect("an event ID")
}

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
}

impl Event {
    fn of(pdu: &Pdu) -> Event {
        let content = String::from_utf8(pdu.content_bytes().to_vec()).expect("JSON is UTF-8");
        let room_id = || OwnedRoomId::try_from(pdu.room_id.as_str()).expect("a room ID");
        let milliseconds = pdu.origin_server_ts.try_into().expect("a time");
        Event {
            event_id: id(&pdu.event_id),
            room_id: (!pdu.names_room(&pdu.room_id)).then(room_id),
            sender: OwnedUserId::try_from(pdu.sender.as_str()).expect("a user ID"),
            kind: TimelineEventType::from(pdu.kind.as_str()),
            content: RawValue::from_string(content).expect("JSON"),
            state_key: pdu.state_key.clone(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(milliseconds),
            prev_events: pdu.prev_events.iter().map(id).collect(),
            auth_events: pdu.auth_events.iter().map(id).collect(),
        }
    }
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
        false
    }
}
