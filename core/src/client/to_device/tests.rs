use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::canonical_json::{Object, Value};
use crate::http::Method::{Get, Post, Put};
use crate::testing::network::Net;
use crate::testing::{Server, User, json};

const SYNC: &str = "/_matrix/client/v3/sync";

fn path(transaction: &str) -> String {
    format!("/_matrix/client/v3/sendToDevice/m.test/{transaction}")
}

fn message(to: &User, device: &str, n: i64) -> Value {
    let messages = Object::new().with(&to.user_id, Object::new().with(device, json!({ "n": (n) })));
    json!({ "messages": (messages) })
}

/// The messages in an answer, and where to go on.
fn read(answer: &Value) -> (Vec<i64>, String) {
    let events = answer.get("to_device").and_then(|section| section.get("events")?.as_array()).unwrap_or_default();
    let number = |event: &Value| event.get("content").and_then(|content| content.get("n")?.as_integer()).unwrap();
    (events.iter().map(number).collect(), answer.get("next_batch").and_then(Value::as_str).unwrap().to_string())
}

fn sync(server: &mut Server, user: &User, since: &str) -> (Vec<i64>, String) {
    let target = if since.is_empty() { SYNC.to_string() } else { format!("{SYNC}?since={since}") };
    read(&server.ok(Get, &target, user, ()))
}

#[test]
fn messages_wait_until_the_next_sync_acknowledges_them() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let phone = server.login("bob");
    let (_, start) = sync(&mut server, &bob, "");
    server.ok(Put, &path("1"), &alice, message(&bob, &bob.device_id, 1));
    server.ok(Put, &path("1"), &alice, message(&bob, &bob.device_id, 1));
    server.ok(Put, &path("2"), &alice, message(&bob, "*", 2));
    server.ok(Put, &path("3"), &alice, message(&bob, "unknown", 3));
    let target = format!("{SYNC}?since={start}");
    let answer = server.ok(Get, &target, &bob, ());
    let event = json!({ "content": { "n": 1 }, "sender": "@alice:example.org", "type": "m.test" });
    assert_eq!(answer.get("to_device").and_then(|section| section.get("events")?.as_array()).unwrap()[0], event);
    let (numbers, next) = read(&answer);
    assert_eq!(numbers, [1, 2]);
    assert_eq!(sync(&mut server, &phone, "").0, [2]);
    // The answer may have been lost.
    assert_eq!(sync(&mut server, &bob, &start).0, [1, 2]);
    let mut server = server.crash();
    assert_eq!(sync(&mut server, &bob, &start).0, [1, 2]);
    server.ok(Put, &path("1"), &alice, message(&bob, &bob.device_id, 1));
    server.ok(Put, &path("4"), &alice, message(&bob, &bob.device_id, 4));
    assert_eq!(sync(&mut server, &bob, &next).0, [4]);
    // By now they are gone for good.
    assert_eq!(sync(&mut server, &bob, &start).0, [4]);
    let mut server = server.crash();
    assert_eq!(sync(&mut server, &bob, "").0, [4]);
    assert_eq!(sync(&mut server, &phone, "").0, [2]);
}

#[test]
fn a_message_wakes_its_device_and_no_other() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let phone = server.login("bob");
    let polls = [&bob, &phone].map(|user| {
        let (_, since) = sync(&mut server, user, "");
        server.start(Get, &format!("{SYNC}?timeout=30000&since={since}"), user, ())
    });
    server.ok(Put, &path("1"), &alice, message(&bob, &phone.device_id, 1));
    assert_eq!(server.take_reply(polls[0]), None);
    let (_, answer) = server.take_reply(polls[1]).unwrap();
    let (numbers, next) = read(&answer);
    assert_eq!(numbers, [1]);
    assert_eq!(sync(&mut server, &phone, &next).0, Vec::<i64>::new());
}

#[test]
fn many_messages_come_in_several_answers() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (_, mut since) = sync(&mut server, &bob, "");
    for n in 0..250 {
        server.ok(Put, &path(&n.to_string()), &alice, message(&bob, "*", n));
    }
    let mut got = Vec::new();
    for expected in [100, 100, 50, 0] {
        // Each answer may be lost once.
        let first = sync(&mut server, &bob, &since);
        server = server.crash();
        let (numbers, next) = sync(&mut server, &bob, &since);
        assert_eq!((&numbers, numbers.len()), (&first.0, expected));
        got.extend(numbers);
        since = next;
    }
    assert_eq!(got, (0..250).collect::<Vec<i64>>());
}

#[test]
fn a_message_that_was_accepted_survives_a_crash() {
    for durable in [0, 1] {
        let mut server = Server::new();
        let (alice, bob) = (server.register("alice"), server.register("bob"));
        server.hold_commits = true;
        let id = server.start(Put, &path("1"), &alice, message(&bob, "*", 1));
        assert_eq!(server.take_reply(id), None);
        let mut server = server.crash_after(durable);
        // The client does not know, and tries again.
        server.ok(Put, &path("1"), &alice, message(&bob, "*", 1));
        assert_eq!(sync(&mut server, &bob, "").0, [1], "{durable}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let large = json!({ "messages": { "@alice:example.org": { "*": { "x": ("x".repeat(70_000)) } } } });
    for (body, status, errcode) in [
        (json!({}), 400, "M_MISSING_PARAM"),
        (json!({ "messages": [] }), 400, "M_BAD_JSON"),
        (json!({ "messages": { "alice": {} } }), 400, "M_INVALID_PARAM"),
        (json!({ "messages": { "@alice:example.org": 1 } }), 400, "M_BAD_JSON"),
        (json!({ "messages": { "@alice:example.org": { "": {} } } }), 400, "M_INVALID_PARAM"),
        (json!({ "messages": { "@alice:example.org": { "D": 1 } } }), 400, "M_BAD_JSON"),
        (large, 413, "M_TOO_LARGE"),
    ] {
        server.fails(Put, &path("1"), &alice, body, status, errcode);
    }
    let long = format!("/_matrix/client/v3/sendToDevice/{}/1", "x".repeat(256));
    server.fails(Put, &long, &alice, json!({ "messages": {} }), 400, "M_INVALID_PARAM");
    server.fails(Put, &path("1"), (), json!({ "messages": {} }), 401, "M_MISSING_TOKEN");
    // What was refused took no transaction ID.
    server.ok(Put, &path("1"), &alice, message(&alice, "*", 7));
    assert_eq!(sync(&mut server, &alice, "").0, [7]);
    server.ok(Post, "/_matrix/client/v3/logout", &alice, ());
}

#[test]
fn messages_go_to_other_servers_once() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    net.ok("a.test", Put, &path("1"), &alice, message(&bob, "*", 1));
    net.cut("a.test", "b.test");
    net.ok("a.test", Put, &path("2"), &alice, message(&bob, &bob.device_id, 2));
    net.ok("a.test", Put, &path("2"), &alice, message(&bob, &bob.device_id, 2));
    net.crash("a.test");
    net.advance(5_000);
    net.heal();
    net.advance(60_000);
    net.crash("b.test");
    assert_eq!(sync(net.server("b.test"), &bob, "").0, [1, 2]);
    net.advance(600_000);
    assert_eq!(sync(net.server("b.test"), &bob, "").0, [1, 2]);
}
