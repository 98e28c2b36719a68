//! Invites to users of this server (Server-Server API, "Inviting to a room").

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::handshake::{require_signatures, wrong_event};
use crate::canonical_json::{Object, Value};
use crate::client::account::accounts;
use crate::client::request::{Answer, Auth, BodyExt, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::event::content::{Create, Membership};
use crate::event::{Pdu, ReceivedPdu};
use crate::federation::receive_pdu::check_pdus;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::{RoomId, UserId};
use crate::limits::{MAX_PENDING_INVITES, MAX_STRIPPED_STATE};
use crate::room::{Room, membership, outside, server_acl};
use crate::room_version::{RoomIdFormat, RoomVersion};

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Put,
        "/_matrix/federation/v1/invite/{roomId}/{eventId}",
        Auth::Server,
        Limit::None,
        Handler::Flow("invite", invite_v1),
    ),
    Route::new(
        Method::Put,
        "/_matrix/federation/v2/invite/{roomId}/{eventId}",
        Auth::Server,
        Limit::None,
        Handler::Flow("invite", invite_v2),
    ),
];

fn invite_v1(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let mut event = request.object()?;
        let state = match event.remove("unsigned") {
            Some(Value::Object(mut unsigned)) => unsigned.remove("invite_room_state"),
            _ => None,
        };
        // What asks so is in version 1 or 2, whose events are alike.
        let signed = invite(&cx, &request, RoomVersion::V1, event, entries(state)?).await?;
        let body = Value::Object(Object::new().with("event", signed.to_object()));
        Ok(Response::json(200, &Value::Array(alloc::vec![Value::from(200u32), body]))) as Answer
    })
}

fn invite_v2(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let mut body = request.object()?;
        let named = body.required_str("room_version")?;
        let version = RoomVersion::parse(named).ok_or_else(|| {
            ApiError::new(400, "M_INCOMPATIBLE_ROOM_VERSION", "This server does not support the version of the room")
                .with("room_version", named)
        })?;
        let state = entries(body.remove("invite_room_state"))?;
        let Some(Value::Object(event)) = body.remove("event") else {
            return Err(ApiError::missing_param("event is missing, or not an object"));
        };
        let signed = invite(&cx, &request, version, event, state).await?;
        Ok(Response::json(200, &Value::Object(Object::new().with("event", signed.to_object())))) as Answer
    })
}

/// The entries of `invite_room_state`.
fn entries(state: Option<Value>) -> Result<Vec<Object>, ApiError> {
    let wrong = || ApiError::invalid_param("invite_room_state is not an array of events");
    let items = match state {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(wrong()),
    };
    if items.len() > MAX_STRIPPED_STATE {
        return Err(ApiError::invalid_param("invite_room_state has too many events"));
    }
    let objects = items.into_iter().map(|item| match item {
        Value::Object(entry) => Some(entry),
        _ => None,
    });
    objects.collect::<Option<_>>().ok_or_else(wrong)
}

/// Checks an invite, stores it and signs it.
async fn invite(
    cx: &Cx,
    request: &ClientRequest,
    version: RoomVersion,
    event: Object,
    state: Vec<Object>,
) -> Result<Pdu, ApiError> {
    let received =
        ReceivedPdu::parse(event, version).map_err(|error| ApiError::invalid_param(alloc::format!("{error}")))?;
    if let Some(wrong) = wrong_event(&received, request, Membership::Invite) {
        return Err(ApiError::invalid_param(wrong));
    }
    let user_id = received.pdu.state_key.as_deref().and_then(|user_id| UserId::parse(user_id).ok());
    let user_id = user_id.ok_or_else(|| ApiError::invalid_param("state_key is not a user ID"))?;
    cx.step(|step| require_welcome(step, request, &user_id, version))?;
    let mut signers = received.required_signers(version.rules()).unwrap_or_default();
    // Also of an invite by a third party's token, which others may take unsigned: it has come from its sender's server.
    let origin = request.origin();
    if !signers.contains(origin) {
        signers.push(origin.clone());
    }
    require_signatures(cx, &received, signers, version).await?;
    check_state(cx, version, &received.pdu.room_id, &state).await?;
    cx.step(|step| {
        require_welcome(step, request, &user_id, version)?;
        let signed = received.pdu.signed_by(&step.config.server_name, step.signing_key, version)?;
        let mut room = outside::find_or_make(step, &signed.room_id, version)?;
        // A room that this server is in tells of the invite as of every event.
        if !room.is_resident() {
            require_few_invites(step, &user_id)?;
            outside::set(step, &mut room, &user_id, (&signed, version), (&state, alloc::vec![origin.clone()]))?;
        }
        Ok(signed)
    })
}

/// Whether the invited user is one of this server, the inviting server may come into the room, and the room can be of the version that
/// it says.
fn require_welcome(
    step: &Step<'_>,
    request: &ClientRequest,
    user_id: &UserId,
    version: RoomVersion,
) -> Result<(), ApiError> {
    if user_id.server_str() != step.config.server_name.as_str() {
        return Err(ApiError::invalid_param("state_key is not a user of this server"));
    }
    if !accounts::is_active(step, user_id)? {
        return Err(ApiError::forbidden("This server has no such user"));
    }
    let Some(room) = Room::find_even_outside(step, request.param(0))? else { return Ok(()) };
    outside::require_version(&room, version)?;
    if room.is_resident() {
        return server_acl::require(step, &room, request.origin());
    }
    outside::require_same_version(step, &room, user_id, (version, request.origin()))
}

/// Anybody may invite anybody, but not without end: `429 M_LIMIT_EXCEEDED` once too many invites wait for the user's answer.
fn require_few_invites(step: &Step<'_>, user_id: &UserId) -> Result<(), ApiError> {
    let rooms = membership::rooms_of(step, user_id)?;
    if rooms.iter().filter(|(_, row)| row.membership == Membership::Invite).count() < MAX_PENDING_INVITES {
        return Ok(());
    }
    Err(ApiError::new(429, "M_LIMIT_EXCEEDED", "Too many invites wait for the user's answer"))
}

/// Room version 12 demands that the state is of the room that the invite is to: whole events, signed, among them the create event.
/// Before, servers sent stripped events, which nobody can check, and still may.
async fn check_state(cx: &Cx, version: RoomVersion, room_id: &RoomId, state: &[Object]) -> Result<(), ApiError> {
    if version.rules().room_ids != RoomIdFormat::CreateHash {
        return Ok(());
    }
    let wrong = |what: &str| ApiError::invalid_param(alloc::format!("invite_room_state {what}"));
    let mut create = false;
    for checked in check_pdus(cx, version, state.to_vec()).await {
        let pdu = checked.map_err(|error| wrong(&alloc::format!("has something that is no event: {error}")))?;
        if pdu.room_id != *room_id {
            return Err(wrong("has an event of another room"));
        }
        create |= pdu.is_state_of("m.room.create", "")
            && pdu.names_room(room_id)
            && Create(&pdu.content).room_version() == Some(version.as_str());
    }
    if create { Ok(()) } else { Err(wrong("lacks the create event")) }
}
