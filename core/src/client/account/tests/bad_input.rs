//! Every member of every body with every wrong type: an answer of the standard form, and never a fault of the server's.

use alloc::vec::Vec;

use crate::canonical_json::{self, Value};
use crate::http::Method::{self, Delete, Post, Put};
use crate::testing::{PASSWORD, Server, json};

const USER: &str = "/_matrix/client/v3/user/@alice:example.org";
const RULES: &str = "/_matrix/client/v3/pushrules/global";

/// Endpoints with a body that they take.
fn requests() -> Vec<(Method, alloc::string::String, Value)> {
    let auth = json!({ "type": "m.login.password", "session": "0.x", "password": PASSWORD,
        "identifier": { "type": "m.id.user", "user": "alice" } });
    let client = |path: &str| alloc::format!("/_matrix/client/v3/{path}");
    let rule = json!({ "actions": ["notify", { "set_tweak": "sound", "value": "x" }],
        "conditions": [{ "kind": "event_match", "key": "type", "pattern": "*" }], "pattern": "x" });
    let filter = json!({ "event_fields": ["a"], "event_format": "client", "presence": { "limit": 1, "types": ["a"] },
        "room": { "rooms": [], "include_leave": true,
            "timeline": { "limit": 1, "senders": [], "lazy_load_members": true, "contains_url": false } } });
    alloc::vec![
        (
            Post,
            client("register"),
            json!({ "username": "bob", "password": PASSWORD, "device_id": "D",
            "initial_device_display_name": "d", "inhibit_login": false, "refresh_token": true,
            "guest_access_token": "x", "auth": { "type": "m.login.dummy", "session": "0.x" } })
        ),
        (Post, client("register?kind=guest"), json!({ "initial_device_display_name": "d" })),
        (
            Post,
            client("login"),
            json!({ "type": "m.login.password", "password": PASSWORD, "device_id": "D",
            "identifier": { "type": "m.id.user", "user": "alice" }, "refresh_token": true })
        ),
        (Post, client("login"), json!({ "type": "m.login.token", "token": "oryl_alice_x" })),
        (Post, client("refresh"), json!({ "refresh_token": "x" })),
        (Post, client("logout"), json!({ "ignored": true })),
        (
            Post,
            client("account/password"),
            json!({ "new_password": PASSWORD, "logout_devices": false,
            "auth": (auth.clone()) })
        ),
        (Post, client("account/deactivate"), json!({ "erase": true, "id_server": "x", "auth": { "type": "x" } })),
        (Post, client("delete_devices"), json!({ "devices": ["A", "B"], "auth": (auth.clone()) })),
        (Delete, client("devices/A"), json!({ "auth": auth })),
        (Put, client("devices/A"), json!({ "display_name": "x" })),
        (Put, client("profile/@alice:example.org/displayname"), json!({ "displayname": "A" })),
        (Put, client("profile/@alice:example.org/avatar_url"), json!({ "avatar_url": "mxc://a.b/c" })),
        (Put, client("profile/@alice:example.org/a.b"), json!({ "a.b": { "c": [1] } })),
        (Put, client("presence/@alice:example.org/status"), json!({ "presence": "online", "status_msg": "x" })),
        (Put, client("rooms/!x:example.org/typing/@alice:example.org"), json!({ "typing": true, "timeout": 1 })),
        (Put, alloc::format!("{USER}/account_data/a"), json!({ "a": 1 })),
        (Put, alloc::format!("{USER}/rooms/!x:example.org/tags/u.a"), json!({ "order": 1 })),
        (Post, alloc::format!("{USER}/filter"), filter),
        (Put, alloc::format!("{RULES}/override/a"), rule.clone()),
        (Put, alloc::format!("{RULES}/content/a"), rule.clone()),
        (Put, alloc::format!("{RULES}/override/.m.rule.master/actions"), rule),
        (Put, alloc::format!("{RULES}/override/.m.rule.master/enabled"), json!({ "enabled": true })),
        (
            Post,
            "/_synapse/admin/v1/register".into(),
            json!({ "nonce": "1.x", "username": "u", "password": PASSWORD,
            "admin": true, "user_type": "bot", "mac": "x" })
        ),
        (Post, "/_orrery/admin/v1/users".into(), json!({ "username": "u", "password": PASSWORD, "admin": true })),
        (
            Post,
            "/_orrery/admin/v1/users/alice/password".into(),
            json!({ "new_password": PASSWORD,
            "logout_devices": false })
        ),
    ]
}

/// `value` with one of its parts, however deep, replaced by `wrong`; every such variant.
fn variants(value: &Value, wrong: &Value) -> Vec<Value> {
    let mut out = alloc::vec![wrong.clone()];
    match value {
        Value::Object(object) => {
            for (name, member) in object.iter() {
                for variant in variants(member, wrong) {
                    let mut object = object.clone();
                    object.insert(name, variant);
                    out.push(Value::Object(object));
                }
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                for variant in variants(item, wrong) {
                    let mut items = items.clone();
                    items[i] = variant;
                    out.push(Value::Array(items));
                }
            }
        }
        _ => {}
    }
    out
}

fn server() -> (Server, alloc::string::String) {
    let mut server = Server::with(|config| config.registration.shared_secret = Some("secret".into()));
    let token = server.register("alice").token;
    (server, token)
}

fn check(server: &mut Server, token: &mut alloc::string::String, method: Method, target: &str, body: &[u8]) {
    let who = if target.starts_with("/_orrery") { "admin secret" } else { token.as_str() };
    let id = server.start(method, target, who, body);
    let response = server.take_response(id).unwrap_or_else(|| panic!("{method:?} {target} was not answered"));
    let shown = alloc::string::String::from_utf8_lossy(body);
    assert!(response.status < 500, "{method:?} {target} with {shown}: {}", response.status);
    let answer = canonical_json::parse(&response.body).expect("answers are JSON");
    // The challenge of user-interactive authentication is the one error that has no `errcode`.
    let is_error = answer.get("errcode").is_some() && answer.get("error").is_some();
    assert!(
        response.status < 300 || is_error || answer.get("flows").is_some(),
        "{method:?} {target} with {shown}: {answer}"
    );
    if target.ends_with("/logout") {
        *token = server.login("alice").token;
    }
}

#[test]
fn wrong_types_anywhere_are_refused_in_the_standard_form() {
    let (mut server, mut token) = server();
    let half = canonical_json::parse(b"0.5").unwrap();
    let wrong = [
        json!(null),
        json!(true),
        json!(7),
        json!((-1)),
        half,
        json!("x"),
        json!(""),
        json!([]),
        json!([[]]),
        json!({}),
        json!({ "type": 1 }),
    ];
    for (method, target, body) in requests() {
        for wrong in &wrong {
            for variant in variants(&body, wrong) {
                check(&mut server, &mut token, method, &target, &variant.to_bytes());
            }
        }
    }
    server.login("alice");
}

#[test]
fn broken_json_is_refused_in_the_standard_form() {
    let (mut server, mut token) = server();
    let deep = "[".repeat(100_000);
    let texts: [&[u8]; 9] = [
        b"",
        b"{",
        b"{\"a\":",
        b"\xff\xfe",
        b"{\"a\":1,\"a\":2}",
        b"\"\\ud800\"",
        b"nul",
        b"{\"a\":1e999999999}",
        deep.as_bytes(),
    ];
    for (method, target, body) in requests() {
        let bytes = body.to_bytes();
        for text in texts.iter().copied().chain([&bytes[..bytes.len() / 2]]) {
            check(&mut server, &mut token, method, &target, text);
        }
    }
}
