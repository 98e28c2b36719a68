//! The policy server of a room (Server-Server API, "Policy Servers"): whether the room uses one, and what its word does to an
//! event.
//!
//! It says nothing about authorization. An event that it has not signed is soft-failed if another server sent it, and not made if
//! a user of this server wants it.

use alloc::string::{String, ToString};

use super::reason::Reason;
use super::servers;
use super::state::Room;
use super::stored_event::StoredEvent;
use crate::canonical_json::{self, Value};
use crate::error::ApiError;
use crate::event::{PolicyServer, Recommendation};
use crate::identifiers::EventId;
use crate::limits::MAX_POLICY_REASON;
use crate::store::{Read, StorageError};

/// The policy server that a room uses, and the event that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    pub server: PolicyServer,
    pub event_id: EventId,
}

/// The policy server that the room uses: its current state names one validly that has a joined user. `None` too for a room that
/// this server is not in, of whose current state it knows nothing.
pub fn in_force(read: &(impl Read + ?Sized), room: &Room) -> Result<Option<InForce>, StorageError> {
    if !room.is_resident() {
        return Ok(None);
    }
    let Some(event) = room.state_event(read, room.head.state, "m.room.policy", "")? else { return Ok(None) };
    let Some(server) = named_by(&event) else { return Ok(None) };
    let in_room = servers::is_in(read, room, &server.via)?;
    Ok(in_room.then_some(InForce { server, event_id: event.header.event_id }))
}

fn named_by(event: &StoredEvent) -> Option<PolicyServer> {
    match canonical_json::parse(event.content_bytes()) {
        Ok(Value::Object(content)) => PolicyServer::of(&content),
        _ => None,
    }
}

/// The policy server that has to sign an event of this type and state key now.
pub fn to_sign(
    read: &(impl Read + ?Sized),
    room: &Room,
    kind: &str,
    state_key: Option<&str>,
) -> Result<Option<InForce>, StorageError> {
    if PolicyServer::is_exempt(kind, state_key) { Ok(None) } else { in_force(read, room) }
}

/// What the policy server's word comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// Recommended, or nobody is asked.
    Recommended,
    NotRecommended(Reason),
    /// This one has not said anything yet.
    Unknown(PolicyServer),
}

/// Check 7: whether an event of this type and state key is recommended for inclusion, given what was said of it.
pub(super) fn word(
    read: &(impl Read + ?Sized),
    room: &Room,
    (kind, state_key): (&str, Option<&str>),
    said: Option<&Recommendation>,
) -> Result<Word, StorageError> {
    let Some(in_force) = to_sign(read, room, kind, state_key)? else { return Ok(Word::Recommended) };
    Ok(match said.filter(|said| said.by == in_force.server) {
        Some(Recommendation { result: Ok(()), .. }) => Word::Recommended,
        Some(Recommendation { result: Err(error), .. }) => Word::NotRecommended(reason(in_force, error)),
        None => Word::Unknown(in_force.server),
    })
}

fn reason(in_force: InForce, error: &ApiError) -> Reason {
    let mut why = error.to_string();
    while why.len() > MAX_POLICY_REASON {
        why.pop();
    }
    let server = String::from(in_force.server.via.as_str());
    Reason::NotRecommended { server, policy: in_force.event_id, why }
}
