use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::http::Method::{Delete, Get, Post, Put};
use crate::testing::{Server, User, json};

fn path(user: &User, kind: &str) -> String {
    format!("/_matrix/client/v3/user/{}/account_data/{kind}", user.user_id)
}

fn create_room(server: &mut Server, user: &User) -> String {
    let answer = server.ok(Post, "/_matrix/client/v3/createRoom", user, json!({}));
    answer.get("room_id").unwrap().as_str().unwrap().replace('!', "%21").replace(':', "%3A")
}

fn room_path(user: &User, room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/user/{}/rooms/{room}/{rest}", user.user_id)
}

#[test]
fn data_is_kept_for_its_user() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let kind = path(&alice, "org.example.a");
    server.fails(Get, &kind, &alice, (), 404, "M_NOT_FOUND");
    server.ok(Put, &kind, &alice, json!({ "a": 1 }));
    server.ok(Put, &kind, &alice, r#"{"a":2,"order":0.50}"#);
    let mut server = server.crash();
    assert_eq!(server.ok(Get, &kind, &alice, ()), crate::canonical_json::parse(br#"{"a":2,"order":0.50}"#).unwrap());
    for method in [Get, Put] {
        server.fails(method, &kind, &bob, json!({}), 403, "M_FORBIDDEN");
    }
    server.fails(Put, &kind, &alice, json!([]), 400, "M_BAD_JSON");
    server.fails(Put, &kind, &alice, "x", 400, "M_NOT_JSON");
    server.fails(Put, &path(&alice, &"x".repeat(256)), &alice, json!({}), 400, "M_INVALID_PARAM");
    server.fails(Get, &kind, (), (), 401, "M_MISSING_TOKEN");
}

#[test]
fn what_the_server_manages_is_read_only() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = create_room(&mut server, &alice);
    for kind in ["m.fully_read", "m.push_rules"] {
        server.fails(Put, &path(&alice, kind), &alice, json!({}), 405, "M_BAD_JSON");
        let in_room = room_path(&alice, &room, &format!("account_data/{kind}"));
        server.fails(Put, &in_room, &alice, json!({}), 405, "M_BAD_JSON");
        server.fails(Get, &in_room, &alice, (), 404, "M_NOT_FOUND");
    }
    server.fails(Get, &path(&alice, "m.fully_read"), &alice, (), 404, "M_NOT_FOUND");
    let rules = server.ok(Get, &path(&alice, "m.push_rules"), &alice, ());
    assert_eq!(rules, server.ok(Get, "/_matrix/client/v3/pushrules/", &alice, ()));
}

#[test]
fn rooms_have_data_of_their_own() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = create_room(&mut server, &alice);
    let of_alice = room_path(&alice, &room, "account_data/org.example.a");
    server.ok(Put, &of_alice, &alice, json!({ "a": 1 }));
    assert_eq!(server.ok(Get, &of_alice, &alice, ()), json!({ "a": 1 }));
    server.fails(Get, &path(&alice, "org.example.a"), &alice, (), 404, "M_NOT_FOUND");
    server.fails(Put, &room_path(&bob, &room, "account_data/org.example.a"), &bob, json!({}), 403, "M_FORBIDDEN");
    for (room, status, errcode) in [("x", 400, "M_INVALID_PARAM"), ("%21x%3Aexample.org", 403, "M_FORBIDDEN")] {
        let path = room_path(&alice, room, "account_data/org.example.a");
        server.fails(Put, &path, &alice, json!({}), status, errcode);
        server.fails(Get, &path, &alice, (), status, errcode);
    }
}

#[test]
fn rooms_are_tagged() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = create_room(&mut server, &alice);
    let tags = room_path(&alice, &room, "tags");
    let tag = |name: &str| format!("{tags}/{name}");
    assert_eq!(server.ok(Get, &tags, &alice, ()), json!({ "tags": {} }));
    server.ok(Put, &tag("u.work"), &alice, r#"{"order":0.25}"#);
    server.ok(Put, &tag("m.favourite"), &alice, ());
    let expected = crate::canonical_json::parse(br#"{"tags":{"m.favourite":{},"u.work":{"order":0.25}}}"#).unwrap();
    assert_eq!(server.ok(Get, &tags, &alice, ()), expected);
    assert_eq!(server.ok(Get, &room_path(&alice, &room, "account_data/m.tag"), &alice, ()), expected);
    server.ok(Delete, &tag("u.work"), &alice, ());
    server.ok(Delete, &tag("u.work"), &alice, ());
    assert_eq!(server.ok(Get, &tags, &alice, ()), json!({ "tags": { "m.favourite": {} } }));

    server.fails(Put, &tag("a"), &alice, json!({ "order": "first" }), 400, "M_BAD_JSON");
    server.fails(Put, &tag("a"), &alice, json!([]), 400, "M_BAD_JSON");
    server.fails(Put, &tag(&"a".repeat(256)), &alice, json!({}), 400, "M_INVALID_PARAM");
    server.ok(Put, &room_path(&alice, &room, "account_data/m.tag"), &alice, json!({ "tags": 7 }));
    assert_eq!(server.ok(Get, &tags, &alice, ()), json!({ "tags": {} }));
}

#[test]
fn changes_are_found_by_position_and_everything_once() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let positions: Vec<Position> = ["a", "b", "a", "c"]
        .into_iter()
        .map(|kind| {
            server.ok(Put, &path(&alice, kind), &alice, json!({ "last": (server.now.0) }));
            server.inspect(|read| log::last_position(read).unwrap())
        })
        .collect();
    let changed = |server: &mut Server, after: Position, until: Position| -> Vec<String> {
        let changed = server.inspect(|read| changed_since(read, &alice.user_id, after, until).unwrap());
        changed.into_iter().map(|data| data.kind).collect()
    };
    assert_eq!(changed(&mut server, Position(0), positions[3]), ["b", "a", "c"]);
    assert_eq!(changed(&mut server, positions[1], positions[2]), ["a"]);
    assert_eq!(changed(&mut server, positions[3], positions[3]), [""; 0]);

    server.ok(Put, "/_matrix/client/v3/pushrules/global/room/a", &alice, json!({ "actions": [] }));
    assert_eq!(changed(&mut server, positions[3], Position(u64::MAX)), ["m.push_rules"]);
    let all = server.inspect(|read| all(read, &alice.user_id).unwrap());
    let kinds: Vec<String> = all.into_iter().map(|data| data.kind).collect();
    assert_eq!(kinds, ["a", "b", "c", "m.push_rules"]);
}

#[test]
fn types_are_bounded() {
    let mut server = Server::new();
    let alice = server.register("alice");
    for i in 0..MAX_ACCOUNT_DATA_TYPES {
        server.ok(Put, &path(&alice, &format!("t{i}")), &alice, json!({}));
    }
    server.ok(Put, &path(&alice, "t0"), &alice, json!({}));
    server.fails(Put, &path(&alice, "more"), &alice, json!({}), 403, "M_FORBIDDEN");
}
