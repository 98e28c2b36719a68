//! Inviting users of other servers (Server-Server API, "Inviting to a room"): the invite becomes part of the room once the invited
//! user's server has signed it.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::handshake::second_of_pair;
use super::join::countersigned;
use super::outgoing::{Outgoing, RemoteError, call};
use super::policy_sign;
use super::receive_pdu::{PduError, receive_pdu};
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::{Cx, Step};
use crate::http::percent_encode;
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::room::append::{Draft, propose};
use crate::room::stripped_state::stripped_state;
use crate::room::{Room, Standing, StoredEvent};
use crate::room_version::{EventIdFormat, RoomVersion};

/// Who invites whom, where. `content` is the content of the member event.
#[derive(Clone, Debug, PartialEq)]
pub struct Invite {
    pub room_id: RoomId,
    pub sender: UserId,
    pub user_id: UserId,
    pub content: Object,
}

/// What is sent to the other server.
struct Offer {
    own: ServerName,
    version: RoomVersion,
    pdu: Pdu,
    state: Vec<Value>,
}

/// Invites a user of another server. `403 M_FORBIDDEN` if the room's rules do not allow it; what the room's policy server or the
/// other server says if it refuses.
pub async fn invite(cx: &Cx, invite: &Invite) -> Result<(), ApiError> {
    let server = invite.user_id.server_name();
    let Offer { own, version, pdu, state } = cx.step(|step| offer(step, invite))?;
    let pdu = policy_sign::sign(cx, pdu, version).await?;
    let answer = send(cx, &server, (&pdu, version), state).await.map_err(refusal)?;
    let event = answer.get("event").and_then(Value::as_object);
    let event = event.ok_or_else(|| no_signature(&server))?;
    let signed = countersigned(cx, &server, pdu, event, version).await?;
    let signed = signed.ok_or_else(|| no_signature(&server))?;
    match receive_pdu(cx, &own, &invite.room_id, signed).await {
        Ok(Standing::Accepted) => Ok(()),
        Ok(_) => Err(ApiError::forbidden("The room's rules no longer allow this invite")),
        Err(PduError::NotInRoom) => Err(ApiError::forbidden("Nobody of this server is in the room any more")),
        Err(error) => Err(ApiError::internal(error.to_string())),
    }
}

fn offer(step: &mut Step<'_>, invite: &Invite) -> Result<Offer, ApiError> {
    let room = Room::require(step, &invite.room_id)?;
    let draft = Draft::state(&invite.sender, "m.room.member", &invite.user_id, invite.content.clone());
    let pdu = propose(step, &room, draft)?.pdu;
    let state = stripped_state(step, &room, room.head.state, Some(&invite.sender))?;
    let version = room.info.version;
    Ok(Offer { own: step.config.server_name.clone(), version, pdu, state: state.iter().map(json).collect() })
}

fn json(event: &StoredEvent) -> Value {
    canonical_json::parse(&event.json).expect("stored events are JSON")
}

async fn send(
    cx: &Cx,
    server: &ServerName,
    (pdu, version): (&Pdu, RoomVersion),
    state: Vec<Value>,
) -> Result<Value, RemoteError> {
    let (room_id, event_id) = (percent_encode(&pdu.room_id), percent_encode(&pdu.event_id));
    let body = Object::new()
        .with("event", pdu.to_object())
        .with("invite_room_state", state.clone())
        .with("room_version", version.as_str());
    let target = format!("/_matrix/federation/v2/invite/{room_id}/{event_id}");
    match call(cx, server, Outgoing::put(target, Value::Object(body))).await {
        // Older servers know the first version of the endpoint and of events only.
        Err(RemoteError::Refused { status: 400 | 404, .. }) if version.rules().event_ids == EventIdFormat::Stated => {
            let unsigned = Object::new().with("invite_room_state", state);
            let body = pdu.to_object().with("unsigned", unsigned);
            let target = format!("/_matrix/federation/v1/invite/{room_id}/{event_id}");
            let answer = call(cx, server, Outgoing::put(target, Value::Object(body))).await?;
            second_of_pair(answer).ok_or_else(|| RemoteError::BadAnswer("it is no pair of 200 and an answer".into()))
        }
        other => other,
    }
}

/// What the inviting client is told (Client-Server API, `POST /rooms/{roomId}/invite`).
fn refusal(error: RemoteError) -> ApiError {
    match ApiError::from(error) {
        error if error.errcode == "M_INCOMPATIBLE_ROOM_VERSION" => {
            ApiError { errcode: "M_UNSUPPORTED_ROOM_VERSION", ..error }
        }
        // What this server sent was wrong then, and not what the client sent.
        error if matches!(error.errcode, "M_MISSING_PARAM" | "M_INVALID_PARAM" | "M_BAD_JSON") => {
            ApiError::new(502, "M_UNKNOWN", format!("The other server refused the invite: {}", error.message))
        }
        error => error,
    }
}

fn no_signature(server: &ServerName) -> ApiError {
    ApiError::new(502, "M_UNKNOWN", format!("{server} did not sign the invite"))
}
