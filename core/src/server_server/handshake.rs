//! What joining, knocking and leaving through this server have in common: a template, and the event that comes back signed
//! (Server-Server API, "Joining Rooms", "Knocking upon a room", "Leaving Rooms").

use alloc::string::ToString;
use alloc::vec::Vec;
use bytes::Bytes;

use super::room_access;
use crate::canonical_json::{Object, Value};
use crate::client::request::{Answer, ClientRequest};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::event::{Pdu, PolicyServer, ReceivedPdu, Recommendation};
use crate::federation::policy_sign::Consultation;
use crate::federation::relay::relay;
use crate::federation::server_keys::{self, ToVerify};
use crate::flow::{Cx, Step};
use crate::http::Response;
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::limits::POLICY_PATIENCE;
use crate::room::append::{Draft, propose};
use crate::room::receive::{Given, Outcome, receive_given};
use crate::room::restricted_join::{Authorisation, authorise};
use crate::room::{Room, Standing, StoredEvent, server_acl};
use crate::room_version::{KeyValidity, RoomVersion};
use crate::store::Read;
use crate::time::Timestamp;

/// The room that another server names in a path, if this server takes part in it and the room lets that server in:
/// `404 M_NOT_FOUND`, `403 M_FORBIDDEN`.
pub(super) fn room_of(read: &(impl Read + ?Sized), origin: &ServerName, room_id: &str) -> Result<Room, ApiError> {
    let room_id = RoomId::parse(room_id).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    let room = Room::find(read, &room_id)?.filter(Room::is_resident);
    let room = room.ok_or_else(|| ApiError::not_found("This server is not in that room"))?;
    server_acl::require(read, &room, origin)?;
    Ok(room)
}

/// The user that a server names in a path, who must be its own.
fn user_of(origin: &ServerName, user_id: &str) -> Result<UserId, ApiError> {
    let user_id = UserId::parse(user_id).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    if user_id.server_str() != origin.as_str() {
        return Err(ApiError::forbidden("The user is of another server than the one that asks"));
    }
    Ok(user_id)
}

/// `400 M_INCOMPATIBLE_ROOM_VERSION` unless the asking server supports the room's version, by the `ver` parameters.
fn require_supported(room: &Room, request: &ClientRequest) -> Result<(), ApiError> {
    let version = room.info.version.as_str();
    let mut supported = request.query.iter().filter(|(name, _)| name == "ver").map(|(_, value)| value.as_str());
    let named = supported.clone().next().is_some();
    if if named { supported.any(|other| other == version) } else { version == "1" } {
        return Ok(());
    }
    let message = "Your server does not support the version of this room";
    Err(ApiError::new(400, "M_INCOMPATIBLE_ROOM_VERSION", message).with("room_version", version))
}

/// `GET /make_join`, `/make_knock` and `/make_leave`: the event that would bring about the membership, without what its sender's
/// server adds.
pub(super) fn template(step: &mut Step<'_>, request: &ClientRequest, membership: Membership) -> Answer {
    let room = room_of(step, request.origin(), request.param(0))?;
    let user_id = user_of(request.origin(), request.param(1))?;
    if membership != Membership::Leave {
        require_supported(&room, request)?;
    }
    if membership == Membership::Join {
        room_access::require_whole(step, &room, step.now)?;
    }
    let mut content = Object::new().with("membership", membership.as_str());
    if membership == Membership::Join
        && let Some(authoriser) = authorise(step, &step.config.server_name, &room, &user_id)?.granted()?
    {
        content.insert("join_authorised_via_users_server", &authoriser);
    }
    let proposed = propose(step, &room, Draft::state(&user_id, "m.room.member", &user_id, content))?;
    let mut event = proposed.pdu.to_object();
    for of_sender in ["event_id", "hashes", "signatures"] {
        event.remove(of_sender);
    }
    // Versions of the specification before 1.7 asked for it.
    event.insert("origin", step.config.server_name.as_str());
    let body = Object::new().with("event", event).with("room_version", room.info.version.as_str());
    Ok(Response::json(200, &body.into()))
}

/// The event that a `PUT /send_…` brought, once it is part of the room.
pub(super) struct Accepted {
    pub room: Room,
    pub event: StoredEvent,
}

/// `PUT /send_join`, `/send_knock` and `/send_leave`: checks the event and adds it to the room. What is not the event that the
/// endpoint is for is `400 M_INVALID_PARAM`; what the room's rules refuse is `403 M_FORBIDDEN`.
pub(super) async fn submit(cx: &Cx, request: &ClientRequest, membership: Membership) -> Result<Accepted, ApiError> {
    let origin = request.origin();
    let body = request.object()?;
    let room = cx.step(|step| room_of(step, origin, request.param(0)))?;
    let version = room.info.version;
    let received = ReceivedPdu::parse(body, version)?;
    let pdu = &received.pdu;
    let wrong = wrong_event(&received, request, membership);
    if let Some(wrong) = wrong {
        return Err(ApiError::invalid_param(wrong));
    }
    if pdu.state_key.as_deref() != Some(pdu.sender.as_str()) {
        return Err(ApiError::invalid_param("state_key is not the sender"));
    }
    let mut signers = received.required_signers(version.rules()).unwrap_or_default();
    let authoriser = pdu.authorising_server(version.rules());
    let own = cx.step(|step| Ok(step.config.server_name.clone()))?;
    let is_ours = authoriser.as_ref() == Some(&own);
    signers.extend(authoriser.filter(|server| *server != own && !signers.contains(server)));
    require_signatures(cx, &received, signers, version).await?;
    let mut pdu = received.pdu;
    if is_ours && membership == Membership::Join {
        pdu = cx.step(|step| countersign(step, request, &pdu))?;
    }
    // Who is not in the room cannot know that it has a policy server, and has not asked it.
    let (mut policy, until) = (Consultation::default(), cx.now() + POLICY_PATIENCE);
    loop {
        match cx.step(|step| accept(step, request, &pdu, policy.recommendation.as_ref()))? {
            Ok(accepted) => return Ok(accepted),
            Err(server) => policy.ask(cx, &mut pdu, version, server, until).await,
        }
    }
}

/// Adds the event to the room, and sees that the other servers in the room get it. In the inner result, the policy server that
/// has to be asked first.
fn accept(
    step: &mut Step<'_>,
    request: &ClientRequest,
    pdu: &Pdu,
    recommendation: Option<&Recommendation>,
) -> Result<Result<Accepted, PolicyServer>, ApiError> {
    let mut room = room_of(step, request.origin(), request.param(0))?;
    match receive_given(step, &mut room, pdu, Given { recommendation, ..Given::default() })? {
        Outcome::Stored { index, standing: Standing::Accepted } => {
            relay(step, room.num, index);
            let event = StoredEvent::expect(step, room.num, index)?;
            Ok(Ok(Accepted { room, event }))
        }
        Outcome::MissingRecommendation(server) => Ok(Err(server)),
        Outcome::Stored { standing: Standing::SoftFailed, .. }
            if let Some(Recommendation { result: Err(error), .. }) = recommendation =>
        {
            Err(error.clone())
        }
        Outcome::Stored { .. } => Err(ApiError::forbidden("The room's rules do not allow this")),
        // The template that it is made of cites what is known here.
        Outcome::MissingAuthEvents(_) | Outcome::MissingPrevEvents(_) => {
            Err(ApiError::invalid_param("The event cites events that are not known here"))
        }
    }
}

/// What is wrong with an event that was sent to an endpoint whose path names a room and an event.
pub(super) fn wrong_event(
    received: &ReceivedPdu,
    request: &ClientRequest,
    membership: Membership,
) -> Option<&'static str> {
    let pdu = &received.pdu;
    if pdu.kind != "m.room.member" {
        return Some("type is not m.room.member");
    }
    if pdu.membership() != Some(membership) {
        return Some("membership is not what this endpoint is for");
    }
    if pdu.room_id.as_str() != request.param(0) {
        return Some("room_id is not the room of the path");
    }
    if pdu.event_id.as_str() != request.param(1) {
        return Some("The event's ID is not that of the path");
    }
    if pdu.sender.server_str() != request.origin().as_str() {
        return Some("The sender is of another server than the one that sent the event");
    }
    if !received.content_hash_matches {
        return Some("The content hash does not match");
    }
    None
}

/// `400 M_INVALID_PARAM` unless each of `signers` has signed the event.
pub(super) async fn require_signatures(
    cx: &Cx,
    received: &ReceivedPdu,
    signers: Vec<ServerName>,
    version: RoomVersion,
) -> Result<(), ApiError> {
    let invalid = || ApiError::invalid_param("The event lacks a valid signature");
    if signers.is_empty() {
        return Err(invalid());
    }
    let signed_bytes = Bytes::from(received.signed_bytes.clone());
    let items = signers.into_iter().map(|server| ToVerify {
        signatures: received.signatures.object(&server).cloned().unwrap_or_default(),
        server,
        signed_bytes: signed_bytes.clone(),
        valid_at: valid_at(&received.pdu, version),
    });
    let good = server_keys::verify(cx, items.collect()).await?;
    if good.into_iter().all(|good| good) { Ok(()) } else { Err(invalid()) }
}

/// When the keys that signed an event must have been valid; `None` in versions where that does not matter.
fn valid_at(pdu: &Pdu, version: RoomVersion) -> Option<Timestamp> {
    (version.rules().key_validity == KeyValidity::Enforced).then(|| pdu.timestamp())
}

/// Signs a join that a user of this server is said to authorise, if it is so.
fn countersign(step: &mut Step<'_>, request: &ClientRequest, pdu: &Pdu) -> Result<Pdu, ApiError> {
    let room = room_of(step, request.origin(), request.param(0))?;
    match authorise(step, &step.config.server_name, &room, &pdu.sender)? {
        // Somebody who is in the room already, or invited, may name anybody.
        Authorisation::NotNeeded | Authorisation::Granted(_) => {}
        refused => {
            refused.granted()?;
        }
    }
    Ok(pdu.signed_by(&step.config.server_name, step.signing_key, room.info.version)?)
}

/// `{}`, or `[200, {}]` in the first version of an endpoint.
pub(super) fn empty(first_version: bool) -> Response {
    let body = Value::Object(Object::new());
    if first_version {
        Response::json(200, &Value::Array(alloc::vec![Value::from(200u32), body]))
    } else {
        Response::json(200, &body)
    }
}
