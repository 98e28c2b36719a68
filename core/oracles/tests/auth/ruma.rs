//! The oracle: the same events in `ruma`'s types.

use std::collections::BTreeSet;

use orrery_core::auth_rules::CitedEvent;
use orrery_core::event::Pdu;
use orrery_core::room_version::RoomVersion;
use ruma_common::room_version_rules::RoomVersionRules;
use ruma_common::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId,
};
use ruma_events::{StateEventType, TimelineEventType};
use ruma_state_res::{auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules};
use serde_json::value::RawValue;

pub fn rules(version: RoomVersion) -> RoomVersionRules {
    RoomVersionId::try_from(version.as_str()).unwrap().rules().unwrap()
}

pub struct Event {
    event_id: OwnedEventId,
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    kind: TimelineEventType,
    content: Box<RawValue>,
    state_key: Option<String>,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    redacts: Option<OwnedEventId>,
    rejected: bool,
}

impl Event {
    pub fn of(pdu: &Pdu) -> Event {
        let content = String::from_utf8(pdu.content_bytes().to_vec()).unwrap();
        // A create event of version 12 that states none is its own.
        let room_id = (!pdu.names_room(&pdu.room_id)).then(|| OwnedRoomId::try_from(pdu.room_id.as_str()).unwrap());
        Event {
            event_id: id(pdu),
            room_id,
            sender: OwnedUserId::try_from(pdu.sender.as_str()).unwrap(),
            kind: TimelineEventType::from(pdu.kind.as_str()),
            content: RawValue::from_string(content).unwrap(),
            state_key: pdu.state_key.clone(),
            prev_events: pdu.prev_events.iter().map(|id| OwnedEventId::try_from(id.as_str()).unwrap()).collect(),
            auth_events: Vec::new(),
            redacts: pdu.redacts.as_ref().and_then(|id| OwnedEventId::try_from(id.as_str()).ok()),
            rejected: false,
        }
    }
}

fn id(pdu: &Pdu) -> OwnedEventId {
    OwnedEventId::try_from(pdu.event_id.as_str()).unwrap()
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
        MilliSecondsSinceUnixEpoch(0u32.into())
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
        self.redacts.as_ref()
    }
    fn rejected(&self) -> bool {
        self.rejected
    }
}

/// The rules that depend on state.
pub fn on_state(rules: &RoomVersionRules, state: &[Event], event: &Pdu) -> Result<(), String> {
    let state = |kind: &StateEventType, state_key: &str| {
        let kind = TimelineEventType::from(kind.clone());
        state.iter().find(|event| event.kind == kind && event.state_key.as_deref() == Some(state_key))
    };
    check_state_dependent_auth_rules(&rules.authorization, Event::of(event), state)
}

/// The rules that do not: on the create event and on auth events.
pub fn on_auth_events(
    rules: &RoomVersionRules,
    event: &Pdu,
    cited: &[CitedEvent<'_>],
    create: CitedEvent<'_>,
) -> Result<(), String> {
    let fetch = |wanted: &EventId| {
        let all = cited.iter().chain([&create]);
        let found = all.into_iter().find(|cited| cited.event.event_id.as_str() == wanted.as_str())?;
        Some(Event { rejected: found.rejected, ..Event::of(found.event) })
    };
    let auth_events = cited.iter().map(|cited| id(cited.event)).collect();
    let event = Event { auth_events, ..Event::of(event) };
    check_state_independent_auth_rules(&rules.authorization, event, fetch)
}

/// The selected auth events. `None` where `ruma` refuses to select because the rules reject the event anyway.
pub fn selection(rules: &RoomVersionRules, event: &Pdu) -> Option<BTreeSet<(String, String)>> {
    let event = Event::of(event);
    let selected = auth_types_for_event(
        &event.kind,
        &event.sender,
        event.state_key.as_deref(),
        &event.content,
        &rules.authorization,
    );
    Some(selected.ok()?.into_iter().map(|(kind, state_key)| (kind.to_string(), state_key)).collect())
}
