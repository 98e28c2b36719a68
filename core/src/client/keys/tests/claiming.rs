use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::testing::{device_keys, one_time_keys};
use crate::canonical_json::{Object, Value};
use crate::http::Method::{Get, Post};
use crate::testing::{Server, User, json};

const UPLOAD: &str = "/_matrix/client/v3/keys/upload";
const CLAIM: &str = "/_matrix/client/v3/keys/claim";

fn body(of: &User, algorithm: &str) -> Value {
    let claims = Object::new().with(&of.user_id, Object::new().with(&of.device_id, algorithm));
    json!({ "one_time_keys": (claims) })
}

/// The ID of the key in an answer.
fn key_id(answer: &Value, of: &User) -> Option<String> {
    let keys = answer.get("one_time_keys")?.get(&of.user_id)?.get(&of.device_id)?.as_object()?;
    assert_eq!(keys.len(), 1);
    keys.iter().next().map(|(key_id, _)| key_id.to_string())
}

fn claim(server: &mut Server, of: &User) -> Option<String> {
    let answer = server.ok(Post, CLAIM, of, body(of, "signed_curve25519"));
    key_id(&answer, of)
}

fn sync_of(server: &mut Server, user: &User) -> (Value, Value) {
    let sync = server.ok(Get, "/_matrix/client/v3/sync", user, ());
    let member = |name: &str| sync.get(name).unwrap().clone();
    (member("device_one_time_keys_count"), member("device_unused_fallback_key_types"))
}

#[test]
fn one_time_keys_are_given_out_once_in_the_order_of_uploads() {
    let mut server = Server::new();
    let alice = server.register("alice");
    server.ok(Post, UPLOAD, &alice, json!({ "device_keys": (device_keys(&alice)) }));
    for name in ["C", "A", "B"] {
        server.ok(Post, UPLOAD, &alice, json!({ "one_time_keys": (one_time_keys(&alice, &[name], false)) }));
    }
    let answer = server.ok(Post, CLAIM, &alice, body(&alice, "signed_curve25519"));
    let keys = answer.get("one_time_keys").and_then(|keys| keys.get(&alice.user_id)?.get(&alice.device_id));
    assert_eq!(keys, Some(&one_time_keys(&alice, &["C"], false).into()));
    assert_eq!(claim(&mut server, &alice).as_deref(), Some("signed_curve25519:A"));
    assert_eq!(sync_of(&mut server, &alice).0, json!({ "signed_curve25519": 1 }));
    assert_eq!(key_id(&server.ok(Post, CLAIM, &alice, body(&alice, "other")), &alice), None);
    assert_eq!(claim(&mut server, &alice).as_deref(), Some("signed_curve25519:B"));
    assert_eq!(claim(&mut server, &alice), None);
    assert_eq!(sync_of(&mut server, &alice).0, json!({}));
}

#[test]
fn fallback_keys_are_given_out_when_there_is_no_other() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let fallback = |name: &str| json!({ "fallback_keys": (one_time_keys(&alice, &[name], true)) });
    server.ok(Post, UPLOAD, &alice, fallback("F"));
    server.ok(Post, UPLOAD, &alice, json!({ "one_time_keys": (one_time_keys(&alice, &["A"], false)) }));
    assert_eq!(sync_of(&mut server, &alice).1, json!(["signed_curve25519"]));
    let given: Vec<_> = (0..3).map(|_| claim(&mut server, &alice).unwrap()).collect();
    assert_eq!(given, ["signed_curve25519:A", "signed_curve25519:F", "signed_curve25519:F"]);
    assert_eq!(sync_of(&mut server, &alice).1, json!([]));
    // The same key again is still used; another one is not.
    server.ok(Post, UPLOAD, &alice, fallback("F"));
    assert_eq!(sync_of(&mut server, &alice).1, json!([]));
    server.ok(Post, UPLOAD, &alice, fallback("G"));
    assert_eq!(sync_of(&mut server, &alice).1, json!(["signed_curve25519"]));
    assert_eq!(claim(&mut server, &alice).as_deref(), Some("signed_curve25519:G"));
}

#[test]
fn a_crash_gives_no_key_out_twice() {
    for durable in [0, 1] {
        let mut server = Server::new();
        let alice = server.register("alice");
        server.ok(Post, UPLOAD, &alice, json!({ "one_time_keys": (one_time_keys(&alice, &["A", "B"], false)) }));
        server.hold_commits = true;
        let id = server.start(Post, CLAIM, &alice, body(&alice, "signed_curve25519"));
        // Nobody has the key before it is durable that it is given out.
        assert_eq!(server.take_reply(id), None);
        let mut server = server.crash_after(durable);
        let left = usize::from(durable == 0) + 1;
        let given: Vec<_> = (0..3).filter_map(|_| claim(&mut server, &alice)).collect();
        assert_eq!(given.len(), left, "{durable}");
        assert_eq!(given.last().map(String::as_str), Some("signed_curve25519:B"));
    }
}

#[test]
fn claims_are_checked() {
    let mut server = Server::new();
    let alice = server.register("alice");
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({ "one_time_keys": 1 }), "M_BAD_JSON"),
        (json!({ "one_time_keys": { "alice": {} } }), "M_INVALID_PARAM"),
        (json!({ "one_time_keys": { "@alice:example.org": [] } }), "M_BAD_JSON"),
        (json!({ "one_time_keys": { "@alice:example.org": { "D": 1 } } }), "M_BAD_JSON"),
        (json!({ "one_time_keys": { "@alice:example.org": { "": "x" } } }), "M_INVALID_PARAM"),
    ] {
        server.fails(Post, CLAIM, &alice, body, 400, errcode);
    }
}
