//! PITFALLS 17: a session cannot skip a stage, change endpoint, or change its parameters.

use alloc::string::{String, ToString};

use crate::canonical_json::Value;
use crate::http::Method::{Delete, Get, Post};
use crate::testing::{PASSWORD, Server, User, json};

const REGISTER: &str = "/_matrix/client/v3/register";
const CHANGE: &str = "/_matrix/client/v3/account/password";

/// Begins authentication, and returns the session.
#[track_caller]
fn begin(server: &mut Server, target: &str, who: &User, body: Value) -> String {
    let (status, answer) = server.call(Post, target, who, body);
    assert_eq!((status, answer.get("errcode")), (401, None), "{answer}");
    answer.get("session").unwrap().as_str().unwrap().to_string()
}

fn password(session: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "alice" },
        "password": PASSWORD, "session": session })
}

#[test]
fn the_challenge_says_what_is_possible() {
    let mut server = Server::new();
    for body in [json!({}), json!({ "auth": {} }), json!({ "auth": null })] {
        let (status, answer) = server.call(Post, REGISTER, (), body);
        assert_eq!(status, 401);
        assert_eq!(answer.get("flows"), Some(&json!([{ "stages": ["m.login.dummy"] }])));
        assert_eq!(answer.get("params"), Some(&json!({})));
        assert!(answer.get("session").is_some() && answer.get("errcode").is_none(), "{answer}");
    }
}

#[test]
fn registration_may_look_for_the_flows_first() {
    let mut server = Server::new();
    let (_, answer) = server.call(Post, REGISTER, (), json!({}));
    let session = answer.get("session").unwrap().clone();
    let body = json!({ "username": "alice", "password": PASSWORD,
        "auth": { "type": "m.login.dummy", "session": session } });
    server.ok(Post, REGISTER, (), body.clone());
    server.fails(Post, REGISTER, (), body, 400, "M_USER_IN_USE");
}

#[test]
fn a_session_is_good_for_one_request_once() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let session = begin(&mut server, CHANGE, &alice, json!({ "new_password": "battery staple" }));
    let changed = json!({ "new_password": "something else", "auth": (password(&session)) });
    server.fails(Post, CHANGE, &alice, changed, 403, "M_FORBIDDEN");
    let other_endpoint = json!({ "new_password": "battery staple", "auth": (password(&session)) });
    server.fails(Post, "/_matrix/client/v3/account/deactivate", &alice, other_endpoint.clone(), 403, "M_FORBIDDEN");
    let other_device = server.login("alice");
    server.fails(Post, CHANGE, &other_device, other_endpoint.clone(), 403, "M_FORBIDDEN");
    server.ok(Post, CHANGE, &alice, other_endpoint.clone());
    let answer = server.fails(Post, CHANGE, &alice, other_endpoint, 401, "M_UNKNOWN");
    assert_ne!(answer.get("session"), Some(&json!(session)), "a new session is offered");
}

#[test]
fn a_path_is_part_of_the_session() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let (first, second) = (server.login("alice"), server.login("alice"));
    let path = |user: &User| alloc::format!("/_matrix/client/v3/devices/{}", user.device_id);
    let (_, answer) = server.call(Delete, &path(&first), &alice, json!({}));
    let auth = password(answer.get("session").unwrap().as_str().unwrap());
    server.fails(Delete, &path(&second), &alice, json!({ "auth": (auth.clone()) }), 403, "M_FORBIDDEN");
    server.ok(Get, "/_matrix/client/v3/account/whoami", &second, ());
    server.ok(Delete, &path(&first), &alice, json!({ "auth": auth }));
    server.fails(Get, "/_matrix/client/v3/account/whoami", &first, (), 401, "M_UNKNOWN_TOKEN");
}

#[test]
fn unknown_sessions_and_stages_are_asked_again() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let body = |auth: Value| json!({ "new_password": "battery staple", "auth": auth });
    for session in ["", "x", "0", "0.", "0.x", "9999999999.x", "4294967295.x", "-1.x"] {
        let answer = server.fails(Post, CHANGE, &alice, body(password(session)), 401, "M_UNKNOWN");
        assert!(answer.get("session").is_some());
    }
    for stage in ["m.login.dummy", "m.login.registration_token", "x"] {
        server.fails(Post, CHANGE, &alice, body(json!({ "type": stage })), 401, "M_FORBIDDEN");
    }
    server.fails(Post, CHANGE, &alice, body(json!({ "type": "m.login.password" })), 400, "M_MISSING_PARAM");
    server.fails(Post, CHANGE, &alice, body(json!({ "type": "m.login.password", "password": 1 })), 400, "M_BAD_JSON");
}

#[test]
fn a_session_ends_with_time_and_survives_a_restart() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let body = json!({ "new_password": "battery staple" });
    let (kept, late) = (begin(&mut server, CHANGE, &alice, body.clone()), begin(&mut server, CHANGE, &alice, body));
    let body = |session: &str| json!({ "new_password": "battery staple", "auth": (password(session)) });
    let mut server = server.crash();
    server.ok(Post, CHANGE, &alice, body(&kept));
    server.advance(3_600_000);
    server.fails(Post, CHANGE, &alice, body(&late), 401, "M_UNKNOWN");
}
