//! Rooms as other servers describe them, in the directory of published rooms and in space hierarchies: only what is what its
//! name says is passed on to clients.

use crate::canonical_json::{Object, Value};
use crate::identifiers::{MxcUri, RoomAlias, RoomId};
use crate::limits::MAX_SUMMARY_TEXT;

/// What of a room's description may be shown to clients. `None` without what every description has: a room ID, the number of
/// members, and whether the room is open to readers and guests.
#[must_use]
pub fn acceptable(summary: &Object) -> Option<Object> {
    let room_id = RoomId::parse(summary.str("room_id")?).ok()?;
    let members = summary.integer("num_joined_members").filter(|members| *members >= 0)?;
    let mut out = Object::new()
        .with("room_id", &room_id)
        .with("num_joined_members", members)
        .with("world_readable", summary.bool("world_readable")?)
        .with("guest_can_join", summary.bool("guest_can_join")?);
    for name in ["name", "topic", "join_rule", "room_type", "encryption", "room_version"] {
        if let Some(text) = summary.str(name).filter(|text| text.len() <= MAX_SUMMARY_TEXT) {
            out.insert(name, text);
        }
    }
    if let Some(alias) = summary.str("canonical_alias").and_then(|text| RoomAlias::parse(text).ok()) {
        out.insert("canonical_alias", &alias);
    }
    if let Some(uri) = summary.str("avatar_url").and_then(|text| MxcUri::parse(text).ok()) {
        out.insert("avatar_url", &uri);
    }
    if let Some(rooms) = summary.array("allowed_room_ids") {
        let rooms = rooms.iter().filter_map(|room| RoomId::parse(room.as_str()?).ok());
        let rooms: alloc::vec::Vec<Value> = rooms.map(|room| Value::from(&room)).collect();
        out.insert("allowed_room_ids", rooms);
    }
    Some(out)
}

#[cfg(test)]
mod tests;
