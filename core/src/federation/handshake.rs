//! Coming into a room, or out of it, through a server that is in it (Server-Server API, "Joining Rooms", "Knocking upon a room",
//! "Leaving Rooms"): it gives a template, and takes the event that is made of it.
//!
//! What is signed is never what the other server sent. The event is built here, from the parts of the template that only the
//! other server can know, each checked: the references to events, the depth, and who authorises a restricted join.

use alloc::format;
use alloc::vec::Vec;

use super::outgoing::{Outgoing, RemoteError, call};
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::event::{NewEvent, Pdu};
use crate::flow::{Cx, Step};
use crate::http::percent_encode;
use crate::identifiers::{EventId, RoomId, ServerName, UserId};
use crate::limits::{MAX_AUTH_EVENTS, MAX_PREV_EVENTS, TEMPLATE_TIMEOUT};
use crate::room_version::RoomVersion;
use crate::signing::base64;

/// The membership that a user of this server asks for in a room that this server is not in.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub room_id: RoomId,
    pub user_id: UserId,
    pub membership: Membership,
    /// The content of the member event, without `membership`.
    pub content: Object,
}

/// What a template says, as far as it is used.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    pub version: RoomVersion,
    prev_events: Vec<Reference>,
    auth_events: Vec<Reference>,
    depth: i64,
    /// `join_authorised_via_users_server`.
    pub authoriser: Option<UserId>,
}

/// A reference to an event, in room versions 1 and 2 with the event's hash.
#[derive(Clone, Debug, PartialEq)]
struct Reference {
    event_id: EventId,
    hash: Option<[u8; 32]>,
}

fn endpoint(membership: Membership) -> &'static str {
    match membership {
        Membership::Join => "join",
        Membership::Knock => "knock",
        Membership::Leave | Membership::Invite | Membership::Ban => "leave",
    }
}

/// Asks `server` for a template.
pub(super) async fn make(cx: &Cx, server: &ServerName, asked: &Asked) -> Result<Template, RemoteError> {
    let (room_id, user_id) = (percent_encode(&asked.room_id), percent_encode(&asked.user_id));
    let mut target = format!("/_matrix/federation/v1/make_{}/{room_id}/{user_id}", endpoint(asked.membership));
    if asked.membership != Membership::Leave {
        for (i, version) in RoomVersion::ALL.into_iter().enumerate() {
            target.push(if i == 0 { '?' } else { '&' });
            target.push_str("ver=");
            target.push_str(version.as_str());
        }
    }
    let answer = call(cx, server, Outgoing::get(target).timeout(TEMPLATE_TIMEOUT)).await?;
    Template::read(&answer, asked, server).map_err(|why| RemoteError::BadAnswer(why.into()))
}

impl Template {
    pub(super) fn read(answer: &Value, asked: &Asked, server: &ServerName) -> Result<Template, &'static str> {
        let version = match answer.get("room_version") {
            None => Some(RoomVersion::V1),
            Some(version) => version.as_str().and_then(RoomVersion::parse),
        };
        let version = version.ok_or("the room's version is not one that was asked for")?;
        let rules = version.rules();
        let event = answer.get("event").and_then(Value::as_object).ok_or("it has no event")?;
        let content = event.object("content").ok_or("the event has no content")?;
        if event.str("type") != Some("m.room.member")
            || event.str("room_id") != Some(&asked.room_id)
            || event.str("sender") != Some(&asked.user_id)
            || event.str("state_key") != Some(&asked.user_id)
            || content.str("membership") != Some(asked.membership.as_str())
        {
            return Err("the template is not of the event that was asked for");
        }
        let depth = event.integer("depth").filter(|depth| (0..=rules.max_depth).contains(depth));
        let authoriser = match content.get("join_authorised_via_users_server") {
            Some(user_id) if asked.membership == Membership::Join && rules.auth.restricted_joins => {
                let user_id = user_id.as_str().and_then(|user_id| UserId::parse(user_id).ok());
                let user_id = user_id.filter(|user_id| user_id.server_str() == server.as_str());
                Some(user_id.ok_or("the user who authorises the join is not of the server that was asked")?)
            }
            _ => None,
        };
        let prev_events = references(event, "prev_events", MAX_PREV_EVENTS, version);
        let auth_events = references(event, "auth_events", MAX_AUTH_EVENTS, version);
        Ok(Template {
            version,
            prev_events: prev_events.filter(|events| !events.is_empty()).ok_or("its prev_events are malformed")?,
            auth_events: auth_events.ok_or("its auth_events are malformed")?,
            depth: depth.ok_or("its depth is out of range")?,
            authoriser,
        })
    }

    /// The event that was asked for, signed.
    pub fn event(&self, step: &Step<'_>, asked: &Asked) -> Result<Pdu, ApiError> {
        let mut content = asked.content.clone();
        content.insert("membership", asked.membership.as_str());
        if let Some(authoriser) = &self.authoriser {
            content.insert("join_authorised_via_users_server", authoriser);
        }
        let ids = |references: &[Reference]| references.iter().map(|event| event.event_id.clone()).collect::<Vec<_>>();
        let hash = |event_id: &EventId| {
            let mut references = self.prev_events.iter().chain(&self.auth_events);
            Ok(references.find(|event| event.event_id == *event_id).and_then(|event| event.hash))
        };
        let event = NewEvent {
            version: self.version,
            room_id: Some(&asked.room_id),
            sender: &asked.user_id,
            kind: "m.room.member",
            state_key: Some(&asked.user_id),
            content,
            prev_events: &ids(&self.prev_events),
            auth_events: &ids(&self.auth_events),
            depth: self.depth,
            origin_server_ts: step.now,
            redacts: None,
            reference_hash: &hash,
        };
        Ok(event.build(&step.config.server_name, step.signing_key)?)
    }
}

fn references(event: &Object, name: &str, most: usize, version: RoomVersion) -> Option<Vec<Reference>> {
    let items = event.array(name).filter(|items| items.len() <= most)?;
    let hashes = version.rules().references_have_hashes;
    items.iter().map(|item| if hashes { pair(item) } else { plain(item) }).collect()
}

fn plain(item: &Value) -> Option<Reference> {
    Some(Reference { event_id: EventId::parse(item.as_str()?).ok()?, hash: None })
}

fn pair(item: &Value) -> Option<Reference> {
    let [event_id, hashes] = item.as_array()? else { return None };
    // Synapse leaves the hash out where it looked for it before it had the event.
    let hash = match hashes.as_object()?.get("sha256") {
        Some(hash) => Some(base64::decode_array(hash.as_str()?).ok()?),
        None => None,
    };
    Some(Reference { hash, ..plain(event_id)? })
}

/// Sends `server` the event. The answer of the endpoint's second version, also from a server that only knows the first.
pub(super) async fn send(
    cx: &Cx,
    server: &ServerName,
    asked: &Asked,
    pdu: &Pdu,
    limit: impl Fn(Outgoing) -> Outgoing,
) -> Result<Value, RemoteError> {
    let target = |version| {
        let (name, room_id, event_id) = (endpoint(asked.membership), &asked.room_id, &pdu.event_id);
        format!("/_matrix/federation/{version}/send_{name}/{}/{}", percent_encode(room_id), percent_encode(event_id))
    };
    let event = || Value::Object(pdu.to_object());
    if asked.membership == Membership::Knock {
        return call(cx, server, limit(Outgoing::put(target("v1"), event()))).await;
    }
    match call(cx, server, limit(Outgoing::put(target("v2"), event()))).await {
        Err(error) if is_unknown_endpoint(&error) => {
            let answer = call(cx, server, limit(Outgoing::put(target("v1"), event()))).await?;
            second_of_pair(answer).ok_or_else(|| RemoteError::BadAnswer("it is no pair of 200 and an answer".into()))
        }
        other => other,
    }
}

/// Whether a server does not know an endpoint (Server-Server API, "Unsupported endpoints").
pub(super) fn is_unknown_endpoint(error: &RemoteError) -> bool {
    let RemoteError::Refused { status, errcode, .. } = error else { return false };
    errcode == "M_UNRECOGNIZED" || errcode.is_empty() && matches!(status, 404 | 405)
}

/// What the first version of an endpoint wraps in `[200, …]`.
pub(super) fn second_of_pair(answer: Value) -> Option<Value> {
    let Value::Array(items) = answer else { return None };
    let [_, second] = <[Value; 2]>::try_from(items).ok()?;
    Some(second)
}

/// What the servers that were asked have said so far. A client is told what one said about the room rather than that another one
/// is down.
#[derive(Debug, Default)]
pub(super) struct Failures(Option<ApiError>);

impl Failures {
    /// Takes what the next one said. `false` if it decides, so that no other need be asked: this server does not know the
    /// room's version.
    pub(super) fn add(&mut self, failure: RemoteError) -> bool {
        let next = ApiError::from(failure);
        let decides = next.errcode == "M_INCOMPATIBLE_ROOM_VERSION";
        self.0 = Some(match self.0.take() {
            Some(last) if next.status >= 500 || last.errcode == "M_FORBIDDEN" && next.errcode == "M_NOT_FOUND" => last,
            _ => next,
        });
        !decides
    }

    /// What the client is told.
    pub(super) fn into_error(self) -> ApiError {
        self.0.unwrap_or_else(|| ApiError::not_found("No server is known that is in this room"))
    }
}
