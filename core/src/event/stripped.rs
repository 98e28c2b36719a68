//! Stripped state (Client-Server API, "Stripped state"): how a room looks to somebody who may come in.
//!
//! Between servers the same events go as whole PDUs ([`Pdu::json`](super::Pdu::json)); only clients see them stripped.

use alloc::vec::Vec;

use crate::canonical_json::{Object, encode_str};
use crate::identifiers::UserId;

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

/// Appends the state event of a type and state key in stripped form. `content` is canonical JSON.
pub fn write_stripped((kind, state_key): (&str, &str), sender: &UserId, content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"content\":");
    out.extend_from_slice(content);
    out.extend_from_slice(b",\"sender\":");
    encode_str(sender, out);
    out.extend_from_slice(b",\"state_key\":");
    encode_str(state_key, out);
    out.extend_from_slice(b",\"type\":");
    encode_str(kind, out);
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
