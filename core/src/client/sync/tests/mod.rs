//! `/sync` as clients use it: each test drives a whole homeserver.

mod basics;
mod ephemeral;
mod filters;
mod lazy_members;
mod membership;
mod random_walk;
mod unread;
mod waiting;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::canonical_json::Value;
use crate::http::Method;
use crate::input::RequestId;
use crate::testing::{Server, User, json};

/// A client that goes on from where it was.
pub(super) struct Client {
    pub user: User,
    pub since: Option<String>,
    /// More of the query: `&filter=…`.
    pub query: String,
}

impl Client {
    pub fn new(user: &User) -> Client {
        Client { user: user.clone(), since: None, query: String::new() }
    }

    /// A client that has done its first sync.
    pub fn synced(server: &mut Server, user: &User) -> Client {
        let mut client = Client::new(user);
        client.sync(server);
        client
    }

    pub fn with_filter(mut self, filter: &Value) -> Client {
        let _ = write!(self.query, "&filter={}", encode(&filter.to_string()));
        self
    }

    pub fn with_timeline(self, limit: i32) -> Client {
        self.with_filter(&json!({ "room": { "timeline": { "limit": limit } } }))
    }

    pub fn with(mut self, query: &str) -> Client {
        self.query.push_str(query);
        self
    }

    fn target(&self, timeout: u64) -> String {
        let since = self.since.as_ref().map(|since| alloc::format!("&since={since}")).unwrap_or_default();
        alloc::format!("/_matrix/client/v3/sync?timeout={timeout}{since}{}", self.query)
    }

    /// What is new, now.
    #[track_caller]
    pub fn sync(&mut self, server: &mut Server) -> Value {
        let answer = server.ok(Method::Get, &self.target(0), &self.user, ());
        self.take(answer)
    }

    fn take(&mut self, answer: Value) -> Value {
        self.since = Some(text(&answer, "next_batch").to_string());
        answer
    }

    /// Waits for what is new.
    pub fn poll(&self, server: &mut Server, timeout: u64) -> RequestId {
        server.start(Method::Get, &self.target(timeout), &self.user, ())
    }

    /// The answer of [`Client::poll`], if there is one.
    pub fn polled(&mut self, server: &mut Server, id: RequestId) -> Option<Value> {
        let (status, answer) = server.take_reply(id)?;
        assert_eq!(status, 200, "{answer}");
        Some(self.take(answer))
    }
}

/// Percent-encodes for a query or a path.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[track_caller]
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The value at a path of members, `Null` if there is none.
pub(super) fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().try_fold(value, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

/// Whether an answer has nothing to tell.
pub(super) fn is_quiet(answer: &Value) -> bool {
    let empty = |section: &str| answer.get(section).is_none();
    ["rooms", "account_data", "presence", "to_device"].into_iter().all(empty)
}

/// The events of a section of a joined room.
pub(super) fn events<'v>(answer: &'v Value, room: &str, section: &str) -> &'v [Value] {
    at(answer, &["rooms", "join", room, section, "events"]).as_array().unwrap_or_default()
}

/// `type` and what tells the event from others: the state key or the body.
pub(super) fn brief(event: &Value) -> String {
    let kind = text(event, "type").trim_start_matches("m.room.");
    if let Some(key) = event.get("state_key").and_then(Value::as_str) {
        let membership = at(event, &["content", "membership"]).as_str().unwrap_or_default();
        return alloc::format!("{kind}|{}{membership}", key.split(':').next().unwrap_or_default());
    }
    at(event, &["content", "body"]).as_str().unwrap_or(kind).to_string()
}

pub(super) fn briefs(events: &[Value]) -> Vec<String> {
    events.iter().map(brief).collect()
}

/// The bodies of a joined room's timeline.
pub(super) fn timeline(answer: &Value, room: &str) -> Vec<String> {
    briefs(events(answer, room, "timeline"))
}

pub(super) fn create_room(server: &mut Server, user: &User, body: Value) -> String {
    let answer = server.ok(Method::Post, "/_matrix/client/v3/createRoom", user, body);
    text(&answer, "room_id").to_string()
}

pub(super) fn public_room(server: &mut Server, user: &User) -> String {
    create_room(server, user, json!({ "preset": "public_chat" }))
}

pub(super) fn send(server: &mut Server, user: &User, room: &str, body: &str) -> String {
    static TRANSACTION: AtomicU64 = AtomicU64::new(0);
    let transaction = TRANSACTION.fetch_add(1, Ordering::Relaxed);
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{transaction}", encode(room));
    let answer = server.ok(Method::Put, &target, user, json!({ "msgtype": "m.text", "body": body }));
    text(&answer, "event_id").to_string()
}

pub(super) fn set_state(server: &mut Server, user: &User, room: &str, kind: &str, key: &str, content: Value) -> String {
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/state/{kind}/{}", encode(room), encode(key));
    let answer = server.ok(Method::Put, &target, user, content);
    text(&answer, "event_id").to_string()
}

pub(super) fn act(server: &mut Server, user: &User, room: &str, action: &str, body: Value) {
    server.ok(Method::Post, &alloc::format!("/_matrix/client/v3/rooms/{}/{action}", encode(room)), user, body);
}

pub(super) fn join(server: &mut Server, user: &User, room: &str) {
    act(server, user, room, "join", json!({}));
}

pub(super) fn leave(server: &mut Server, user: &User, room: &str) {
    act(server, user, room, "leave", json!({}));
}

pub(super) fn invite(server: &mut Server, user: &User, room: &str, target: &User) {
    act(server, user, room, "invite", json!({ "user_id": (&target.user_id) }));
}
