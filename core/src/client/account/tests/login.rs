use alloc::string::ToString;

use crate::http::Method::{Get, Post};
use crate::testing::{PASSWORD, Server, json};

const LOGIN: &str = "/_matrix/client/v3/login";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

#[track_caller]
fn check_refused(body: &str, status: u16, errcode: &str) {
    let mut server = Server::new();
    server.register("alice");
    server.fails(Post, LOGIN, (), body, status, errcode);
}

#[test]
fn bad_requests_are_refused() {
    check_refused("", 400, "M_NOT_JSON");
    check_refused("{}", 400, "M_MISSING_PARAM");
    check_refused(r#"{"type": 1}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"type": "m.login.magic"}"#, 400, "M_UNKNOWN");
    check_refused(r#"{"type": "m.login.password"}"#, 400, "M_MISSING_PARAM");
    check_refused(r#"{"type": "m.login.password", "user": "alice"}"#, 400, "M_MISSING_PARAM");
    check_refused(r#"{"type": "m.login.password", "user": 1, "password": "x"}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"type": "m.login.password", "user": "alice", "password": 1}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"type": "m.login.password", "identifier": "alice", "password": "x"}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"type": "m.login.password", "identifier": {}, "password": "x"}"#, 400, "M_MISSING_PARAM");
    check_refused(r#"{"type": "m.login.password", "identifier": {"type": "x"}, "password": "x"}"#, 400, "M_UNKNOWN");
    check_refused(r#"{"type": "m.login.token"}"#, 400, "M_MISSING_PARAM");
    check_refused(r#"{"type": "m.login.token", "token": "x"}"#, 403, "M_FORBIDDEN");
    check_refused(r#"{"type": "m.login.token", "token": "oryl_alice_x"}"#, 403, "M_FORBIDDEN");
}

#[test]
fn whoever_cannot_log_in_is_told_the_same() {
    let mut server = Server::new();
    server.register("alice");
    let phone = json!({ "type": "m.id.phone", "country": "GB", "phone": "1" });
    let email = json!({ "type": "m.id.thirdparty", "medium": "email", "address": "a@example.org" });
    let user = |user: &str| json!({ "type": "m.id.user", "user": user });
    let other_server = user("@alice:elsewhere.org");
    for identifier in [user("alice"), user("bob"), user("@"), user(""), other_server, phone, email] {
        let body = json!({ "type": "m.login.password", "identifier": identifier, "password": "wrong" });
        let answer = server.fails(Post, LOGIN, (), body, 403, "M_FORBIDDEN");
        assert_eq!(answer.get("error"), Some(&json!("The user or the password is wrong")));
    }
    let long = "x".repeat(100_000);
    let body = json!({ "type": "m.login.password", "user": "alice", "password": long });
    server.fails(Post, LOGIN, (), body, 403, "M_FORBIDDEN");
}

#[test]
fn a_user_is_named_in_several_ways() {
    let mut server = Server::new();
    server.register("alice");
    for name in ["alice", "Alice", "@alice:example.org", "@ALICE:example.org"] {
        assert_eq!(server.login(name).user_id.as_str(), "@alice:example.org");
        let body = json!({ "type": "m.login.password", "user": name, "password": PASSWORD });
        server.ok(Post, LOGIN, (), body);
    }
}

#[test]
fn a_device_that_logs_in_again_keeps_its_name_and_loses_its_tokens() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let body = |name: &str| {
        json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD, "device_id": "PHONE",
            "initial_device_display_name": name })
    };
    let first = server.ok(Post, LOGIN, (), body("first"));
    let second = server.ok(Post, LOGIN, (), body("second"));
    let token = |answer: &crate::canonical_json::Value| answer.get("access_token").unwrap().to_string();
    let (first, second) = (token(&first), token(&second));
    server.fails(Get, WHOAMI, first.trim_matches('"'), (), 401, "M_UNKNOWN_TOKEN");
    server.ok(Get, WHOAMI, second.trim_matches('"'), ());
    server.ok(Get, WHOAMI, &alice, ());
    let device = server.ok(Get, "/_matrix/client/v3/devices/PHONE", &alice, ());
    assert_eq!(device.get("display_name"), Some(&json!("first")));
}

#[test]
fn logout_ends_one_session_and_logout_all_every_one() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let (second, third) = (server.login("alice"), server.login("alice"));
    let bob = server.register("bob");
    server.ok(Post, "/_matrix/client/v3/logout", &second, ());
    let answer = server.fails(Get, WHOAMI, &second, (), 401, "M_UNKNOWN_TOKEN");
    assert_eq!(answer.get("soft_logout"), Some(&json!(false)));
    server.fails(Post, "/_matrix/client/v3/logout", &second, json!({}), 401, "M_UNKNOWN_TOKEN");
    server.ok(Get, WHOAMI, &third, ());
    server.ok(Post, "/_matrix/client/v3/logout/all", &third, json!({}));
    for user in [&alice, &third] {
        server.fails(Get, WHOAMI, user, (), 401, "M_UNKNOWN_TOKEN");
    }
    server.ok(Get, WHOAMI, &bob, ());
    server.fails(Get, WHOAMI, (), (), 401, "M_MISSING_TOKEN");
}

#[test]
fn a_login_token_lets_one_device_in_once() {
    let get_token = "/_matrix/client/v1/login/get_token";
    let mut server = Server::new();
    let alice = server.register("alice");
    server.fails(Post, get_token, &alice, json!({}), 404, "M_UNRECOGNIZED");
    let flows = server.ok(Get, LOGIN, (), ());
    assert_eq!(flows, json!({ "flows": [{ "type": "m.login.password" }] }));

    let mut server = server.restart_with(|config| config.sessions.login_tokens = true);
    let flows = server.ok(Get, LOGIN, (), ());
    assert_eq!(flows.get("flows").unwrap().as_array().unwrap().len(), 2);
    let draw = |server: &mut Server| {
        let answer = server.call(Post, get_token, &alice, json!({})).1;
        let session = answer.get("session").unwrap().clone();
        let auth = json!({ "type": "m.login.password", "password": PASSWORD, "session": session });
        let answer = server.ok(Post, get_token, &alice, json!({ "auth": auth }));
        json!({ "type": "m.login.token", "token": (answer.get("login_token").unwrap().clone()) })
    };
    let (first, second) = (draw(&mut server), draw(&mut server));
    let answer = server.ok(Post, LOGIN, (), first.clone());
    assert_eq!(answer.get("user_id"), Some(&json!("@alice:example.org")));
    server.fails(Post, LOGIN, (), first, 403, "M_FORBIDDEN");
    server.advance(120_000);
    server.fails(Post, LOGIN, (), second, 403, "M_FORBIDDEN");
}

#[test]
fn login_repeats_the_well_known_file() {
    let mut server = Server::with(|config| config.client_base_url = Some("https://example.org".into()));
    server.register("alice");
    let body = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD });
    let answer = server.ok(Post, LOGIN, (), body);
    assert_eq!(answer.get("well_known"), Some(&json!({ "m.homeserver": { "base_url": "https://example.org" } })));
}
