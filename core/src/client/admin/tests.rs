use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::canonical_json::Value;
use crate::http::Method::{Get, Post};
use crate::testing::{PASSWORD, Server, json};

const USERS: &str = "/_orrery/admin/v1/users";
const SECRET: &str = "admin secret";

fn ids(answer: &Value) -> Vec<String> {
    let users = answer.get("users").unwrap().as_array().unwrap();
    users.iter().map(|user| user.get("user_id").unwrap().as_str().unwrap().to_string()).collect()
}

#[test]
fn only_the_secret_opens_it() {
    let mut server = Server::new();
    let alice = server.register("alice");
    server.fails(Get, USERS, (), (), 404, "M_UNRECOGNIZED");
    server.fails(Get, USERS, &alice, (), 404, "M_UNRECOGNIZED");
    server.fails(Get, USERS, "admin", (), 404, "M_UNRECOGNIZED");
    server.ok(Get, USERS, SECRET, ());
    let mut server = server.restart_with(|config| config.admin_secret = None);
    server.fails(Get, USERS, SECRET, (), 404, "M_UNRECOGNIZED");
}

#[test]
fn users_are_created_and_listed() {
    let mut server = Server::with(|config| config.registration.open = false);
    let body = json!({ "username": "Carol", "password": PASSWORD, "admin": true });
    let carol = server.ok(Post, USERS, SECRET, body.clone());
    let expected = json!({ "user_id": "@carol:example.org", "created_ts": (server.now.0), "admin": true, "guest": false,
        "deactivated": false, "devices": 0, "last_seen_ts": null });
    assert_eq!(carol, expected);
    server.fails(Post, USERS, SECRET, body, 400, "M_USER_IN_USE");
    server.login("carol");
    for name in ["dave", "erin"] {
        server.ok(Post, USERS, SECRET, json!({ "username": name, "password": PASSWORD }));
    }
    server.ok(Post, "/_matrix/client/v3/register?kind=guest", (), ());

    let all = server.ok(Get, USERS, SECRET, ());
    assert_eq!(ids(&all), ["@carol:example.org", "@dave:example.org", "@erin:example.org"]);
    assert_eq!(all.get("next"), None);
    let first = server.ok(Get, &alloc::format!("{USERS}?limit=2"), SECRET, ());
    assert_eq!(ids(&first), ["@carol:example.org", "@dave:example.org"]);
    let next = first.get("next").unwrap().as_str().unwrap().replace('@', "%40");
    let rest = server.ok(Get, &alloc::format!("{USERS}?limit=2&from={next}"), SECRET, ());
    assert_eq!((ids(&rest), rest.get("next")), (alloc::vec!["@erin:example.org".to_string()], None));
    assert_eq!(ids(&server.ok(Get, &alloc::format!("{USERS}?guests=true"), SECRET, ())).len(), 4);
    server.fails(Get, &alloc::format!("{USERS}?limit=x"), SECRET, (), 400, "M_INVALID_PARAM");

    for name in ["carol", "%40carol%3Aexample.org"] {
        let carol = server.ok(Get, &alloc::format!("{USERS}/{name}"), SECRET, ());
        assert_eq!((carol.get("devices"), carol.get("last_seen_ts")), (Some(&json!(1)), Some(&json!((server.now.0)))));
    }
    server.fails(Get, &alloc::format!("{USERS}/nobody"), SECRET, (), 404, "M_NOT_FOUND");
}

#[test]
fn bad_users_are_refused() {
    let mut server = Server::new();
    let mut check = |username: Value, password: Value, errcode: &str| {
        server.fails(Post, USERS, SECRET, json!({ "username": username, "password": password }), 400, errcode);
    };
    check(json!("a b"), json!(PASSWORD), "M_INVALID_USERNAME");
    check(json!(""), json!(PASSWORD), "M_INVALID_USERNAME");
    check(json!(1), json!(PASSWORD), "M_BAD_JSON");
    check(json!("a"), json!("x"), "M_WEAK_PASSWORD");
    check(json!("a"), json!(null), "M_MISSING_PARAM");
}

#[test]
fn passwords_are_reset_and_accounts_deactivated() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let reset = alloc::format!("{USERS}/alice/password");
    server.fails(Post, &reset, SECRET, json!({ "new_password": "x" }), 400, "M_WEAK_PASSWORD");
    server.ok(Post, &reset, SECRET, json!({ "new_password": "battery staple", "logout_devices": false }));
    server.ok(Get, "/_matrix/client/v3/account/whoami", &alice, ());
    server.ok(Post, &reset, SECRET, json!({ "new_password": PASSWORD }));
    server.fails(Get, "/_matrix/client/v3/account/whoami", &alice, (), 401, "M_UNKNOWN_TOKEN");
    let alice = server.login("alice");

    let deactivate = alloc::format!("{USERS}/alice/deactivate");
    server.fails(Post, &deactivate, SECRET, json!({ "erase": 1 }), 400, "M_BAD_JSON");
    server.ok(Post, &deactivate, SECRET, ());
    server.fails(Get, "/_matrix/client/v3/account/whoami", &alice, (), 401, "M_UNKNOWN_TOKEN");
    server.fails(Post, &deactivate, SECRET, (), 400, "M_USER_DEACTIVATED");
    server.fails(Post, &reset, SECRET, json!({ "new_password": PASSWORD }), 400, "M_USER_DEACTIVATED");
    let user = server.ok(Get, &alloc::format!("{USERS}/alice"), SECRET, ());
    assert_eq!(user.get("deactivated"), Some(&json!(true)));
}
