//! Servers that come into each other's rooms.

mod answers;
mod backfill;
mod invite;
mod join;
mod knock;
mod policy;
mod races;
mod sending;
mod submitted;
mod templates;
mod third_party_invite;
mod receive;
mod transactions;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::handshake::{Asked, make, send};
use super::outgoing::{Outgoing, RemoteError, call};
use crate::canonical_json::{Object, Value};
use crate::event::content::Membership;
use crate::http::{Method, percent_encode};
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::testing::network::Net;
use crate::testing::{User, json};

/// Creates a room and gives its ID.
#[track_caller]
fn create(net: &mut Net, server: &str, user: &User, body: Value) -> String {
    let answer = net.ok(server, Method::Post, "/_matrix/client/v3/createRoom", user, body);
    answer.get("room_id").and_then(Value::as_str).unwrap().to_string()
}

/// `/_matrix/client/v3/rooms/{roomId}{rest}`
fn room_path(room: &str, rest: &str) -> String {
    alloc::format!("/_matrix/client/v3/rooms/{}{rest}", percent_encode(room))
}

/// `/join/{roomId}` through a server.
fn join_path(room: &str, via: &str) -> String {
    alloc::format!("/_matrix/client/v3/join/{}?via={via}", percent_encode(room))
}

/// The state of a room as a member sees it: type, state key and content, sorted.
#[track_caller]
fn state(net: &mut Net, server: &str, user: &User, room: &str) -> Vec<(String, String, String)> {
    let answer = net.ok(server, Method::Get, &room_path(room, "/state"), user, ());
    let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let mut state: Vec<(String, String, String)> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (text(event, "type"), text(event, "state_key"), event.get("content").unwrap().to_string()))
        .collect();
    state.sort();
    state
}

/// A user's membership in a room, as a member sees it.
#[track_caller]
fn membership(net: &mut Net, server: &str, viewer: &User, room: &str, of: &User) -> String {
    let target = room_path(room, &alloc::format!("/state/m.room.member/{}", percent_encode(&of.user_id)));
    let answer = net.ok(server, Method::Get, &target, viewer, ());
    answer.get("membership").and_then(Value::as_str).unwrap().to_string()
}

/// What a sync shows of rooms: `invite`, `join`, `knock` or `leave` of a room.
#[track_caller]
fn in_sync(net: &mut Net, server: &str, user: &User, section: &str, room: &str) -> Option<Value> {
    let target = "/_matrix/client/v3/sync?filter=%7B%22room%22%3A%7B%22include_leave%22%3Atrue%7D%7D";
    let answer = net.ok(server, Method::Get, target, user, ());
    answer.get("rooms")?.get(section)?.get(room).cloned()
}

/// A signed request of one server to another: status and body of the answer.
fn ask(net: &mut Net, from: &str, to: &str, request: Outgoing) -> (u16, Value) {
    let to = ServerName::parse(to).unwrap();
    match net.run(from, |cx| async move { call(&cx, &to, request).await }) {
        Ok(answer) => (200, answer),
        Err(RemoteError::Refused { status, body, .. }) => (status, body),
        Err(error) => panic!("{error:?}"),
    }
}

/// Joins as a server does on which there is no such user: what `send_join` answers.
fn send_join(net: &mut Net, server: &str, user_id: &str, room: &str, query: &str) -> (u16, Value) {
    let (via, query) = (ServerName::parse("a.test").unwrap(), query.to_string());
    let asked = Asked {
        room_id: RoomId::parse(room).unwrap(),
        user_id: UserId::parse(user_id).unwrap(),
        membership: Membership::Join,
        content: Object::new(),
    };
    let answer = net.run(server, |cx| async move {
        let template = make(&cx, &via, &asked).await?;
        let pdu = cx.step(|step| template.event(step, &asked)).map_err(RemoteError::Internal)?;
        let with_query =
            |request: Outgoing| Outgoing { target: alloc::format!("{}{query}", request.target), ..request };
        send(&cx, &via, &asked, &pdu, with_query).await
    });
    match answer {
        Ok(answer) => (200, answer),
        Err(RemoteError::Refused { status, body, .. }) => (status, body),
        Err(error) => panic!("{error:?}"),
    }
}

fn everyone() -> Value {
    json!({ "preset": "public_chat" })
}
