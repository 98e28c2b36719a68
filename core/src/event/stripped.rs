//! Stripped state (Client-Server API, "Stripped state"): how a room looks to somebody who may come in.
//!
//! Between servers the same events go as whole PDUs ([`Pdu::json`]); only clients see them stripped.

use alloc::vec::Vec;

use super::Pdu;
use crate::canonical_json::{Object, encode_str};

/// The types of the state, all with an empty state key, that invites and knocks carry. The create event must be among it.
pub const STRIPPED_STATE: [&str; 7] = [
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
];

/// Appends a state event in stripped form. Nothing is appended for an event that is not state.
pub fn write_stripped(pdu: &Pdu, out: &mut Vec<u8>) {
    let Some(state_key) = &pdu.state_key else { return };
    out.extend_from_slice(b"{\"content\":");
    out.extend_from_slice(pdu.content_bytes());
    out.extend_from_slice(b",\"sender\":");
    encode_str(&pdu.sender, out);
    out.extend_from_slice(b",\"state_key\":");
    encode_str(state_key, out);
    out.extend_from_slice(b",\"type\":");
    encode_str(&pdu.kind, out);
    out.push(b'}');
}

/// What clients may see of an entry of `invite_room_state` or `knock_room_state` from another server, which may be a whole event
/// or, from older servers, a stripped one. `None` if it is no state event.
#[must_use]
pub fn prune_stripped_state(entry: &Object) -> Option<Object> {
    let stripped = Object::new()
        .with("content", entry.object("content")?.clone())
        .with("sender", entry.str("sender")?)
        .with("state_key", entry.str("state_key")?)
        .with("type", entry.str("type")?);
    Some(stripped)
}
