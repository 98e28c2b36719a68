use alloc::string::ToString;

use crate::canonical_json::Value;
use crate::http::Method::{Get, Post, Put};
use crate::testing::{PASSWORD, Server, User, json};

const CHANGE: &str = "/_matrix/client/v3/account/password";
const DEACTIVATE: &str = "/_matrix/client/v3/account/deactivate";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn auth(user: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": user }, "password": password })
}

#[track_caller]
fn check_login(server: &mut Server, password: &str, status: u16) {
    let body = json!({ "type": "m.login.password", "user": "alice", "password": password });
    assert_eq!(server.call(Post, "/_matrix/client/v3/login", (), body).0, status, "{password}");
}

#[test]
fn a_changed_password_ends_the_other_sessions_unless_told_otherwise() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let other = server.login("alice");
    let change = |from: &str, to: &str, logout: bool| json!({ "new_password": to, "logout_devices": logout, "auth": (auth("alice", from)) });
    server.ok(Post, CHANGE, &alice, change(PASSWORD, "battery staple", false));
    server.ok(Get, WHOAMI, &other, ());
    check_login(&mut server, PASSWORD, 403);
    check_login(&mut server, "battery staple", 200);
    server.ok(Post, CHANGE, &alice, change("battery staple", PASSWORD, true));
    server.ok(Get, WHOAMI, &alice, ());
    server.fails(Get, WHOAMI, &other, (), 401, "M_UNKNOWN_TOKEN");
}

#[test]
fn bad_changes_are_refused() {
    let mut server = Server::new();
    let alice = server.register("alice");
    server.register("bob");
    server.fails(Post, CHANGE, (), json!({ "new_password": "battery staple" }), 401, "M_MISSING_TOKEN");
    server.fails(Post, CHANGE, &alice, json!({}), 400, "M_MISSING_PARAM");
    server.fails(Post, CHANGE, &alice, json!({ "new_password": 1 }), 400, "M_BAD_JSON");
    server.fails(Post, CHANGE, &alice, json!({ "new_password": "1" }), 400, "M_WEAK_PASSWORD");
    let body = json!({ "new_password": "battery staple", "logout_devices": "no" });
    server.fails(Post, CHANGE, &alice, body, 400, "M_BAD_JSON");
    let body = json!({ "new_password": "battery staple", "auth": (auth("alice", "wrong")) });
    server.fails(Post, CHANGE, &alice, body, 401, "M_FORBIDDEN");
    // Bob has that password too, and Alice's token does not change his.
    for name in ["bob", "@alice:elsewhere.org", ""] {
        let body = json!({ "new_password": "battery staple", "auth": (auth(name, PASSWORD)) });
        server.fails(Post, CHANGE, &alice, body, 401, "M_FORBIDDEN");
    }
    check_login(&mut server, PASSWORD, 200);
}

#[test]
fn newcomers_see_the_events_of_the_erased_redacted() {
    let mut server = Server::new();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let name = "/_matrix/client/v3/profile/@alice:example.org/displayname";
    server.ok(Put, name, &alice, json!({ "displayname": "Alice" }));
    let body = json!({ "preset": "public_chat", "name": "Tea" });
    let room = server.ok(Post, "/_matrix/client/v3/createRoom", &alice, body);
    let room = alloc::format!("/_matrix/client/v3/rooms/{}", room.get("room_id").unwrap().as_str().unwrap());
    server.ok(Post, &alloc::format!("{room}/join"), &bob, json!({}));
    for sender in [&alice, &bob] {
        let path = alloc::format!("{room}/send/m.room.message/1");
        server.ok(Put, &path, sender, json!({ "msgtype": "m.text", "body": "hello" }));
    }
    server.ok(Post, DEACTIVATE, &alice, json!({ "erase": true, "auth": (auth("alice", PASSWORD)) }));
    server.ok(Post, &alloc::format!("{room}/join"), &carol, json!({}));

    let mut check = |who: &User, seen: &[&str], unseen: &[&str]| {
        let page = server.ok(Get, &alloc::format!("{room}/messages?dir=b&limit=100"), who, ()).to_string();
        for text in seen {
            assert!(page.contains(text), "{} sees {text} in {page}", who.user_id);
        }
        for text in unseen {
            assert!(!page.contains(text), "{} does not see {text} in {page}", who.user_id);
        }
    };
    let of_alice = r#""content":{"body":"hello","msgtype":"m.text"},"event_id""#;
    check(&bob, &[of_alice, "\"displayname\":\"Alice\"", "Tea"], &[]);
    check(&carol, &["hello", "Tea", r#""content":{},"#], &["\"displayname\":\"Alice\""]);
}

#[test]
fn a_deactivated_account_is_over_and_keeps_its_name() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let other = server.login("alice");
    server.fails(Post, DEACTIVATE, &alice, json!({ "erase": 1 }), 400, "M_BAD_JSON");
    server.fails(Post, DEACTIVATE, &alice, json!({ "auth": (auth("alice", "wrong")) }), 401, "M_FORBIDDEN");
    let answer = server.ok(Post, DEACTIVATE, &alice, json!({ "auth": (auth("alice", PASSWORD)) }));
    assert_eq!(answer, json!({ "id_server_unbind_result": "success" }));
    for session in [&alice, &other] {
        server.fails(Get, WHOAMI, session, (), 401, "M_UNKNOWN_TOKEN");
    }
    check_login(&mut server, PASSWORD, 403);
    let body = json!({ "username": "alice", "password": PASSWORD });
    server.fails(Post, "/_matrix/client/v3/register", (), body, 400, "M_USER_IN_USE");
}
