use alloc::format;
use alloc::string::{String, ToString};

use crate::canonical_json::Value;
use crate::http::Method::{Delete, Get, Post, Put};
use crate::testing::{PASSWORD, Server, User, json};

fn profile(user: &User, rest: &str) -> String {
    format!("/_matrix/client/v3/profile/{}{rest}", user.user_id)
}

fn create_room(server: &mut Server, user: &User) -> String {
    let body = json!({ "preset": "public_chat" });
    let answer = server.ok(Post, "/_matrix/client/v3/createRoom", user, body);
    answer.get("room_id").unwrap().as_str().unwrap().to_string()
}

fn member(server: &mut Server, room: &str, who: &User, user: &User) -> Value {
    let path = format!("/_matrix/client/v3/rooms/{room}/state/m.room.member/{}", user.user_id);
    server.ok(Get, &path, who, ())
}

#[test]
fn fields_are_set_read_and_deleted() {
    let mut server = Server::new();
    let alice = server.register("alice");
    assert_eq!(server.ok(Get, &profile(&alice, ""), (), ()), json!({}));
    let fields = [
        ("displayname", json!("Alice")),
        ("avatar_url", json!("mxc://example.org/a_B-1")),
        ("m.tz", json!("Europe/London")),
        ("org.example.pronouns", json!([{ "summary": "she/her" }])),
        ("org.example.nothing", json!(null)),
    ];
    for (name, value) in &fields {
        let path = profile(&alice, &format!("/{name}"));
        server.fails(Get, &path, (), (), 404, "M_NOT_FOUND");
        let body: crate::canonical_json::Object = [(*name, value.clone())].into_iter().collect();
        server.ok(Put, &path, &alice, Value::Object(body.clone()));
        assert_eq!(server.ok(Get, &path, (), ()), Value::Object(body));
    }
    let mut server = server.crash();
    assert_eq!(server.ok(Get, &profile(&alice, ""), (), ()), Value::Object(fields.into_iter().collect()));
    for name in ["m.tz", "m.tz", "displayname"] {
        server.ok(Delete, &profile(&alice, &format!("/{name}")), &alice, ());
        server.fails(Get, &profile(&alice, &format!("/{name}")), (), (), 404, "M_NOT_FOUND");
    }
    server.ok(Put, &profile(&alice, "/avatar_url"), &alice, json!({ "avatar_url": "" }));
    server.fails(Get, &profile(&alice, "/avatar_url"), (), (), 404, "M_NOT_FOUND");
}

#[test]
fn bad_fields_are_refused() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let guest = server.ok(Post, "/_matrix/client/v3/register?kind=guest", (), ());
    let mut check = |name: &str, body: Value, status: u16, errcode: &str| {
        server.fails(Put, &profile(&alice, &format!("/{name}")), &alice, body, status, errcode);
    };
    check("displayname", json!({}), 400, "M_MISSING_PARAM");
    check("displayname", json!({ "displayname": 1 }), 400, "M_BAD_JSON");
    check("displayname", json!({ "displayname": null }), 400, "M_BAD_JSON");
    check("displayname", json!({ "displayname": ("x".repeat(1025)) }), 400, "M_INVALID_PARAM");
    check("displayname", json!([]), 400, "M_BAD_JSON");
    check("m.tz", json!({ "m.tz": 1 }), 400, "M_BAD_JSON");
    for name in ["name", "Org.example", "1.a", "org.ex%20ample", "org.%C3%A4", "."] {
        check(name, json!({}), 400, "M_INVALID_PARAM");
    }
    check(&format!("a.{}", "a".repeat(254)), json!({}), 400, "M_KEY_TOO_LARGE");
    for url in ["x", "http://example.org/a", "mxc://", "mxc://example.org", "mxc://example.org/", "mxc://a/../b"] {
        check("avatar_url", json!({ "avatar_url": url }), 400, "M_INVALID_PARAM");
    }
    check("a.b", json!({ "a.b": ("x".repeat(65_536)) }), 400, "M_PROFILE_TOO_LARGE");

    server.fails(Put, &profile(&bob, "/a.b"), &alice, json!({ "a.b": 1 }), 403, "M_FORBIDDEN");
    server.fails(Delete, &profile(&bob, "/a.b"), &alice, (), 403, "M_FORBIDDEN");
    server.fails(Get, "/_matrix/client/v3/profile/@nobody:example.org", (), (), 404, "M_NOT_FOUND");
    server.fails(Get, "/_matrix/client/v3/profile/nobody", (), (), 400, "M_INVALID_PARAM");

    let token = guest.get("access_token").unwrap().as_str().unwrap();
    let path = format!("/_matrix/client/v3/profile/{}/", guest.get("user_id").unwrap().as_str().unwrap());
    server.ok(Put, &format!("{path}displayname"), token, json!({ "displayname": "G" }));
    server.fails(Put, &format!("{path}a.b"), token, json!({ "a.b": 1 }), 403, "M_GUEST_ACCESS_FORBIDDEN");
}

#[test]
fn names_reach_the_member_events_of_every_room() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let rooms: [String; 45] = core::array::from_fn(|_| create_room(&mut server, &alice));
    for room in &rooms {
        server.ok(Post, &format!("/_matrix/client/v3/rooms/{room}/join"), &bob, json!({}));
    }
    server.ok(Post, &format!("/_matrix/client/v3/rooms/{}/leave", rooms[0]), &bob, json!({}));
    server.ok(Put, &profile(&bob, "/displayname"), &bob, json!({ "displayname": "Bob" }));
    assert_eq!(member(&mut server, &rooms[0], &alice, &bob).get("membership"), Some(&json!("leave")));
    for room in &rooms[1..] {
        let content = member(&mut server, room, &alice, &bob);
        assert_eq!(content, json!({ "membership": "join", "displayname": "Bob" }));
    }
    server.ok(Delete, &profile(&bob, "/displayname"), &bob, ());
    assert_eq!(member(&mut server, &rooms[44], &alice, &bob), json!({ "membership": "join" }));
}

#[test]
fn names_reach_every_room_although_the_client_is_gone() {
    let mut server = Server::new();
    let bob = server.register("bob");
    let rooms: [String; 45] = core::array::from_fn(|_| create_room(&mut server, &bob));
    server.hold_commits = true;
    let id = server.start(Put, &profile(&bob, "/displayname"), &bob, json!({ "displayname": "Bob" }));
    server.hangup(id);
    assert_eq!(server.report().len(), 1);
    server.release_commits();
    assert_eq!(server.report().len(), 0);
    for room in &rooms {
        let content = member(&mut server, room, &bob, &bob);
        assert_eq!(content, json!({ "membership": "join", "displayname": "Bob" }));
    }
}

/// The errand is stored with the profile: whatever is durable of it is finished by the next life.
#[test]
fn names_reach_every_room_across_a_crash() {
    let mut server = Server::new();
    let bob = server.register("bob");
    let rooms: [String; 45] = core::array::from_fn(|_| create_room(&mut server, &bob));
    server.hold_commits = true;
    let id = server.start(Put, &profile(&bob, "/displayname"), &bob, json!({ "displayname": "Bob" }));
    assert_eq!(server.take_reply(id), None);
    assert_eq!(server.report().len(), 1, "the flow waits for its turn, and so for the disk");
    let mut server = server.crash_after(1);
    assert_eq!(server.report().len(), 0);
    for room in &rooms {
        let content = member(&mut server, room, &bob, &bob);
        assert_eq!(content, json!({ "membership": "join", "displayname": "Bob" }));
    }
}

#[test]
fn a_deactivated_user_leaves_every_room() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    server.ok(Put, &profile(&bob, "/displayname"), &bob, json!({ "displayname": "Bob" }));
    let rooms: [String; 3] = core::array::from_fn(|_| create_room(&mut server, &alice));
    for room in &rooms[..2] {
        server.ok(Post, &format!("/_matrix/client/v3/rooms/{room}/join"), &bob, json!({}));
    }
    let invite = json!({ "user_id": (bob.user_id.as_str()) });
    server.ok(Post, &format!("/_matrix/client/v3/rooms/{}/invite", rooms[2]), &alice, invite);
    let auth = json!({ "type": "m.login.password", "password": PASSWORD });
    server.ok(Post, "/_matrix/client/v3/account/deactivate", &bob, json!({ "auth": auth, "erase": true }));
    for room in &rooms {
        assert_eq!(member(&mut server, room, &alice, &bob).get("membership"), Some(&json!("leave")));
    }
    server.fails(Get, &profile(&bob, ""), (), (), 404, "M_NOT_FOUND");
}
