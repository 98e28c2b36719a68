use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::testing::{device_keys, one_time_keys};
use crate::canonical_json::Value;
use crate::http::Method::{Get, Post};
use crate::http::percent_encode;
use crate::testing::{Server, User, json};

const UPLOAD: &str = "/_matrix/client/v3/keys/upload";
const SYNC: &str = "/_matrix/client/v3/sync";

fn names(lists: Option<&Value>, name: &str) -> Vec<String> {
    let list = lists.and_then(|lists| lists.get(name)?.as_array()).unwrap_or_default();
    list.iter().map(|user| user.as_str().unwrap().split(':').next().unwrap()[1..].to_string()).collect()
}

/// A user with the place at which their client is.
struct Client {
    user: User,
    since: String,
}

impl Client {
    fn new(server: &mut Server, name: &str) -> Client {
        let user = server.register(name);
        let mut client = Client { user, since: String::new() };
        client.sync(server);
        client
    }

    /// Syncs and returns `changed` and `left`; `/keys/changes` has to say the same.
    fn sync(&mut self, server: &mut Server) -> (Vec<String>, Vec<String>) {
        let since = core::mem::take(&mut self.since);
        let target = if since.is_empty() { SYNC.to_string() } else { format!("{SYNC}?since={since}") };
        let answer = server.ok(Get, &target, &self.user, ());
        self.since = answer.get("next_batch").and_then(Value::as_str).unwrap().to_string();
        let lists = answer.get("device_lists");
        let lists = (names(lists, "changed"), names(lists, "left"));
        if !since.is_empty() {
            let target = format!("/_matrix/client/v3/keys/changes?from={since}&to={}", self.since);
            let changes = server.ok(Get, &target, &self.user, ());
            assert_eq!((names(Some(&changes), "changed"), names(Some(&changes), "left")), lists);
        }
        lists
    }

    fn upload(&self, server: &mut Server) {
        server.ok(Post, UPLOAD, &self.user, json!({ "device_keys": (device_keys(&self.user)) }));
    }

    fn create_room(&self, server: &mut Server) -> String {
        let body = json!({ "preset": "public_chat" });
        let room = server.ok(Post, "/_matrix/client/v3/createRoom", &self.user, body);
        room.get("room_id").and_then(Value::as_str).unwrap().to_string()
    }

    fn act(&self, server: &mut Server, room: &str, what: &str) {
        let path = format!("/_matrix/client/v3/rooms/{}/{what}", percent_encode(room));
        server.ok(Post, &path, &self.user, json!({}));
    }
}

fn lists(changed: &[&str], left: &[&str]) -> (Vec<String>, Vec<String>) {
    let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    (strings(changed), strings(left))
}

#[test]
fn changes_reach_those_who_share_a_room_once() {
    let mut server = Server::new();
    let [mut alice, mut bob, mut carol] = ["alice", "bob", "carol"].map(|name| Client::new(&mut server, name));
    let room = alice.create_room(&mut server);
    bob.act(&mut server, &room, "join");
    alice.sync(&mut server);
    bob.sync(&mut server);

    alice.upload(&mut server);
    assert_eq!(alice.sync(&mut server), lists(&["alice"], &[]));
    assert_eq!(bob.sync(&mut server), lists(&["alice"], &[]));
    assert_eq!(carol.sync(&mut server), lists(&[], &[]));
    assert_eq!(bob.sync(&mut server), lists(&[], &[]));
    // The same keys again, and one-time keys, are no change.
    alice.upload(&mut server);
    server.ok(Post, UPLOAD, &alice.user, json!({ "one_time_keys": (one_time_keys(&alice.user, &["A"], false)) }));
    assert_eq!(bob.sync(&mut server), lists(&[], &[]));
    // A device without keys is nobody's business; one with keys is, also when it goes.
    let phone = server.login("alice");
    assert_eq!(bob.sync(&mut server), lists(&[], &[]));
    server.ok(Post, UPLOAD, &phone, json!({ "device_keys": (device_keys(&phone)) }));
    assert_eq!(bob.sync(&mut server), lists(&["alice"], &[]));
    server.ok(Post, "/_matrix/client/v3/logout", &phone, ());
    assert_eq!(bob.sync(&mut server), lists(&["alice"], &[]));
}

#[test]
fn joining_and_leaving_changes_whom_a_client_looks_at() {
    let mut server = Server::new();
    let [mut alice, mut bob, mut carol] = ["alice", "bob", "carol"].map(|name| Client::new(&mut server, name));
    let (room, other) = (alice.create_room(&mut server), alice.create_room(&mut server));
    alice.sync(&mut server);
    bob.act(&mut server, &room, "join");
    assert_eq!(alice.sync(&mut server), lists(&["bob"], &[]));
    assert_eq!(bob.sync(&mut server), lists(&["alice"], &[]));
    bob.act(&mut server, &other, "join");
    carol.act(&mut server, &other, "join");
    assert_eq!(carol.sync(&mut server), lists(&["alice", "bob"], &[]));
    bob.sync(&mut server);
    alice.sync(&mut server);
    // They still share the other room.
    bob.act(&mut server, &room, "leave");
    assert_eq!(bob.sync(&mut server), lists(&[], &[]));
    assert_eq!(alice.sync(&mut server), lists(&[], &[]));
    bob.act(&mut server, &other, "leave");
    assert_eq!(bob.sync(&mut server), lists(&[], &["alice", "carol"]));
    assert_eq!(alice.sync(&mut server), lists(&[], &["bob"]));
    assert_eq!(carol.sync(&mut server), lists(&[], &["bob"]));
    bob.upload(&mut server);
    assert_eq!(carol.sync(&mut server), lists(&[], &[]));
    // Whoever comes and goes between two syncs was not there.
    bob.act(&mut server, &other, "join");
    bob.act(&mut server, &other, "leave");
    assert_eq!(carol.sync(&mut server), lists(&[], &[]));
    bob.act(&mut server, &other, "join");
    assert_eq!(carol.sync(&mut server), lists(&["bob"], &[]));
}

#[test]
fn a_change_of_ones_own_devices_is_told_beside_a_join() {
    let mut server = Server::new();
    let [alice, mut bob] = ["alice", "bob"].map(|name| Client::new(&mut server, name));
    let room = alice.create_room(&mut server);
    bob.upload(&mut server);
    bob.act(&mut server, &room, "join");
    assert_eq!(bob.sync(&mut server), lists(&["alice", "bob"], &[]));
}

#[test]
fn a_change_wakes_those_who_wait_and_outlives_a_crash() {
    let mut server = Server::new();
    let [alice, mut bob] = ["alice", "bob"].map(|name| Client::new(&mut server, name));
    let room = alice.create_room(&mut server);
    bob.act(&mut server, &room, "join");
    bob.sync(&mut server);
    let target = format!("{SYNC}?timeout=30000&since={}", bob.since);
    let poll = server.start(Get, &target, &bob.user, ());
    assert_eq!(server.take_reply(poll), None);
    alice.upload(&mut server);
    let (_, answer) = server.take_reply(poll).unwrap();
    assert_eq!(names(answer.get("device_lists"), "changed"), ["alice"]);
    let mut server = server.crash();
    assert_eq!(bob.sync(&mut server), lists(&["alice"], &[]));
    let mut long = Client { user: bob.user.clone(), since: bob.since.clone() };
    // So much happens that the log is too long to look through.
    for i in 0..1200 {
        let path = format!("/_matrix/client/v3/user/{}/account_data/t{}", percent_encode(&bob.user.user_id), i % 9);
        server.ok(crate::http::Method::Put, &path, &bob.user, json!({ "i": (i) }));
    }
    let phone = server.login("alice");
    server.ok(Post, UPLOAD, &phone, json!({ "device_keys": (device_keys(&phone)) }));
    assert_eq!(long.sync(&mut server), lists(&["alice"], &[]));
}

#[test]
fn changes_between_bad_tokens_are_refused() {
    let mut server = Server::new();
    let alice = server.register("alice");
    for (query, errcode) in [
        ("", "M_MISSING_PARAM"),
        ("?from=s0_1_0_0", "M_MISSING_PARAM"),
        ("?from=x&to=s0_1_0_0", "M_INVALID_PARAM"),
        ("?from=s0_1_0_0&to=s99999_1_0_0", "M_INVALID_PARAM"),
    ] {
        let target = format!("/_matrix/client/v3/keys/changes{query}");
        server.fails(Get, &target, &alice, (), 400, errcode);
    }
}
