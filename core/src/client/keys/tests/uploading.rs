use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::testing::{device_key, device_keys, one_time_keys, sign};
use crate::canonical_json::{Object, Value};
use crate::http::Method::{Delete, Get, Post, Put};
use crate::limits::MAX_ONE_TIME_KEYS;
use crate::testing::{PASSWORD, Server, json};

const UPLOAD: &str = "/_matrix/client/v3/keys/upload";
const QUERY: &str = "/_matrix/client/v3/keys/query";

#[test]
fn device_keys_are_given_to_whoever_asks() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let phone = server.login("alice");
    assert_eq!(server.ok(Post, UPLOAD, &alice, json!({})), json!({ "one_time_key_counts": {} }));
    let mut with_unsigned = device_keys(&alice);
    with_unsigned.insert("unsigned", json!({ "lies": true }));
    server.ok(Post, UPLOAD, &alice, json!({ "device_keys": (with_unsigned) }));
    server.ok(Post, UPLOAD, &phone, json!({ "device_keys": (device_keys(&phone)) }));
    let path = format!("/_matrix/client/v3/devices/{}", phone.device_id);
    server.ok(Put, &path, &alice, json!({ "display_name": "phone" }));

    let first = device_keys(&alice).with("unsigned", Object::new());
    let second = device_keys(&phone).with("unsigned", json!({ "device_display_name": "phone" }));
    let mut check = |devices: Value, expected: &[&Object]| {
        let asked = Object::new().with(&alice.user_id, devices).with("@nobody:example.org", json!([]));
        let answer = server.ok(Post, QUERY, &bob, json!({ "device_keys": (asked) }));
        let expected: Object =
            expected.iter().map(|keys| (String::from(keys.str("device_id").unwrap()), (*keys).clone())).collect();
        let expected = Object::new().with(&alice.user_id, expected);
        assert_eq!(answer, json!({ "device_keys": (expected), "failures": {} }));
    };
    check(json!([]), &[&first, &second]);
    check(json!([(phone.device_id.as_str())]), &[&second]);
    check(json!(["unknown"]), &[]);
}

#[test]
fn keys_are_checked() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let good = device_keys(&alice);
    let changed = |name: &str, value: Value| {
        let mut keys = good.clone();
        keys.insert(name, value);
        keys.remove("signatures");
        sign(&keys, &alice.user_id, &device_key(&alice))
    };
    let unsigned = {
        let mut keys = good.clone();
        keys.remove("signatures");
        keys
    };
    let without_ed25519 = changed("keys", Object::new().with(&format!("curve25519:{}", alice.device_id), "A").into());
    let device = |keys: Object| json!({ "device_keys": (keys) });
    let one_time = |name: &str, key: Value| json!({ "one_time_keys": (Object::new().with(name, key)) });
    let signed_by_bob = sign(&unsigned, &alice.user_id, &device_key(&bob));
    let cases: Vec<(Value, &str)> = alloc::vec![
        (json!({ "device_keys": 1 }), "M_BAD_JSON"),
        (device(changed("user_id", json!("@bob:example.org"))), "M_INVALID_PARAM"),
        (device(changed("device_id", json!("other"))), "M_INVALID_PARAM"),
        (device(changed("algorithms", json!("olm"))), "M_INVALID_PARAM"),
        (device(changed("algorithms", json!([1]))), "M_INVALID_PARAM"),
        (device(changed("keys", json!(1))), "M_INVALID_PARAM"),
        (device(changed("keys", json!({ "nocolon": "A" }))), "M_INVALID_PARAM"),
        (device(changed("keys", json!({ "ed25519:other": "A" }))), "M_INVALID_PARAM"),
        (device(changed("big", json!("x".repeat(70_000)))), "M_INVALID_PARAM"),
        (device(without_ed25519), "M_INVALID_PARAM"),
        (device(good.clone().with("signatures", json!({ "@alice:example.org": 1 }))), "M_INVALID_PARAM"),
        (device(unsigned.clone()), "M_INVALID_SIGNATURE"),
        (device(signed_by_bob), "M_INVALID_SIGNATURE"),
        (device(good.clone().with("added", 1i64)), "M_INVALID_SIGNATURE"),
        (json!({ "one_time_keys": [] }), "M_BAD_JSON"),
        (one_time("nocolon", json!("A")), "M_INVALID_PARAM"),
        (one_time("curve25519:A", json!(1)), "M_INVALID_PARAM"),
        (one_time("signed_curve25519:A", json!("A")), "M_INVALID_PARAM"),
        (one_time("signed_curve25519:A", json!({ "key": "A" })), "M_INVALID_PARAM"),
        (one_time("curve25519:A", json!("x".repeat(5000))), "M_INVALID_PARAM"),
        (json!({ "fallback_keys": (one_time_keys(&alice, &["A", "B"], true)) }), "M_INVALID_PARAM"),
    ];
    for (body, errcode) in cases {
        server.fails(Post, UPLOAD, &alice, body, 400, errcode);
    }
    server.ok(Post, UPLOAD, &alice, device(good));
    // From now on there is a key to check others with.
    let forged = one_time_keys(&bob, &["A"], false);
    server.fails(Post, UPLOAD, &alice, json!({ "one_time_keys": (forged) }), 400, "M_INVALID_SIGNATURE");
    server.fails(Post, UPLOAD, (), json!({}), 401, "M_MISSING_TOKEN");
    server.fails(Post, UPLOAD, &alice, "no", 400, "M_NOT_JSON");
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({ "device_keys": [] }), "M_BAD_JSON"),
        (json!({ "device_keys": { "alice": [] } }), "M_INVALID_PARAM"),
        (json!({ "device_keys": { "@alice:example.org": {} } }), "M_BAD_JSON"),
        (json!({ "device_keys": { "@alice:example.org": [1] } }), "M_BAD_JSON"),
        (json!({ "device_keys": {}, "timeout": (-1) }), "M_INVALID_PARAM"),
    ] {
        server.fails(Post, QUERY, &alice, body, 400, errcode);
    }
}

#[test]
fn one_time_keys_are_counted_and_bounded() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let upload = |keys: Object| json!({ "one_time_keys": (keys) });
    let mut keys = one_time_keys(&alice, &["A", "B"], false);
    keys.insert("curve25519:C", "C");
    let counts = json!({ "one_time_key_counts": { "curve25519": 1, "signed_curve25519": 2 } });
    assert_eq!(server.ok(Post, UPLOAD, &alice, upload(keys.clone())), counts);
    assert_eq!(server.ok(Post, UPLOAD, &alice, upload(keys.clone())), counts);
    keys.insert("curve25519:C", "other");
    server.fails(Post, UPLOAD, &alice, upload(keys.with("curve25519:D", "D")), 400, "M_INVALID_PARAM");
    let sync = server.ok(Get, "/_matrix/client/v3/sync", &alice, ());
    assert_eq!(sync.get("device_one_time_keys_count"), counts.get("one_time_key_counts"));
    assert_eq!(sync.get("device_unused_fallback_key_types"), Some(&json!([])));
    let many: Object = (0..MAX_ONE_TIME_KEYS).map(|i| (format!("curve25519:{i}"), format!("{i}"))).collect();
    server.fails(Post, UPLOAD, &alice, upload(many), 400, "M_TOO_LARGE");
    assert_eq!(server.ok(Post, UPLOAD, &alice, json!({})), counts);
}

#[test]
fn a_device_that_is_gone_has_no_keys() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let phone = server.login("alice");
    let upload = json!({ "device_keys": (device_keys(&phone)), "one_time_keys": (one_time_keys(&phone, &["A"], false)),
        "fallback_keys": (one_time_keys(&phone, &["F"], true)) });
    server.ok(Post, UPLOAD, &phone, upload);
    let path = format!("/_matrix/client/v3/devices/{}", phone.device_id);
    let auth = json!({ "auth": { "type": "m.login.password", "password": (PASSWORD),
        "identifier": { "type": "m.id.user", "user": "alice" } } });
    let challenge = server.call(Delete, &path, &alice, json!({})).1;
    let mut auth = auth.as_object().unwrap().clone();
    if let Some(auth) = auth.get_mut("auth").and_then(Value::as_object_mut) {
        auth.insert("session", challenge.get("session").unwrap().clone());
    }
    server.ok(Delete, &path, &alice, Value::Object(auth));
    let asked = Object::new().with(&alice.user_id, json!([]));
    let answer = server.ok(Post, QUERY, &alice, json!({ "device_keys": (asked) }));
    let none = Object::new().with(&alice.user_id, Object::new());
    assert_eq!(answer, json!({ "device_keys": (none), "failures": {} }));
    let claim = Object::new().with(&alice.user_id, Object::new().with(&phone.device_id, "signed_curve25519"));
    let answer = server.ok(Post, "/_matrix/client/v3/keys/claim", &alice, json!({ "one_time_keys": (claim) }));
    assert_eq!(answer, json!({ "one_time_keys": {}, "failures": {} }));
}
