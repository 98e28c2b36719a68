//! How a local event becomes part of a room: selected, built, judged, stored, followed; all within one step.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::arrival::{Arrival, arrive};
use super::extremities;
use super::policy_server;
use super::receive::{self, Fillings, Given, KnownEvents, Outcome, receive_given};
use super::state::Room;
use super::stored_event::{Standing, StoredEvent};
use super::tables::{EventIndex, INFO, ROOM_BY_ID, ROOM_COUNT, RoomHead, RoomInfo};
use crate::auth_rules::{self, AuthState};
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::event::{Consulted, NewEvent, Pdu, PolicyServer, Question};
use crate::flow::Step;
use crate::identifiers::{DeviceId, EventId, RoomId, UserId};
use crate::room_version::{RoomIdFormat, RoomVersion};
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

    /// Whether `pdu` was made of such a draft.
    fn is(&self, room: &Room, pdu: &Pdu) -> bool {
        pdu.room_id == room.info.room_id
            && pdu.sender == *self.sender
            && pdu.kind == self.kind
            && pdu.state_key.as_deref() == self.state_key
            && pdu.redacts == self.redacts
            && pdu.content_bytes() == self.content.to_bytes()
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
        since_depth: 0,
        state: StateId::EMPTY,
        unresolved: false,
        last: Position(0),
        joined: 0,
        invited: 0,
        local_joined: 0,
    };
    let mut room = Room { num, info, head };
    step.policy.new_room = Some(num);
    let appended = store(step, &mut room, (&pdu, &[]), StateId::EMPTY, None)?;
    Ok((room, appended))
}

/// Adds a local event to a room, if the room's rules allow it; `403 M_FORBIDDEN` otherwise.
///
/// A room may have a policy server that has to sign the event first. Then the step has to be one that is run again with its word
/// ([`Step::policy`]), and the error may be the policy server's.
pub fn append(step: &mut Step<'_>, room: &mut Room, mut draft: Draft<'_>) -> Result<Appended, ApiError> {
    let transaction = draft.transaction.take();
    if step.policy.new_room != Some(room.num)
        && let Some(in_force) = policy_server::to_sign(step, room, draft.kind, draft.state_key)?
    {
        return append_signed(step, room, (draft, transaction), in_force.server);
    }
    let Proposed { pdu, auth, state_before, mut fillings } = propose(step, room, draft)?;
    let appended = store(step, room, (&pdu, &auth), state_before, transaction)?;
    fillings.settle(step, room)?;
    Ok(appended)
}

/// Adds a local event that the policy server `to` has signed; asks for that if it has not been asked.
fn append_signed(
    step: &mut Step<'_>,
    room: &mut Room,
    (draft, transaction): (Draft<'_>, Option<(DeviceId, String)>),
    to: PolicyServer,
) -> Result<Appended, ApiError> {
    let mut consulted = step.policy.consulted.iter();
    let answer = consulted.position(|answer| answer.recommendation.by == to && draft.is(room, &answer.pdu));
    let Some(answer) = answer else {
        let pdu = propose(step, room, draft)?.pdu;
        step.policy.question = Some(Question { pdu, version: room.info.version, to });
        return Err(ApiError::internal("The room's policy server is yet to sign the event"));
    };
    // Each is the answer to one event.
    let Consulted { pdu, recommendation } = step.policy.consulted.remove(answer);
    recommendation.result.clone()?;
    if !room.is_resident() {
        return Err(ApiError::forbidden("Nobody of this server is in the room any more"));
    }
    // It may have been made a while ago: what came since then is beside it in the room's history.
    let given = Given { recommendation: Some(&recommendation), transaction, ..Given::default() };
    match receive_given(step, room, &pdu, given)? {
        Outcome::Stored { index, standing: Standing::Accepted } => {
            Ok(Appended { event_id: pdu.event_id, index, position: room.head.last })
        }
        _ => Err(ApiError::forbidden("The room's rules no longer allow this")),
    }
}

/// An event that could follow now, and is not part of the room.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// Signed by this server, whoever its sender is.
    pub pdu: Pdu,
    /// The indices of its auth events.
    auth: Vec<u32>,
    state_before: StateId,
    fillings: Fillings,
}

/// The event that a draft would be as the room's next one, if its rules allow it; `403 M_FORBIDDEN` otherwise.
pub fn propose(step: &mut Step<'_>, room: &Room, draft: Draft<'_>) -> Result<Proposed, ApiError> {
    let version = room.info.version;
    let (prev, state_before) = extremities::for_new_event(step, room)?;
    let fillings = Fillings::of(step, room)?;
    let state_before = fillings.fill(step, room, state_before)?;
    let current = fillings.fill(step, room, room.head.state)?;
    let keys =
        auth_rules::select_auth_events(version.rules(), draft.kind, draft.state_key, draft.sender, &draft.content);
    let mut auth = Vec::with_capacity(keys.len());
    let mut auth_indices = Vec::with_capacity(keys.len());
    for (kind, state_key) in &keys {
        if let Some(event) = room.state_event(step, state_before, kind, state_key)? {
            auth_indices.push(event.index.0);
            auth.push(event.pdu(version)?);
        }
    }
    // From version 12 on the room ID says which is the create event, and it is not among the auth events.
    let create = room.create_event(step)?;
    let auth_events: Vec<EventId> = auth.iter().map(|event| event.event_id.clone()).collect();
    let mut prev_events = Vec::with_capacity(prev.len());
    for index in &prev {
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
    if state_before != current
        && let Some(verdict) = receive::judge_on_state(step, room, &pdu, current, &mut KnownEvents::default())?
    {
        return Err(ApiError::forbidden(alloc::format!("The room's rules do not allow this: {verdict}")));
    }
    Ok(Proposed { pdu, auth: auth_indices, state_before, fillings })
}

fn store(
    step: &mut Step<'_>,
    room: &mut Room,
    (pdu, auth): (&Pdu, &[u32]),
    state_before: StateId,
    transaction: Option<(DeviceId, String)>,
) -> Result<Appended, ApiError> {
    let index = EventIndex(room.head.next_index);
    let arrival = Arrival { pdu, index, auth, state_before, after_gap: false, transaction };
    let position = arrive(step, room, arrival)?.position;
    Ok(Appended { event_id: pdu.event_id.clone(), index, position })
}
