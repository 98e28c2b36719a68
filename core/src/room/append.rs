//! How a local event becomes part of a room: selected, built, judged, stored, followed; all within one step.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::max;
use core::time::Duration;

use super::membership;
use super::state::Room;
use super::stored_event::StoredEvent;
use super::tables::{
    EVENT_BY_ID, EventIndex, HEAD, INFO, ROOM_BY_ID, ROOM_COUNT, RoomHead, RoomInfo, TIMELINE, TimelineKey,
};
use crate::auth_rules::{self, AuthState};
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::event::{NewEvent, Pdu};
use crate::flow::{Notice, Step};
use crate::identifiers::{DeviceId, EventId, RoomId, UserId};
use crate::room_version::{RoomIdFormat, RoomVersion};
use crate::store::auth_chain;
use crate::store::log::{self, LogEntry};
use crate::store::state_map::StateId;
use crate::store::tables::{Position, RoomNum};

/// An event that a local user wants in a room.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    pub sender: &'a UserId,
    pub kind: &'a str,
    pub state_key: Option<&'a str>,
    pub content: Object,
    pub redacts: Option<EventId>,
    /// The device and transaction ID to tell back in `unsigned`.
    pub transaction: Option<(DeviceId, String)>,
}

impl<'a> Draft<'a> {
    #[must_use]
    pub fn message(sender: &'a UserId, kind: &'a str, content: Object) -> Draft<'a> {
        Draft { sender, kind, state_key: None, content, redacts: None, transaction: None }
    }
    #[must_use]
    pub fn state(sender: &'a UserId, kind: &'a str, state_key: &'a str, content: Object) -> Draft<'a> {
        Draft { state_key: Some(state_key), ..Draft::message(sender, kind, content) }
    }
}

/// What became of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    pub event_id: EventId,
    pub index: EventIndex,
    pub position: Position,
}

/// Makes a new room from its create event.
pub fn create(
    step: &mut Step<'_>,
    version: RoomVersion,
    creator: &UserId,
    content: Object,
) -> Result<(Room, Appended), ApiError> {
    let num = RoomNum(ROOM_COUNT.get(step, ())?.unwrap_or(0));
    ROOM_COUNT.put(step, (), &(num.0 + 1));
    // From version 12 the room ID is the create event's hash; before, it is drawn.
    let room_id = if version.rules().room_ids == RoomIdFormat::CreateHash {
        None
    } else {
        let text = alloc::format!("!{}:{}", step.random.token(18), step.config.server_name);
        Some(RoomId::parse(&text).map_err(|error| ApiError::internal(error.to_string()))?)
    };
    let mut origin_server_ts = step.now;
    let pdu = loop {
        let pdu = NewEvent {
            version,
            room_id: room_id.as_ref(),
            sender: creator,
            kind: "m.room.create",
            state_key: Some(""),
            content: content.clone(),
            prev_events: &[],
            auth_events: &[],
            depth: 1,
            origin_server_ts,
            redacts: None,
            reference_hash: &|_| Ok(None),
        }
        .build(&step.config.server_name, step.signing_key)?;
        if !ROOM_BY_ID.contains(step, &pdu.room_id)? {
            break pdu;
        }
        // Two rooms of one creator and one millisecond would be one room: only the time tells their create events apart.
        origin_server_ts = origin_server_ts + Duration::from_millis(1);
    };
    let verdict = auth_rules::authorize(version.rules(), &pdu, &pdu, &AuthState::<Pdu>(&[]));
    if !verdict.allowed {
        return Err(ApiError::new(
            400,
            "M_INVALID_ROOM_STATE",
            alloc::format!("The room cannot be created: {verdict}"),
        ));
    }
    let info = RoomInfo { room_id: pdu.room_id.clone(), version };
    ROOM_BY_ID.put(step, &info.room_id, &num);
    INFO.put(step, num, (), &info);
    let head = RoomHead {
        next_index: 0,
        extremities: Vec::new(),
        depth: 0,
        state: StateId::EMPTY,
        last: Position(0),
        joined: 0,
        invited: 0,
        local_joined: 0,
    };
    let mut room = Room { num, info, head };
    let appended = store(step, &mut room, (&pdu, &[]), None, None)?;
    Ok((room, appended))
}

/// Adds a local event to a room, if the room's rules allow it; `403 M_FORBIDDEN` otherwise.
pub fn append(step: &mut Step<'_>, room: &mut Room, mut draft: Draft<'_>) -> Result<Appended, ApiError> {
    let transaction = draft.transaction.take();
    let Proposed { pdu, auth, before } = propose(step, room, draft)?;
    store(step, room, (&pdu, &auth), before, transaction)
}

/// An event that could follow now, and is not part of the room.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// Signed by this server, whoever its sender is.
    pub pdu: Pdu,
    /// The indices of its auth events.
    auth: Vec<u32>,
    /// The membership that a member event would replace.
    before: Option<Membership>,
}

/// The event that a draft would be as the room's next one, if its rules allow it; `403 M_FORBIDDEN` otherwise.
pub fn propose(step: &Step<'_>, room: &Room, draft: Draft<'_>) -> Result<Proposed, ApiError> {
    let version = room.info.version;
    let keys =
        auth_rules::select_auth_events(version.rules(), draft.kind, draft.state_key, draft.sender, &draft.content);
    let mut auth = Vec::with_capacity(keys.len());
    let mut auth_indices = Vec::with_capacity(keys.len());
    for (kind, state_key) in &keys {
        if let Some(event) = room.state_event(step, room.head.state, kind, state_key)? {
            auth_indices.push(event.index.0);
            auth.push(event.pdu(version)?);
        }
    }
    // From version 12 on the room ID says which is the create event, and it is not among the auth events.
    let create = room.create_event(step)?;
    let auth_events: Vec<EventId> = auth.iter().map(|event| event.event_id.clone()).collect();
    let mut prev_events = Vec::with_capacity(room.head.extremities.len());
    for index in &room.head.extremities {
        prev_events.push(StoredEvent::expect(step, room.num, *index)?.header.event_id);
    }
    let pdu = NewEvent {
        version,
        room_id: Some(&room.info.room_id),
        sender: draft.sender,
        kind: draft.kind,
        state_key: draft.state_key,
        content: draft.content,
        prev_events: &prev_events,
        auth_events: &auth_events,
        depth: room.head.depth.saturating_add(1),
        origin_server_ts: step.now,
        redacts: draft.redacts.as_ref(),
        reference_hash: &|event_id| room.reference_hash(step, event_id),
    }
    .build(&step.config.server_name, step.signing_key)?;
    let verdict = auth_rules::authorize(version.rules(), &pdu, &create, &AuthState(&auth));
    if !verdict.allowed {
        return Err(ApiError::forbidden(alloc::format!("The room's rules do not allow this: {verdict}")));
    }
    let before = match (draft.kind, draft.state_key) {
        ("m.room.member", Some(key)) => {
            let event =
                auth.iter().find(|event| event.kind == "m.room.member" && event.state_key.as_deref() == Some(key));
            event.and_then(Pdu::membership)
        }
        _ => None,
    };
    Ok(Proposed { pdu, auth: auth_indices, before })
}

/// Writes an accepted event at the end of the room's timeline.
pub(super) fn store(
    step: &mut Step<'_>,
    room: &mut Room,
    (pdu, auth_events): (&Pdu, &[u32]),
    membership_before: Option<Membership>,
    transaction: Option<(DeviceId, String)>,
) -> Result<Appended, ApiError> {
    let index = EventIndex(room.head.next_index);
    let position = step.next_position();
    let state_before = room.head.state;
    let replaces = match pdu.state_key.as_deref() {
        Some(state_key) => room.state_index(step, state_before, &pdu.kind, state_key)?,
        None => None,
    };
    let order = position.order();
    let mut event = StoredEvent::new(index, pdu, order, state_before, replaces);
    event.header.transaction = transaction;
    event.put(step, room.num);
    EVENT_BY_ID.put(step, pdu.event_id.as_str(), &(room.num, index));
    TIMELINE.put(step, room.num, TimelineKey(order), &index);
    log::append(step, position, &LogEntry::Event { room: room.num, index: index.0 });

    room.head.next_index += 1;
    room.head.extremities = alloc::vec![index];
    room.head.depth = max(room.head.depth, pdu.depth);
    room.head.last = position;
    if let Some(state_key) = pdu.state_key.as_deref() {
        auth_chain::insert(step, room.num, index.0, (&pdu.kind, state_key), auth_events);
        room.head.state = room.apply_state(step, state_before, &pdu.kind, state_key, index)?;
        if pdu.kind == "m.room.member" {
            membership::follow(step, room, &event, (membership_before, pdu.membership()), position)?;
        }
    }
    if pdu.kind == "m.room.redaction" {
        apply_redaction(step, room, pdu, index)?;
    }
    HEAD.put(step, room.num, (), &room.head);
    step.notify(Notice::Room(room.num));
    Ok(Appended { event_id: pdu.event_id.clone(), index, position })
}

/// Takes away the content of the event that a redaction names, if its sender may (Room version 3, "Handling redactions").
fn apply_redaction(step: &mut Step<'_>, room: &Room, redaction: &Pdu, index: EventIndex) -> Result<(), ApiError> {
    let Some(target) = &redaction.redacts else { return Ok(()) };
    let Some(mut event) = room.event(step, target)? else { return Ok(()) };
    if event.header.redacted_by.is_some() || !may_redact(step, room, redaction, &event)? {
        return Ok(());
    }
    let redacted = event.pdu(room.info.version)?.redacted(room.info.version.rules());
    event.redact(&redacted, index);
    event.put(step, room.num);
    Ok(())
}

/// Senders may redact events of their own server; others need the room's `redact` level.
pub fn may_redact(step: &Step<'_>, room: &Room, redaction: &Pdu, target: &StoredEvent) -> Result<bool, ApiError> {
    if target.header.sender.server_str() == redaction.sender.server_str() {
        return Ok(true);
    }
    let levels = room.power_levels(step)?;
    Ok(levels.user(&redaction.sender) >= levels.redact())
}
