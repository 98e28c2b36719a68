use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::super::testing::{cross_key, cross_signing_key, device_key, device_keys, sign};
use crate::canonical_json::{Object, Value};
use crate::http::Method::Post;
use crate::http::percent_encode;
use crate::signing::sign_json;
use crate::testing::network::Net;
use crate::testing::{PASSWORD, Server, User, json};

const UPLOAD: &str = "/_matrix/client/v3/keys/upload";
const QUERY: &str = "/_matrix/client/v3/keys/query";
const SIGNING: &str = "/_matrix/client/v3/keys/device_signing/upload";
const SIGNATURES: &str = "/_matrix/client/v3/keys/signatures/upload";

/// A master key with the keys that it has signed. `which` tells sets of keys apart.
fn set(user: &User, which: &str) -> Object {
    let name = |usage: &str| format!("{} {which} {usage}", user.user_id);
    let master = cross_key(&name("master"));
    let key = |usage: &str| cross_signing_key(&user.user_id, usage, &name(usage), &[&master]);
    Object::new()
        .with("master_key", cross_signing_key(&user.user_id, "master", &name("master"), &[]))
        .with("self_signing_key", key("self_signing"))
        .with("user_signing_key", key("user_signing"))
}

fn query(server: &mut Server, who: &User, about: &User) -> Value {
    let asked = Object::new().with(&about.user_id, json!([]));
    server.ok(Post, QUERY, who, json!({ "device_keys": (asked) }))
}

fn of<'v>(answer: &'v Value, section: &str, user: &User) -> Option<&'v Value> {
    answer.get(section)?.get(&user.user_id)
}

#[test]
fn cross_signing_keys_are_shown_to_those_who_may_see_them() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let keys = set(&alice, "1");
    server.ok(Post, SIGNING, &alice, Value::from(keys.clone()));
    for (who, sees_all) in [(&alice, true), (&bob, false)] {
        let answer = query(&mut server, who, &alice);
        assert_eq!(of(&answer, "master_keys", &alice), keys.get("master_key"));
        assert_eq!(of(&answer, "self_signing_keys", &alice), keys.get("self_signing_key"));
        assert_eq!(of(&answer, "user_signing_keys", &alice), keys.get("user_signing_key").filter(|_| sees_all));
    }
}

#[test]
fn cross_signing_keys_are_replaced_by_password_only() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let keys = set(&alice, "1");
    server.ok(Post, SIGNING, &alice, Value::from(keys.clone()));
    // The same once more, as when the answer was lost.
    server.ok(Post, SIGNING, &alice, Value::from(keys.clone()));
    let mut other = set(&alice, "2");
    other.remove("user_signing_key");
    let (status, challenge) = server.call(Post, SIGNING, &alice, Value::from(other.clone()));
    assert_eq!(status, 401);
    assert_eq!(of(&query(&mut server, &alice, &alice), "master_keys", &alice), keys.get("master_key"));
    let auth = json!({ "type": "m.login.password", "password": (PASSWORD),
        "session": (challenge.get("session").unwrap().clone()), "identifier": { "type": "m.id.user", "user": "alice" } });
    server.ok(Post, SIGNING, &alice, Value::from(other.clone().with("auth", auth)));
    let answer = query(&mut server, &alice, &alice);
    assert_eq!(of(&answer, "master_keys", &alice), other.get("master_key"));
    // The new master key has not signed it.
    assert_eq!(of(&answer, "user_signing_keys", &alice), None);
}

#[test]
fn cross_signing_keys_are_checked() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let good = set(&alice, "1");
    let only = |name: &str, key: Object| Object::new().with(name, key);
    let master = |change: fn(&mut Object)| {
        let mut key = good.object("master_key").unwrap().clone();
        change(&mut key);
        only("master_key", key)
    };
    let self_signing = good.object("self_signing_key").unwrap().clone();
    let mut unsigned = self_signing.clone();
    unsigned.remove("signatures");
    let same = {
        let mut key = good.object("master_key").unwrap().clone();
        key.insert("usage", json!(["self_signing"]));
        good.clone().with("self_signing_key", key)
    };
    let cases: Vec<(Object, &str)> = alloc::vec![
        (set(&bob, "1"), "M_INVALID_PARAM"),
        (only("master_key", self_signing.clone()), "M_INVALID_PARAM"),
        (master(|key| drop(key.insert("keys", json!({})))), "M_INVALID_PARAM"),
        (master(|key| drop(key.insert("keys", json!({ "ed25519:a": "b" })))), "M_INVALID_PARAM"),
        (master(|key| drop(key.insert("keys", json!({ "ed25519:AAAA": "AAAA" })))), "M_INVALID_PARAM"),
        (master(|key| drop(key.insert("usage", "master"))), "M_INVALID_PARAM"),
        (master(|key| drop(key.insert("signatures", 1i64))), "M_INVALID_PARAM"),
        (only("self_signing_key", self_signing.clone()), "M_MISSING_PARAM"),
        (good.clone().with("self_signing_key", unsigned), "M_INVALID_SIGNATURE"),
        (good.clone().with("self_signing_key", self_signing.with("added", 1i64)), "M_INVALID_SIGNATURE"),
        (same, "M_INVALID_PARAM"),
    ];
    for (body, errcode) in cases {
        server.fails(Post, SIGNING, &alice, Value::from(body), 400, errcode);
    }
    server.fails(Post, SIGNING, &alice, json!({ "master_key": 1 }), 400, "M_BAD_JSON");
    server.ok(Post, SIGNING, &alice, json!({}));
    assert_eq!(of(&query(&mut server, &alice, &alice), "master_keys", &alice), None);
}

/// An upload of one signed object.
fn upload(of: &User, name: &str, object: Object) -> Value {
    Object::new().with(&of.user_id, Object::new().with(name, object)).into()
}

#[test]
fn signatures_are_added_to_the_keys_that_they_are_on() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    for user in [&alice, &bob] {
        server.ok(Post, UPLOAD, user, json!({ "device_keys": (device_keys(user)) }));
        server.ok(Post, SIGNING, user, Value::from(set(user, "1")));
    }
    let key = |user: &User, usage: &str| cross_key(&format!("{} 1 {usage}", user.user_id));
    let master = |user: &User| set(user, "1").object("master_key").unwrap().clone();
    let public = |user: &User| key(user, "master").version().to_string();
    let by = |object: Object, user: &User, usage: &str| sign(&object, &user.user_id, &key(user, usage));
    let device = device_keys(&alice);

    let good = [
        (&alice, alice.device_id.to_string(), by(device.clone(), &alice, "self_signing")),
        (&alice, public(&alice), sign(&master(&alice), &alice.user_id, &device_key(&alice))),
        (&bob, public(&bob), by(master(&bob), &alice, "user_signing")),
    ];
    for (user, name, object) in good {
        let answer = server.ok(Post, SIGNATURES, &alice, upload(user, &name, object));
        assert_eq!(answer, json!({ "failures": {} }));
    }
    let signed_by = |keys: Option<&Value>, signer: &User| {
        let signatures = keys.and_then(|keys| keys.get("signatures")?.get(&signer.user_id)?.as_object());
        signatures.map_or(0, Object::len)
    };
    let own = query(&mut server, &bob, &alice);
    let device_of_alice = of(&own, "device_keys", &alice).and_then(|devices| devices.get(&alice.device_id));
    assert_eq!(signed_by(device_of_alice, &alice), 2);
    assert_eq!(signed_by(of(&own, "master_keys", &alice), &alice), 1);
    // Whom Alice has verified is for Alice only.
    for (who, expected) in [(&alice, 1), (&bob, 0)] {
        let answer = query(&mut server, who, &bob);
        assert_eq!(signed_by(of(&answer, "master_keys", &bob), &alice), expected);
    }

    let forged = {
        let mut object = device.clone();
        sign_json(&mut object, &alice.user_id, &key(&alice, "self_signing")).unwrap();
        let signatures = object.get_mut("signatures").and_then(Value::as_object_mut).unwrap();
        let own = signatures.get_mut(&alice.user_id).and_then(Value::as_object_mut).unwrap();
        let public = format!("ed25519:{}", key(&alice, "self_signing").version());
        own.insert(public, crate::signing::base64::encode_unpadded(&[7; 64]));
        object
    };
    let name = alice.device_id.to_string();
    for (user, name, object, errcode) in [
        (&alice, name.clone(), forged, "M_INVALID_SIGNATURE"),
        (&alice, name.clone(), by(device.clone(), &alice, "user_signing"), "M_INVALID_SIGNATURE"),
        (&alice, name.clone(), by(device.clone(), &alice, "unknown"), "M_INVALID_SIGNATURE"),
        (&alice, name, by(device.with("added", 1i64), &alice, "self_signing"), "M_INVALID_PARAM"),
        (&alice, "unknown".to_string(), Object::new(), "M_NOT_FOUND"),
        (&bob, bob.device_id.to_string(), by(device_keys(&bob), &alice, "user_signing"), "M_NOT_FOUND"),
        (&bob, public(&bob), by(master(&bob), &alice, "self_signing"), "M_INVALID_SIGNATURE"),
    ] {
        let answer = server.ok(Post, SIGNATURES, &alice, upload(user, &name, object));
        let failure = answer.get("failures").and_then(|failures| failures.get(&user.user_id)?.get(&name)).cloned();
        assert_eq!(failure.as_ref().and_then(|failure| failure.get("errcode")), Some(&json!(errcode)), "{answer}");
    }
    for body in
        [json!({ "alice": {} }), json!({ "@alice:example.org": 1 }), json!({ "@alice:example.org": { "D": 1 } })]
    {
        let (status, _) = server.call(Post, SIGNATURES, &alice, body);
        assert_eq!(status, 400);
    }
}

#[test]
fn cross_signing_keys_reach_other_servers() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = net.ok("a.test", Post, "/_matrix/client/v3/createRoom", &alice, json!({ "preset": "public_chat" }));
    let room = room.get("room_id").and_then(Value::as_str).unwrap().to_string();
    let path = format!("/_matrix/client/v3/join/{}?via=a.test", percent_encode(&room));
    net.ok("b.test", Post, &path, &bob, json!({}));
    let asked = json!({ "device_keys": (Object::new().with(&bob.user_id, json!([]))) });
    net.ok("a.test", Post, QUERY, &alice, asked.clone());
    net.ok("b.test", Post, SIGNING, &bob, Value::from(set(&bob, "1")));
    net.advance(2_000);
    net.log.clear();
    let answer = net.ok("a.test", Post, QUERY, &alice, asked.clone());
    assert_eq!(net.log.iter().filter(|line| line.starts_with("a.test")).count(), 0);
    let keys = set(&bob, "1");
    for again in [false, true] {
        assert_eq!(of(&answer, "master_keys", &bob), keys.get("master_key"), "{again}");
        assert_eq!(of(&answer, "self_signing_keys", &bob), keys.get("self_signing_key"));
        assert_eq!(of(&answer, "user_signing_keys", &bob), None);
        net.crash("a.test");
        net.ok("a.test", Post, QUERY, &alice, asked.clone());
    }
    // A signature of Alice's on Bob's key stays on her server.
    net.ok("a.test", Post, SIGNING, &alice, Value::from(set(&alice, "1")));
    let key = cross_key(&format!("{} 1 user_signing", alice.user_id));
    let master = keys.object("master_key").unwrap();
    let name = cross_key(&format!("{} 1 master", bob.user_id)).version().to_string();
    let answer = net.ok("a.test", Post, SIGNATURES, &alice, upload(&bob, &name, sign(master, &alice.user_id, &key)));
    assert_eq!(answer, json!({ "failures": {} }));
    let answer = net.ok("a.test", Post, QUERY, &alice, asked);
    let signatures = of(&answer, "master_keys", &bob).and_then(|key| key.get("signatures")?.get(&alice.user_id));
    assert!(signatures.is_some(), "{answer}");
}
