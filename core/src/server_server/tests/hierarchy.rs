use alloc::format;
use alloc::vec::Vec;

use super::*;
use crate::testing::json;
use crate::testing::network::Net;

const A: &str = "a.test";
const B: &str = "b.test";

struct World {
    net: Net,
    alice: User,
    bob: User,
}

impl World {
    fn new() -> World {
        let mut net = Net::new(&[A, B]);
        let (alice, bob) = (net.server(A).register("alice"), net.server(B).register("bob"));
        World { net, alice, bob }
    }

    fn create(&mut self, server: &str, name: &str, space: bool, preset: &str) -> String {
        let who = if server == A { &self.alice } else { &self.bob };
        let content = if space { json!({ "type": "m.space" }) } else { json!({}) };
        let body = json!({ "name": name, "preset": preset, "creation_content": (content) });
        text(&self.net.ok(server, Method::Post, "/_matrix/client/v3/createRoom", who, body), "room_id")
    }

    fn put_child(&mut self, server: &str, space: &str, child: &str, content: Value) {
        let who = if server == A { &self.alice } else { &self.bob };
        let path = format!("/_matrix/client/v3/rooms/{}/state/m.space.child/{}", segment(space), segment(child));
        self.net.ok(server, Method::Put, &path, who, content);
    }

    /// What alice is shown of a space.
    fn asks(&mut self, space: &str, query: &str) -> Value {
        let path = format!("/_matrix/client/v1/rooms/{}/hierarchy{query}", segment(space));
        self.net.ok(A, Method::Get, &path, &self.alice, ())
    }

    #[track_caller]
    fn shows(&mut self, space: &str, query: &str, expected: &[&str]) -> Value {
        let answer = self.asks(space, query);
        let rooms = answer.get("rooms").and_then(Value::as_array).unwrap();
        let names: Vec<String> = rooms.iter().map(|room| text(room, "name")).collect();
        assert_eq!(names, expected, "{query}");
        answer
    }

    #[track_caller]
    fn refused(&mut self, space: &str, query: &str, status: u16, errcode: &str) {
        let path = format!("/_matrix/client/v1/rooms/{}/hierarchy{query}", segment(space));
        let (found, answer) = self.net.call(A, Method::Get, &path, &self.alice, ());
        assert_eq!((found, answer.get("errcode")), (status, Some(&json!(errcode))), "{query}: {answer}");
    }
}

#[test]
fn a_tree_of_this_server() {
    let mut world = World::new();
    let top = world.create(A, "Top", true, "public_chat");
    let sub = world.create(A, "Sub", true, "public_chat");
    let rooms: Vec<String> =
        ["One", "Two", "Three"].iter().map(|name| world.create(A, name, false, "public_chat")).collect();
    let via = json!([A]);
    world.put_child(A, &top, &rooms[0], json!({ "via": (via.clone()), "order": "b", "suggested": true }));
    world.put_child(A, &top, &sub, json!({ "via": (via.clone()), "order": "a" }));
    world.put_child(A, &sub, &rooms[1], json!({ "via": (via.clone()) }));
    // A circle.
    world.put_child(A, &sub, &top, json!({ "via": (via.clone()) }));
    // No children: without servers, and taken away.
    world.put_child(A, &top, &rooms[2], json!({ "via": [] }));
    world.put_child(A, &top, "!x:a.test", json!({}));

    let whole = world.shows(&top, "", &["Top", "Sub", "Two", "One"]);
    assert_eq!(whole.get("next_batch"), None);
    let root = &whole.get("rooms").unwrap().as_array().unwrap()[0];
    assert_eq!((text(root, "room_type"), text(root, "room_version")), ("m.space".into(), "12".into()));
    let children = root.get("children_state").unwrap().as_array().unwrap();
    let keys: Vec<String> = children.iter().map(|child| text(child, "state_key")).collect();
    assert_eq!(keys, [sub.clone(), rooms[0].clone()]);
    assert!(children[0].get("origin_server_ts").is_some());
    world.shows(&top, "?max_depth=0", &["Top"]);
    world.shows(&top, "?max_depth=1", &["Top", "Sub", "One"]);
    world.shows(&top, "?suggested_only=true", &["Top", "One"]);
    let first = world.shows(&top, "?limit=3&max_depth=7", &["Top", "Sub", "Two"]);
    let from = text(&first, "next_batch");
    world.shows(&top, &format!("?limit=3&from={from}"), &["One"]);
    for query in [format!("?from={from}&max_depth=1"), format!("?from={from}&suggested_only=true")] {
        world.refused(&top, &query, 400, "M_INVALID_PARAM");
    }
    for query in ["?from=x", "?from=h1_2", "?from=h1_2_true_4", "?from=h-1_2_true", "?limit=0", "?max_depth=-1"] {
        world.refused(&top, query, 400, "M_INVALID_PARAM");
    }
    world.refused("!unknown:a.test", "", 403, "M_FORBIDDEN");
    world.refused("nonsense", "", 400, "M_INVALID_PARAM");
}

#[test]
fn children_elsewhere() {
    let mut world = World::new();
    let top = world.create(A, "Top", true, "public_chat");
    let sub = world.create(B, "Sub", true, "public_chat");
    let open = world.create(B, "Open", false, "public_chat");
    let closed = world.create(B, "Closed", false, "private_chat");
    let via = json!({ "via": ["nobody.test", B] });
    world.put_child(A, &top, &sub, via.clone());
    world.put_child(B, &sub, &open, via.clone());
    world.put_child(B, &sub, &closed, via.clone());
    // What this server knows itself, it does not ask about.
    world.put_child(B, &sub, &top, via);
    world.shows(&top, "", &["Top", "Sub", "Open"]);
    world.refused(&closed, "", 403, "M_FORBIDDEN");

    let path = format!("/_matrix/federation/v1/hierarchy/{}", segment(&sub));
    let asks = |world: &mut World, who: &str, target: &str| {
        let mut server = Server::new();
        core::mem::swap(&mut server, world.net.server(B));
        let answer = server.asked_by(who, Method::Get, target, ());
        core::mem::swap(&mut server, world.net.server(B));
        answer
    };
    let (status, told) = asks(&mut world, A, &path);
    assert_eq!((status, told.get("inaccessible_children")), (200, Some(&json!([(closed.as_str())]))));
    let closed_path = format!("/_matrix/federation/v1/hierarchy/{}", segment(&closed));
    assert_eq!(asks(&mut world, A, &closed_path).0, 404);
    assert_eq!(asks(&mut world, B, &closed_path).0, 200);
    assert_eq!(asks(&mut world, A, "/_matrix/federation/v1/hierarchy/nonsense").0, 400);
    let acl = format!("/_matrix/client/v3/rooms/{}/state/m.room.server_acl", segment(&sub));
    let bob = world.bob.clone();
    world.net.ok(B, Method::Put, &acl, &bob, json!({ "allow": ["*"], "deny": [A] }));
    assert_eq!(asks(&mut world, A, &path).0, 403);
    // What was heard is remembered for a while.
    let asked = world.net.log.len();
    world.shows(&top, "", &["Top", "Sub", "Open"]);
    assert_eq!(world.net.log.len(), asked);
    world.net.advance(300_000);
    world.shows(&top, "", &["Top"]);
}

#[test]
fn a_server_that_lies_about_a_space() {
    let mut world = World::new();
    let top = world.create(A, "Top", true, "public_chat");
    world.put_child(A, &top, "!sub:b.test", json!({ "via": [B] }));
    let room = |id: &str, name: &str, children: Value| {
        json!({
            "room_id": id, "name": name, "num_joined_members": 1, "world_readable": true, "guest_can_join": false,
            "room_type": "m.space", "children_state": (children)
        })
    };
    let child = |id: &str| {
        json!({
            "type": "m.space.child", "state_key": id, "sender": "@bob:b.test", "origin_server_ts": 1,
            "content": { "via": [B] }
        })
    };
    let path = "/_matrix/federation/v1/hierarchy/%21sub%3Ab.test";
    // Another room than was asked for.
    let other =
        json!({ "room": (room("!other:b.test", "Other", json!([]))), "children": [], "inaccessible_children": [] });
    // Children that are no children, children without end, and secrets that are none of its business.
    let sub = room("!sub:b.test", "Sub", json!([1, {}, (child("!sub:b.test")), (child("!kid:b.test"))]));
    let strange = json!({
        "room": (sub), "inaccessible_children": [(top.as_str()), 1],
        "children": [
            (room("!stranger:b.test", "Stranger", json!([]))), (room("!kid:b.test", "Kid", json!([]))), {}, 1
        ]
    });
    for (lie, expected) in [
        (other, &["Top"][..]),
        (strange, &["Top", "Sub", "Kid"]),
        (json!([]), &["Top"]),
        (json!({ "room": {} }), &["Top"]),
    ] {
        world.net.lie(B, path, 200, lie);
        world.net.advance(300_000);
        world.shows(&top, "", expected);
    }
}
