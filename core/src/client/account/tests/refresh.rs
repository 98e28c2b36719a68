use alloc::string::{String, ToString};
use core::time::Duration;

use crate::canonical_json::Value;
use crate::http::Method::{Get, Post};
use crate::testing::{PASSWORD, Server, json};

const REFRESH: &str = "/_matrix/client/v3/refresh";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

/// Access and refresh token of an answer.
fn tokens(answer: &Value) -> (String, String) {
    let text = |name| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    (text("access_token"), text("refresh_token"))
}

fn login(server: &mut Server) -> (String, String) {
    server.register("alice");
    let body = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD, "refresh_token": true });
    let answer = server.ok(Post, "/_matrix/client/v3/login", (), body);
    assert_eq!(answer.get("expires_in_ms"), Some(&json!(300_000)));
    tokens(&answer)
}

fn refresh(server: &mut Server, token: &str) -> (String, String) {
    tokens(&server.ok(Post, REFRESH, (), json!({ "refresh_token": token })))
}

#[track_caller]
fn check_unknown_refresh(server: &mut Server, token: &str) {
    server.fails(Post, REFRESH, (), json!({ "refresh_token": token }), 401, "M_UNKNOWN_TOKEN");
}

#[track_caller]
fn check_unknown_access(server: &mut Server, token: &str, soft_logout: bool) {
    let answer = server.fails(Get, WHOAMI, token, (), 401, "M_UNKNOWN_TOKEN");
    assert_eq!(answer.get("soft_logout"), Some(&json!(soft_logout)));
}

#[test]
fn an_expired_token_is_a_soft_logout_and_is_refreshed() {
    let mut server = Server::new();
    let (access, refresh_token) = login(&mut server);
    server.advance(299_999);
    server.ok(Get, WHOAMI, access.as_str(), ());
    server.advance(1);
    check_unknown_access(&mut server, &access, true);
    let (access, _) = refresh(&mut server, &refresh_token);
    server.ok(Get, WHOAMI, access.as_str(), ());
}

#[test]
fn old_tokens_are_good_until_the_new_access_token_is_used() {
    let mut server = Server::new();
    let (access, refresh_token) = login(&mut server);
    let lost = refresh(&mut server, &refresh_token);
    server.ok(Get, WHOAMI, access.as_str(), ());
    let mut server = server.crash();
    let (new_access, new_refresh) = refresh(&mut server, &refresh_token);
    check_unknown_access(&mut server, &lost.0, false);
    check_unknown_refresh(&mut server, &lost.1);
    server.ok(Get, WHOAMI, new_access.as_str(), ());
    check_unknown_access(&mut server, &access, false);
    check_unknown_refresh(&mut server, &refresh_token);
    server.ok(Get, WHOAMI, new_access.as_str(), ());
    refresh(&mut server, &new_refresh);
}

#[test]
fn old_tokens_are_good_until_the_new_refresh_token_is_used() {
    let mut server = Server::new();
    let (access, first) = login(&mut server);
    let (_, second) = refresh(&mut server, &first);
    let (third_access, _) = refresh(&mut server, &second);
    check_unknown_refresh(&mut server, &first);
    check_unknown_access(&mut server, &access, false);
    server.ok(Get, WHOAMI, third_access.as_str(), ());
    check_unknown_refresh(&mut server, &second);
}

#[test]
fn logout_ends_the_refresh_token_too() {
    let mut server = Server::new();
    let (access, refresh_token) = login(&mut server);
    let (unused, unused_refresh) = refresh(&mut server, &refresh_token);
    server.ok(Post, "/_matrix/client/v3/logout", access.as_str(), ());
    for token in [&refresh_token, &unused_refresh] {
        check_unknown_refresh(&mut server, token);
    }
    check_unknown_access(&mut server, &unused, false);
}

#[test]
fn bad_requests_are_refused() {
    let mut server = Server::new();
    let (access, _) = login(&mut server);
    server.fails(Post, REFRESH, (), "", 400, "M_NOT_JSON");
    server.fails(Post, REFRESH, (), json!({}), 400, "M_MISSING_PARAM");
    server.fails(Post, REFRESH, (), json!({ "refresh_token": 1 }), 400, "M_BAD_JSON");
    check_unknown_refresh(&mut server, &access);
    check_unknown_refresh(&mut server, "");
}

#[test]
fn other_tokens_expire_if_configured() {
    let mut server = Server::with(|config| config.sessions.access_token_lifetime = Some(Duration::from_secs(60)));
    let alice = server.register("alice");
    server.advance(60_000);
    check_unknown_access(&mut server, &alice.token, true);
    let body = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD,
        "device_id": (alice.device_id.as_str()) });
    let answer = server.ok(Post, "/_matrix/client/v3/login", (), body);
    assert_eq!(answer.get("device_id"), Some(&json!((alice.device_id.as_str()))));
    assert_eq!(answer.get("expires_in_ms"), Some(&json!(60_000)));
}
