//! Joining a room through a server that is in it (Server-Server API, "Joining Rooms").

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;

use super::fill_holes;
use super::handshake::{Asked, Failures, Template, make, send};
use super::join_answer::JoinAnswer;
use super::outgoing::{Outgoing, RemoteError, call};
use super::policy_sign;
use super::receive_pdu::receive_pdu;
use super::server_keys::{self, ToVerify};
use super::transaction::Contents;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::{Cx, Lane};
use crate::identifiers::{KeyId, RoomId, ServerName};
use crate::limits::{MAX_JOIN_ANSWER, MAX_JOIN_CANDIDATES, SEND_JOIN_TIMEOUT, TEMPLATE_TIMEOUT};
use crate::room::{Room, Standing, StoredEvent, install, outside};
use crate::room_version::KeyValidity;
use crate::signing::base64;

/// What became of an attempt to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The user is in the room.
    Joined,
    /// Meanwhile this server came into the room: the user can join as one joins a room of this server.
    AlreadyThere,
}

/// Joins through the first of `servers` whose answer holds.
pub async fn join(cx: &Cx, asked: &Asked, servers: &[ServerName]) -> Result<Joined, ApiError> {
    cx.outlive_request();
    let resident =
        |cx: &Cx| cx.step(|step| Ok(Room::find(step, &asked.room_id)?.is_some_and(|room| room.is_resident())));
    // Through another server although this one is in the room: nobody here may authorise a restricted join.
    let was_resident = resident(cx)?;
    let mut failures = Failures::default();
    for server in servers.iter().take(MAX_JOIN_CANDIDATES) {
        // Two users who join at once do it once: the other finds this server in the room.
        let _lane = if was_resident { None } else { Some(cx.lane(Lane::Room(asked.room_id.clone())).await) };
        if !was_resident && resident(cx)? {
            return Ok(Joined::AlreadyThere);
        }
        match join_through(cx, asked, server, was_resident).await {
            Ok(()) => return Ok(Joined::Joined),
            Err(error) => {
                if !failures.add(error) {
                    break;
                }
            }
        }
    }
    Err(failures.into_error())
}

async fn join_through(cx: &Cx, asked: &Asked, server: &ServerName, resident: bool) -> Result<(), RemoteError> {
    if !resident {
        tell_own_end(cx, server, &asked.room_id).await.map_err(RemoteError::Internal)?;
    }
    let template = make(cx, server, asked).await?;
    let pdu = cx.step(|step| {
        // What is known of the room already decides its version.
        if Room::find(step, &asked.room_id)?.is_some_and(|room| room.info.version != template.version) {
            return Err(ApiError::bad_json("the room is of another version"));
        }
        // From here on events of the room that come by themselves wait in its lane until the room is there.
        outside::find_or_make_to_join(step, &asked.room_id, template.version)?;
        template.event(step, asked)
    });
    let mut pdu = pdu.map_err(bad)?;
    if resident {
        pdu = policy_sign::sign(cx, pdu, template.version).await.map_err(RemoteError::Internal)?;
    }
    let limit = |request: Outgoing| request.timeout(SEND_JOIN_TIMEOUT).max_body(MAX_JOIN_ANSWER);
    let mut answer = match send(cx, server, asked, &pdu, limit).await? {
        Value::Object(answer) => answer,
        _ => return Err(RemoteError::BadAnswer("it is not an object".into())),
    };
    let returned = answer.remove("event");
    let pdu = authorised(cx, server, &template, pdu, returned.as_ref()).await?;
    if resident {
        return match receive_pdu(cx, server, &asked.room_id, pdu).await {
            Ok(Standing::Accepted) => Ok(()),
            Ok(_) => Err(RemoteError::BadAnswer("the join is not allowed by the room's rules".into())),
            Err(error) => Err(RemoteError::BadAnswer(error.to_string())),
        };
    }
    let answer = JoinAnswer::read(answer, template.version).map_err(|why| RemoteError::BadAnswer(why.into()))?;
    let state = answer.check(cx, &asked.room_id).await.map_err(RemoteError::BadAnswer)?;
    let returned = returned.as_ref().and_then(Value::as_object);
    let pdu = policy_sign::take(cx, pdu, template.version, state.content("m.room.policy", ""), returned).await;
    let has_holes = !state.left_out.is_empty();
    install::install(cx, &asked.room_id, template.version, state, pdu).await.map_err(bad)?;
    if has_holes {
        fill_holes::begin(cx, &asked.room_id);
    }
    Ok(())
}

/// Sends a server what users of this one did last in a room that they then left. It may not have heard of that yet: then the join
/// would be beside their leaving and not after it, and whoever heard of both could take them for gone.
async fn tell_own_end(cx: &Cx, server: &ServerName, room_id: &RoomId) -> Result<(), ApiError> {
    let transaction = cx.step(|step| {
        let mut contents = Contents::default();
        let Some(room) = Room::find(step, room_id)? else { return Ok(None) };
        for event in StoredEvent::expect_all(step, room.num, &room.head.extremities)? {
            if event.header.sender.server_str() == step.config.server_name.as_str() && contents.has_room_for_pdu() {
                contents.add_pdu(&event)?;
            }
        }
        Ok((!contents.is_empty()).then(|| contents.request(&step.config.server_name, step.now, None)))
    })?;
    // What came of it does not matter: if the server cannot be reached it will not help anybody in either.
    if let Some(transaction) = transaction {
        let _ = call(cx, server, transaction.timeout(TEMPLATE_TIMEOUT)).await;
    }
    Ok(())
}

fn bad(error: ApiError) -> RemoteError {
    RemoteError::BadAnswer(error.message)
}

/// The join with the signature of the server whose user authorises it, if one does: that is all that is taken of the event that
/// came back.
async fn authorised(
    cx: &Cx,
    server: &ServerName,
    template: &Template,
    pdu: Pdu,
    returned: Option<&Value>,
) -> Result<Pdu, RemoteError> {
    if template.authoriser.is_none() {
        return Ok(pdu);
    }
    let missing = || RemoteError::BadAnswer(String::from("the server has not signed the join that it authorises"));
    let Some(Value::Object(returned)) = returned else { return Err(missing()) };
    countersigned(cx, server, pdu, returned, template.version).await?.ok_or_else(missing)
}

/// The event with the signatures of `server` that `returned` has beside those of this server, if they are good.
pub(super) async fn countersigned(
    cx: &Cx,
    server: &ServerName,
    mut pdu: Pdu,
    returned: &Object,
    version: crate::room_version::RoomVersion,
) -> Result<Option<Pdu>, RemoteError> {
    let Some(signatures) = returned.object("signatures").and_then(|signatures| signatures.object(server)) else {
        return Ok(None);
    };
    let rules = version.rules();
    let item = ToVerify {
        server: server.clone(),
        signatures: signatures.clone(),
        signed_bytes: Bytes::from(pdu.signed_bytes(rules)),
        valid_at: (rules.key_validity == KeyValidity::Enforced).then(|| pdu.timestamp()),
    };
    let good = server_keys::verify(cx, alloc::vec![item]).await.map_err(bad)?;
    if good != [true] {
        return Ok(None);
    }
    // A server has a key or two.
    let signatures: Vec<(KeyId, [u8; 64])> = signatures
        .iter()
        .take(2)
        .filter_map(|(key, value)| Some((KeyId::parse(key).ok()?, base64::decode_array(value.as_str()?).ok()?)))
        .collect();
    for (key, signature) in &signatures {
        pdu = pdu
            .with_signature(server, (key, signature), version)
            .map_err(|error| RemoteError::BadAnswer(format!("its signature does not fit: {error}")))?;
    }
    Ok(Some(pdu))
}
