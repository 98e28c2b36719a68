//! A server that starts on an older store.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::testing::{device_keys, one_time_keys};
use crate::canonical_json::{Object, Value};
use crate::http::Method::{Get, Post, Put};
use crate::http::percent_encode;
use crate::store::memory::Memory;
use crate::testing::network::Net;
use crate::testing::{Server, User, json};
use crate::time::Timestamp;

const A: &str = "a.test";
const B: &str = "b.test";
const C: &str = "c.test";
const UPLOAD: &str = "/_matrix/client/v3/keys/upload";
const SYNC: &str = "/_matrix/client/v3/sync";

fn next_batch(answer: &Value) -> String {
    answer.get("next_batch").and_then(Value::as_str).unwrap().to_string()
}

#[test]
fn tokens_of_what_was_lost_are_not_taken_for_others() {
    check_lost_tokens(0);
}

#[test]
fn nor_are_they_where_the_clock_was_ahead() {
    check_lost_tokens(2 * 3_600_000);
}

/// A store that was restored before has places in the log that lie ahead of the time: what is lost of it lies further ahead.
#[test]
fn nor_are_they_where_the_store_was_restored_before() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let name = format!("/_matrix/client/v3/user/{}/account_data/m.some", percent_encode(alice.user_id.as_str()));
    for turn in 0..6 {
        server.ok(Put, &name, &alice, json!({ "turn": turn }));
        let backup = server.backup();
        server.ok(Put, &name, &alice, json!({ "turn": "lost" }));
        let lost = next_batch(&server.ok(Get, SYNC, &alice, ()));
        server = server.restore(backup);
        server.ok(Put, &name, &alice, json!({ "turn": "next" }));
        server.fails(Get, &format!("{SYNC}?since={lost}"), &alice, (), 400, "M_INVALID_PARAM");
    }
}

/// `ahead`: by how much the clock is set back before the older store is started on.
fn check_lost_tokens(ahead: u64) {
    let mut server = Server::new();
    let alice = server.register("alice");
    let keys = one_time_keys(&alice, &["a", "b"], false);
    server.ok(Post, UPLOAD, &alice, json!({ "one_time_keys": (keys) }));
    let kept = next_batch(&server.ok(Get, SYNC, &alice, ()));
    server.advance(5_000);
    let mut server = server.crash();
    let backup = server.backup();
    let lost: Vec<String> = (0..3)
        .map(|_| {
            server.ok(Post, "/_matrix/client/v3/createRoom", &alice, json!({}));
            next_batch(&server.ok(Get, SYNC, &alice, ()))
        })
        .collect();
    server.advance(5_000);
    server.now = Timestamp(server.now.0 - ahead);

    let mut server = server.restore(backup);
    for _ in 0..5 {
        server.ok(Post, "/_matrix/client/v3/createRoom", &alice, json!({}));
    }
    for token in &lost {
        server.fails(Get, &format!("{SYNC}?since={token}"), &alice, (), 400, "M_INVALID_PARAM");
    }
    let answer = server.ok(Get, &format!("{SYNC}?since={kept}"), &alice, ());
    let rooms = answer.get("rooms").and_then(|rooms| rooms.get("join")?.as_object()).map(Object::len);
    assert_eq!(rooms, Some(5));
    let left = answer.get("device_one_time_keys_count").and_then(|counts| counts.get("signed_curve25519"));
    assert_eq!(left.and_then(Value::as_integer).unwrap_or(0), 0);
}

/// The names of the devices that somebody is told of.
fn names(net: &mut Net, server: &str, who: &User, of: &User) -> Vec<String> {
    let asked = json!({ "device_keys": (Object::new().with(&of.user_id, json!([]))) });
    let answer = net.ok(server, Post, "/_matrix/client/v3/keys/query", who, asked);
    let devices = answer.get("device_keys").and_then(|keys| keys.get(&of.user_id)?.as_object());
    let name = |device: &Value| device.get("unsigned")?.get("device_display_name")?.as_str().map(String::from);
    devices.into_iter().flat_map(Object::iter).filter_map(|(_, device)| name(device)).collect()
}

fn rename(net: &mut Net, server: &str, who: &User, name: &str) {
    let path = format!("/_matrix/client/v3/devices/{}", who.device_id);
    net.ok(server, Put, &path, who, json!({ "display_name": (name) }));
}

pub(super) fn public_room(net: &mut Net, server: &str, who: &User) -> String {
    let room = net.ok(server, Post, "/_matrix/client/v3/createRoom", who, json!({ "preset": "public_chat" }));
    room.get("room_id").and_then(Value::as_str).unwrap().to_string()
}

/// Bob is told of a device of Alice's that the backup, on which her server then starts, does not know.
#[track_caller]
fn lose_device(net: &mut Net, (alice, bob): (&User, &User), backup: Memory) {
    net.ok(A, Post, UPLOAD, alice, json!({ "device_keys": (device_keys(alice)) }));
    rename(net, A, alice, "lost");
    net.advance(5_000);
    assert_eq!(names(net, B, bob, alice), vec(&["lost"]));
    net.restart_as(A, |server| server.restore(backup));
}

#[test]
fn what_was_told_of_devices_and_lost_is_told_anew_and_asked_for_anew() {
    let mut net = Net::new(&[A, B]);
    let (alice, bob) = (net.server(A).register("alice"), net.server(B).register("bob"));
    for (server, user) in [(A, &alice), (B, &bob)] {
        net.ok(server, Post, UPLOAD, user, json!({ "device_keys": (device_keys(user)) }));
    }
    let room = public_room(&mut net, A, &alice);
    net.ok(B, Post, &format!("/_matrix/client/v3/join/{}?via={A}", percent_encode(&room)), &bob, json!({}));
    rename(&mut net, A, &alice, "before");
    rename(&mut net, B, &bob, "before");
    net.advance(5_000);
    assert_eq!(
        (names(&mut net, A, &alice, &bob), names(&mut net, B, &bob, &alice)),
        (vec(&["before"]), vec(&["before"]))
    );

    let backup = net.server(A).backup();
    rename(&mut net, A, &alice, "lost");
    rename(&mut net, B, &bob, "heard of and lost");
    net.advance(5_000);
    assert_eq!(
        (names(&mut net, A, &alice, &bob), names(&mut net, B, &bob, &alice)),
        (vec(&["heard of and lost"]), vec(&["lost"]))
    );

    net.restart_as(A, |server| server.restore(backup));
    net.advance(5_000);
    assert_eq!(names(&mut net, A, &alice, &bob), vec(&["heard of and lost"]));
    assert_eq!(names(&mut net, B, &bob, &alice), vec(&["before"]));
}

#[test]
fn devices_of_whom_the_backup_knows_none_are_forgotten() {
    let mut net = Net::new(&[A, B]);
    let (alice, bob) = (net.server(A).register("alice"), net.server(B).register("bob"));
    let room = public_room(&mut net, A, &alice);
    net.ok(B, Post, &format!("/_matrix/client/v3/join/{}?via={A}", percent_encode(&room)), &bob, json!({}));
    let backup = net.server(A).backup();
    lose_device(&mut net, (&alice, &bob), backup);
    net.advance(5_000);
    assert_eq!(names(&mut net, B, &bob, &alice), vec(&[]));
}

/// The backup does not know either who shares a room with her, and they are told once they do.
#[test]
fn devices_of_whom_the_backup_knows_neither_those_nor_a_room_are_forgotten() {
    let mut net = Net::new(&[A, B]);
    let (alice, bob) = (net.server(A).register("alice"), net.server(B).register("bob"));
    let room = public_room(&mut net, B, &bob);
    let join = format!("/_matrix/client/v3/join/{}?via={B}", percent_encode(&room));
    let backup = net.server(A).backup();
    net.ok(A, Post, &join, &alice, json!({}));
    lose_device(&mut net, (&alice, &bob), backup);
    net.ok(A, Post, &join, &alice, json!({}));
    net.advance(5_000);
    assert_eq!(names(&mut net, B, &bob, &alice), vec(&[]));
}

/// The backup does not know who came into a room that it knows.
#[test]
fn nor_who_has_come_in_since() {
    let mut net = Net::new(&[A, B, C]);
    let (alice, bob) = (net.server(A).register("alice"), net.server(B).register("bob"));
    let carol = net.server(C).register("carol");
    let room = public_room(&mut net, C, &carol);
    let join = format!("/_matrix/client/v3/join/{}?via={C}", percent_encode(&room));
    net.ok(A, Post, &join, &alice, json!({}));
    let backup = net.server(A).backup();
    net.ok(B, Post, &join, &bob, json!({}));
    lose_device(&mut net, (&alice, &bob), backup);
    let say = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/1", percent_encode(&room));
    net.ok(C, Put, &say, &carol, json!({ "msgtype": "m.text", "body": "Bob is here" }));
    net.advance(5_000);
    assert_eq!(names(&mut net, B, &bob, &alice), vec(&[]));
}

fn vec(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
