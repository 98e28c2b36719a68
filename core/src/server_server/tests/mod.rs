//! The endpoints that only read, asked past the check of the request's signature.

mod asked;
mod graph;
mod hierarchy;
mod queries;

use alloc::string::{String, ToString};

use crate::canonical_json::Value;
use crate::http::Method;
use crate::testing::{Server, User};

const OWN: &str = "example.org";
const API: &str = "/_matrix/federation/v1";

/// `text` percent-encoded.
fn segment(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => String::from(char::from(byte)),
        other => alloc::format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[track_caller]
fn text(answer: &Value, name: &str) -> String {
    answer.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {answer}")).to_string()
}

#[track_caller]
fn create(server: &mut Server, user: &User, body: Value) -> String {
    text(&server.ok(Method::Post, "/_matrix/client/v3/createRoom", user, body), "room_id")
}

#[track_caller]
fn say(server: &mut Server, user: &User, room_id: &str, words: &str) -> String {
    let path = alloc::format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{}", segment(room_id), segment(words));
    let body = crate::testing::json!({ "msgtype": "m.text", "body": words });
    text(&server.ok(Method::Put, &path, user, body), "event_id")
}

#[track_caller]
fn set_state(server: &mut Server, user: &User, room_id: &str, kind: &str, content: Value) -> String {
    let path = alloc::format!("/_matrix/client/v3/rooms/{}/state/{kind}", segment(room_id));
    text(&server.ok(Method::Put, &path, user, content), "event_id")
}

#[track_caller]
fn answers(server: &mut Server, origin: &str, method: Method, target: &str, body: impl crate::testing::Body) -> Value {
    let (status, answer) = server.asked_by(origin, method, target, body);
    assert_eq!(status, 200, "{target}: {answer}");
    answer
}

#[track_caller]
fn refuses(
    server: &mut Server,
    origin: &str,
    method: Method,
    target: &str,
    body: impl crate::testing::Body,
    status: u16,
    errcode: &str,
) {
    let (found, answer) = server.asked_by(origin, method, target, body);
    assert_eq!((found, answer.get("errcode")), (status, Some(&Value::from(errcode))), "{target}: {answer}");
}
