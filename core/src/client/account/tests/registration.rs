use alloc::string::ToString;

use crate::config::RegistrationToken;
use crate::http::Method::{Get, Post};
use crate::testing::{PASSWORD, Server, json};

const REGISTER: &str = "/_matrix/client/v3/register";

#[track_caller]
fn check_refused(body: &str, status: u16, errcode: &str) {
    Server::new().fails(Post, REGISTER, (), body, status, errcode);
}

#[test]
fn bad_requests_are_refused() {
    check_refused("", 400, "M_NOT_JSON");
    check_refused("{", 400, "M_NOT_JSON");
    check_refused("[]", 400, "M_BAD_JSON");
    check_refused(r#"{"username": 7}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"password": {}}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"device_id": []}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"device_id": ""}"#, 400, "M_INVALID_PARAM");
    check_refused(r#"{"initial_device_display_name": 1}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"inhibit_login": "no"}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"refresh_token": "yes"}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"auth": "none"}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"auth": {"type": 1}}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"auth": {"type": "m.login.dummy", "session": 1}}"#, 400, "M_BAD_JSON");
    check_refused(r#"{"username": "a", "password": "short"}"#, 400, "M_WEAK_PASSWORD");
    check_refused(r#"{"username": "a", "password": ""}"#, 400, "M_WEAK_PASSWORD");
    check_refused(&json!({ "password": ("x".repeat(513)) }).to_string(), 400, "M_INVALID_PARAM");
    check_refused(r#"{"username": "a", "auth": {"type": "m.login.dummy"}}"#, 400, "M_MISSING_PARAM");
}

#[test]
fn names_outside_the_grammar_are_refused() {
    let mut server = Server::new();
    let long = "a".repeat(250);
    for name in ["", "a b", "a:b", "ä", "@a", "a!", "a\\u0000", "_a", "1234", "a\\\"", &long] {
        let body = alloc::format!(r#"{{"username": "{name}"}}"#);
        server.fails(Post, REGISTER, (), body.as_str(), 400, "M_INVALID_USERNAME");
    }
    for name in ["a.b", "a_b", "a=b", "a-b", "a/b", "a+b", "1a"] {
        let user = server.register(name);
        assert_eq!(user.user_id.as_str(), alloc::format!("@{name}:example.org"));
    }
    assert_eq!(server.register("CaPitals").user_id.as_str(), "@capitals:example.org");
}

#[test]
fn a_name_is_given_once() {
    let mut server = Server::new();
    server.ok(Get, "/_matrix/client/v3/register/available?username=alice", (), ());
    server.register("alice");
    for name in ["alice", "Alice"] {
        server.fails(Post, REGISTER, (), json!({ "username": name, "password": PASSWORD }), 400, "M_USER_IN_USE");
        let path = alloc::format!("/_matrix/client/v3/register/available?username={name}");
        server.fails(Get, &path, (), (), 400, "M_USER_IN_USE");
    }
    server.fails(Get, "/_matrix/client/v3/register/available?username=%21", (), (), 400, "M_INVALID_USERNAME");
    server.fails(Get, "/_matrix/client/v3/register/available", (), (), 400, "M_MISSING_PARAM");
}

#[test]
fn the_answer_has_what_was_asked_for() {
    let mut server = Server::new();
    let auth = json!({ "type": "m.login.dummy" });
    let body = json!({ "password": PASSWORD, "auth": (auth.clone()), "inhibit_login": true });
    let answer = server.ok(Post, REGISTER, (), body);
    assert!(answer.get("access_token").is_none() && answer.get("device_id").is_none(), "{answer}");

    let body = json!({ "username": "bob", "password": PASSWORD, "auth": auth, "device_id": "PHONE",
        "initial_device_display_name": "Bob's phone" });
    let answer = server.ok(Post, REGISTER, (), body);
    assert_eq!(answer.get("user_id"), Some(&json!("@bob:example.org")));
    assert_eq!(answer.get("device_id"), Some(&json!("PHONE")));
    assert!(answer.get("refresh_token").is_none() && answer.get("expires_in_ms").is_none(), "{answer}");
    let token = answer.get("access_token").unwrap().as_str().unwrap();
    let whoami = server.ok(Get, "/_matrix/client/v3/account/whoami", token, ());
    assert_eq!(whoami, json!({ "user_id": "@bob:example.org", "device_id": "PHONE", "is_guest": false }));
}

#[test]
fn closed_registration_is_refused() {
    let mut server = Server::with(|config| {
        config.registration.open = false;
        config.guests = false;
    });
    server.fails(Post, REGISTER, (), json!({}), 403, "M_FORBIDDEN");
    server.fails(Post, "/_matrix/client/v3/register?kind=guest", (), (), 403, "M_GUEST_ACCESS_FORBIDDEN");
    server.fails(Post, "/_matrix/client/v3/register?kind=robot", (), json!({}), 400, "M_INVALID_PARAM");
    let validity = "/_matrix/client/v1/register/m.login.registration_token/validity?token=tea";
    server.fails(Get, validity, (), (), 403, "M_FORBIDDEN");
}

#[test]
fn registration_tokens_run_out() {
    let mut server = Server::with(|config| {
        config.registration.open = false;
        config.registration.tokens.push(RegistrationToken { token: "tea".into(), uses: Some(2) });
    });
    let validity = "/_matrix/client/v1/register/m.login.registration_token/validity";
    server.fails(Get, validity, (), (), 400, "M_MISSING_PARAM");
    let valid = |server: &mut Server, token: &str| {
        server.ok(Get, &alloc::format!("{validity}?token={token}"), (), ()) == json!({ "valid": true })
    };
    assert!(!valid(&mut server, "coffee"));
    let register = |server: &mut Server, name: &str, auth| {
        server.call(Post, REGISTER, (), json!({ "username": name, "password": PASSWORD, "auth": auth }))
    };
    assert_eq!(register(&mut server, "a", json!({ "type": "m.login.dummy" })).0, 401);
    let auth = json!({ "type": "m.login.registration_token", "token": "coffee" });
    assert_eq!(register(&mut server, "a", auth).0, 401);
    let auth = json!({ "type": "m.login.registration_token" });
    assert_eq!(register(&mut server, "a", auth).0, 400);
    for (name, status) in [("a", 200), ("a", 400), ("b", 200), ("c", 401)] {
        assert_eq!(valid(&mut server, "tea"), name != "c");
        let auth = json!({ "type": "m.login.registration_token", "token": "tea" });
        assert_eq!(register(&mut server, name, auth).0, status, "{name}");
    }
}

#[test]
fn guests_come_and_become_users() {
    let mut server = Server::new();
    let body = json!({ "initial_device_display_name": "browser", "device_id": 7, "username": [] });
    let guest = server.ok(Post, "/_matrix/client/v3/register?kind=guest", (), body);
    let token = guest.get("access_token").unwrap().as_str().unwrap();
    let whoami = server.ok(Get, "/_matrix/client/v3/account/whoami", token, ());
    assert_eq!(whoami.get("is_guest"), Some(&json!(true)));
    server.fails(Post, "/_matrix/client/v3/account/password", token, json!({}), 403, "M_GUEST_ACCESS_FORBIDDEN");

    let localpart = crate::identifiers::UserId::parse(guest.get("user_id").unwrap().as_str().unwrap()).unwrap();
    let localpart = localpart.localpart();
    let upgrade = |name: &str, token: &str| {
        json!({ "username": name, "password": PASSWORD, "guest_access_token": token,
            "auth": { "type": "m.login.dummy" } })
    };
    server.fails(Post, REGISTER, (), upgrade("other", token), 400, "M_INVALID_USERNAME");
    server.fails(Post, REGISTER, (), upgrade(localpart, "unknown"), 401, "M_UNKNOWN_TOKEN");
    let user = server.ok(Post, REGISTER, (), upgrade(localpart, token));
    assert_eq!(user.get("user_id"), guest.get("user_id"));
    server.fails(Get, "/_matrix/client/v3/account/whoami", token, (), 401, "M_UNKNOWN_TOKEN");
    server.fails(Post, REGISTER, (), upgrade(localpart, token), 401, "M_UNKNOWN_TOKEN");
    server.login(localpart);
}

#[test]
fn what_was_answered_survives_a_crash_and_the_rest_never_was() {
    let mut server = Server::new();
    let alice = server.register("alice");
    server.hold_commits = true;
    let body = json!({ "username": "bob", "password": PASSWORD, "auth": { "type": "m.login.dummy" } });
    let id = server.start(Post, REGISTER, (), body);
    assert_eq!(server.take_reply(id), None, "an answer waits for the disk");
    let mut server = server.crash();
    server.ok(Get, "/_matrix/client/v3/account/whoami", &alice, ());
    server.login("alice");
    server.register("bob");
}
