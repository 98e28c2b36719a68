//! An event as `ruma-state-res` has it.

use orrery_core::event::Pdu;
use orrery_core::identifiers;
use ruma_common::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use ruma_events::TimelineEventType;
use serde_json::value::RawValue;

#[derive(Debug)]
pub struct RumaEvent {
    pub event_id: OwnedEventId,
    pub room_id: Option<OwnedRoomId>,
    pub sender: OwnedUserId,
    pub kind: TimelineEventType,
    pub content: Box<RawValue>,
    pub state_key: Option<String>,
    pub origin_server_ts: MilliSecondsSinceUnixEpoch,
    pub prev_events: Vec<OwnedEventId>,
    pub auth_events: Vec<OwnedEventId>,
    pub redacts: Option<OwnedEventId>,
    pub rejected: bool,
}

impl RumaEvent {
    /// # Panics
    /// An identifier is none that `ruma` knows, or the time is negative.
    #[must_use]
    pub fn of(pdu: &Pdu) -> RumaEvent {
        let content = String::from_utf8(pdu.content_bytes().to_vec()).expect("JSON is UTF-8");
        let room_id = || OwnedRoomId::try_from(pdu.room_id.as_str()).expect("a room ID");
        RumaEvent {
            event_id: ruma_id(&pdu.event_id),
            // A create event of version 12 that states none is its own.
            room_id: (!pdu.names_room(&pdu.room_id)).then(room_id),
            sender: OwnedUserId::try_from(pdu.sender.as_str()).expect("a user ID"),
            kind: TimelineEventType::from(pdu.kind.as_str()),
            content: RawValue::from_string(content).expect("JSON"),
            state_key: pdu.state_key.clone(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(pdu.origin_server_ts.try_into().expect("a time")),
            prev_events: pdu.prev_events.iter().map(ruma_id).collect(),
            auth_events: pdu.auth_events.iter().map(ruma_id).collect(),
            redacts: pdu.redacts.as_ref().and_then(|id| OwnedEventId::try_from(id.as_str()).ok()),
            rejected: false,
        }
    }
}

/// # Panics
/// It is none that `ruma` knows.
#[must_use]
pub fn ruma_id(event: &identifiers::EventId) -> OwnedEventId {
    OwnedEventId::try_from(event.as_str()).expect("an event ID")
}

impl ruma_state_res::Event for RumaEvent {
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
        self.redacts.as_ref()
    }
    fn rejected(&self) -> bool {
        self.rejected
    }
}
