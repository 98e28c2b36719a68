use alloc::string::{String, ToString};

use super::super::shared_secret::expected_mac;
use crate::http::Method::{Get, Post};
use crate::testing::{PASSWORD, Server, json};

const PATH: &str = "/_synapse/admin/v1/register";

fn server() -> Server {
    Server::with(|config| config.registration.shared_secret = Some("secret".into()))
}

fn nonce(server: &mut Server) -> String {
    server.ok(Get, PATH, (), ()).get("nonce").unwrap().as_str().unwrap().to_string()
}

/// The vector was made with Python: `hmac.new(b"secret", b"n\0u\0p\0notadmin", "sha1").hexdigest()` and its like.
#[test]
fn the_mac_is_the_one_that_tools_send() {
    let check = |admin, user_type, mac: &str| {
        assert_eq!(expected_mac(&"secret".into(), "n", "u", "p", admin, user_type), mac);
    };
    check(false, None, "0f2b4751fa14a68d6a6878c313b752580706c394");
    check(true, None, "f393a2fa070427923635b76f35737172331c3aef");
    check(true, Some("bot"), "4c7b22651a2999b9821f9456438ca99a95790b82");
}

#[test]
fn whoever_knows_the_secret_registers() {
    let mut server = server();
    let nonce = nonce(&mut server);
    let mac = expected_mac(&"secret".into(), &nonce, "Alice", PASSWORD, true, None);
    let body =
        json!({ "nonce": (nonce.clone()), "username": "Alice", "password": PASSWORD, "admin": true, "mac": mac });
    let answer = server.ok(Post, PATH, (), body.clone());
    assert_eq!(answer.get("user_id"), Some(&json!("@alice:example.org")));
    assert!(answer.get("access_token").is_some() && answer.get("device_id").is_some());
    server.fails(Post, PATH, (), body, 400, "M_USER_IN_USE");
    server.login("alice");
}

#[test]
fn others_do_not() {
    let mut server = server();
    let nonce = nonce(&mut server);
    let mac = expected_mac(&"secret".into(), &nonce, "alice", PASSWORD, false, None);
    let body = |nonce: &str, username: &str, admin: bool, mac: &str| json!({ "nonce": nonce, "username": username, "password": PASSWORD, "admin": admin, "mac": mac });
    server.fails(Post, PATH, (), body(&nonce, "alice", true, &mac), 403, "M_UNKNOWN");
    server.fails(Post, PATH, (), body(&nonce, "bob", false, &mac), 403, "M_UNKNOWN");
    server.fails(Post, PATH, (), body("x", "alice", false, &mac), 400, "M_UNKNOWN");
    let forged = nonce.replacen('.', "0.", 1);
    server.fails(Post, PATH, (), body(&forged, "alice", false, &mac), 400, "M_UNKNOWN");
    for missing in ["nonce", "username", "password", "mac"] {
        let mut object = body(&nonce, "alice", false, &mac);
        object.as_object_mut().unwrap().remove(missing);
        server.fails(Post, PATH, (), object, 400, "M_MISSING_PARAM");
    }
    server.advance(60_000);
    server.fails(Post, PATH, (), body(&nonce, "alice", false, &mac), 400, "M_UNKNOWN");
    let mut server = server.restart_with(|config| config.registration.shared_secret = None);
    server.fails(Get, PATH, (), (), 400, "M_UNKNOWN");
    server.fails(Post, PATH, (), body(&nonce, "alice", false, &mac), 400, "M_UNKNOWN");
}
