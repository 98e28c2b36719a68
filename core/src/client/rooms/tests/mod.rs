//! Rooms, driven as clients drive them.

mod create_room;
mod history;
mod members;
mod published;
mod sending;
mod upgrade;

use alloc::format;
use alloc::string::{String, ToString};

use crate::canonical_json::Value;
use crate::http::Method;
use crate::testing::{Server, User, json};

/// `text` percent-encoded as clients encode path segments.
fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn room_path(room_id: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/{rest}", segment(room_id))
}

#[track_caller]
fn create(server: &mut Server, user: &User, body: Value) -> String {
    let answer = server.ok(Method::Post, "/_matrix/client/v3/createRoom", user, body);
    answer.get("room_id").and_then(Value::as_str).expect("createRoom answers a room_id").to_string()
}

#[track_caller]
fn act(server: &mut Server, user: &User, room_id: &str, verb: &str, body: Value) -> Value {
    server.ok(Method::Post, &room_path(room_id, verb), user, body)
}

#[track_caller]
fn refused(server: &mut Server, user: &User, room_id: &str, verb: &str, body: Value, status: u16, errcode: &str) {
    server.fails(Method::Post, &room_path(room_id, verb), user, body, status, errcode);
}

#[track_caller]
fn say(server: &mut Server, user: &User, room_id: &str, transaction: &str, text: &str) -> String {
    let path = room_path(room_id, &format!("send/m.room.message/{transaction}"));
    let answer = server.ok(Method::Put, &path, user, json!({ "msgtype": "m.text", "body": text }));
    answer.get("event_id").and_then(Value::as_str).expect("send answers an event_id").to_string()
}

#[track_caller]
fn state(server: &mut Server, user: &User, room_id: &str, kind: &str, state_key: &str) -> Value {
    server.ok(Method::Get, &room_path(room_id, &format!("state/{kind}/{}", segment(state_key))), user, ())
}

#[track_caller]
fn set_state(server: &mut Server, user: &User, room_id: &str, kind: &str, state_key: &str, content: Value) -> String {
    let path = room_path(room_id, &format!("state/{kind}/{}", segment(state_key)));
    let answer = server.ok(Method::Put, &path, user, content);
    answer.get("event_id").and_then(Value::as_str).expect("state answers an event_id").to_string()
}

#[track_caller]
fn membership(server: &mut Server, asker: &User, room_id: &str, of: &User) -> String {
    let content = state(server, asker, room_id, "m.room.member", of.user_id.as_str());
    content.get("membership").and_then(Value::as_str).expect("member events have a membership").to_string()
}
