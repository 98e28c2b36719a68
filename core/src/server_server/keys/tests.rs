use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::signing::{self, SigningKey};
use crate::testing::network::Net;
use crate::testing::{Server, json};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// The key that [`Net`] gives its server number `i`.
fn public_key(i: u8) -> [u8; 32] {
    SigningKey::from_seed("1", &[50 + i; 32]).unwrap().public_key()
}

fn signed_by(list: &Value, server: &str, i: u8) -> bool {
    let key_id = KeyId::parse("ed25519:1").unwrap();
    signing::verify_json(list.as_object().unwrap(), server, &key_id, &public_key(i)).is_ok()
}

fn lists(answer: &Value) -> Vec<Value> {
    answer.get("server_keys").unwrap().as_array().unwrap().to_vec()
}

#[test]
fn a_server_publishes_its_keys() {
    let mut server = Server::with(|config| {
        let key_id = "ed25519:old".to_string();
        let old = crate::config::OldVerifyKey { key_id, key: [1; 32], expired_ts: Timestamp(1000) };
        config.federation.old_verify_keys.push(old);
    });
    let list = server.ok(Method::Get, "/_matrix/key/v2/server", (), ());
    let key = SigningKey::from_seed("1", &[7; 32]).unwrap();
    let object = list.as_object().unwrap();
    assert_eq!(object.str("server_name"), Some("example.org"));
    assert_eq!(signing::verify_json(object, "example.org", key.key_id(), &key.public_key()), Ok(()));
    assert_eq!(object.integer("valid_until_ts").unwrap().cast_unsigned(), server.now.0 + DAY);
    let old = json!({ "ed25519:old": { "key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", "expired_ts": 1000 } });
    assert_eq!(object.get("old_verify_keys"), Some(&old));
}

#[test]
fn a_notary_signs_what_it_passes_on_and_keeps_it() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let one = lists(&net.ok("b.test", Method::Get, "/_matrix/key/v2/query/a.test", (), ()));
    assert!(one.len() == 1 && signed_by(&one[0], "a.test", 0) && signed_by(&one[0], "b.test", 1), "{one:?}");
    let body = json!({ "server_keys": { "a.test": {}, "b.test": {}, "z.test": {} } });
    let many = lists(&net.ok("b.test", Method::Post, "/_matrix/key/v2/query", (), body));
    assert!(many.len() == 2 && signed_by(&many[1], "b.test", 1), "{many:?}");
    let asked = |net: &Net| net.log.iter().filter(|line| line.contains(" a.test GET /_matrix/key/")).count();
    assert_eq!(asked(&net), 1);
    // After half of its life it is asked for again; what cannot be had again is still good.
    net.advance(13 * HOUR);
    net.cut("a.test", "b.test");
    assert_eq!(lists(&net.ok("b.test", Method::Get, "/_matrix/key/v2/query/a.test", (), ())), one);
    assert_eq!(asked(&net), 2);
    net.heal();
    net.advance(HOUR);
    assert_ne!(lists(&net.ok("b.test", Method::Get, "/_matrix/key/v2/query/a.test", (), ())), one);
    // Whoever wants one that is valid for longer has the server asked.
    let now = net.server("b.test").now.0;
    let far = alloc::format!("/_matrix/key/v2/query/a.test?minimum_valid_until_ts={}", now + 2 * DAY);
    assert_eq!(lists(&net.ok("b.test", Method::Get, &far, (), ())).len(), 1);
    assert_eq!(asked(&net), 4);
    assert_eq!(lists(&net.ok("b.test", Method::Get, &far, (), ())).len(), 1);
    assert_eq!(asked(&net), 4, "but not at once again");
}

#[test]
fn bad_questions() {
    let mut server = Server::new();
    const PATH: &str = "/_matrix/key/v2/query";
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({ "server_keys": [] }), "M_BAD_JSON"),
        (json!({ "server_keys": { "a.test": 1 } }), "M_BAD_JSON"),
        (json!({ "server_keys": { "a test": {} } }), "M_INVALID_PARAM"),
        (json!({ "server_keys": { "a.test": { "1": {} } } }), "M_INVALID_PARAM"),
        (json!({ "server_keys": { "a.test": { "ed25519:1": 1 } } }), "M_BAD_JSON"),
        (json!({ "server_keys": { "a.test": { "ed25519:1": { "minimum_valid_until_ts": (-1) } } } }), "M_BAD_JSON"),
    ] {
        server.fails(Method::Post, PATH, (), body, 400, errcode);
    }
    server.fails(Method::Post, PATH, (), "{", 400, "M_NOT_JSON");
    server.fails(Method::Get, "/_matrix/key/v2/query/a%20b", (), (), 400, "M_INVALID_PARAM");
    server.fails(Method::Get, "/_matrix/key/v2/query/a?minimum_valid_until_ts=x", (), (), 400, "M_INVALID_PARAM");
    let many: Object = (0..=MAX_NOTARY_QUERY).map(|i| (alloc::format!("s{i}.test"), Object::new())).collect();
    server.fails(Method::Post, PATH, (), json!({ "server_keys": (many) }), 400, "M_LIMIT_EXCEEDED");
    assert_eq!(server.ok(Method::Post, PATH, (), json!({ "server_keys": {} })), json!({ "server_keys": [] }));
    assert!(server.fetches.is_empty());
}
