use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::default_rules::DEFAULT_RULES;
use crate::canonical_json::{self, Value};
use crate::http::Method::{Delete, Get, Put};
use crate::testing::{Server, User, json};

const ALL: &str = "/_matrix/client/v3/pushrules/";

fn rule(kind: &str, rule_id: &str) -> String {
    format!("{ALL}global/{kind}/{rule_id}")
}

/// The IDs of the rules of a kind, in order.
fn ids(server: &mut Server, user: &User, kind: &str) -> Vec<String> {
    let all = server.ok(Get, "/_matrix/client/v3/pushrules/global/", user, ());
    let rules = all.get(kind).unwrap().as_array().unwrap();
    rules.iter().map(|rule| rule.get("rule_id").unwrap().as_str().unwrap().to_string()).collect()
}

#[test]
fn default_rules_are_canonical_and_name_the_user() {
    for rule in DEFAULT_RULES {
        for text in [rule.conditions, rule.actions] {
            let value = canonical_json::parse(text.as_bytes()).unwrap();
            assert_eq!(value.to_string(), text, "{}", rule.rule_id);
        }
    }
    let mut server = Server::new();
    let alice = server.register("alice");
    let rule = server.ok(Get, &rule("override", ".m.rule.is_user_mention"), &alice, ());
    let expected = br#"{"actions":["notify",{"set_tweak":"sound","value":"default"},{"set_tweak":"highlight"}],
        "conditions":[{"key":"content.m\\.mentions.user_ids","kind":"event_property_contains","value":"@alice:example.org"}],
        "default":true,"enabled":true,"rule_id":".m.rule.is_user_mention"}"#;
    assert_eq!(rule, canonical_json::parse(expected).unwrap());
}

#[test]
fn every_kind_is_there_and_own_rules_stand_below_the_master_only() {
    let mut server = Server::new();
    let alice = server.register("alice");
    for path in [ALL, "/_matrix/client/v3/pushrules"] {
        let all = server.ok(Get, path, &alice, ());
        let kinds: Vec<&str> = all.get("global").unwrap().as_object().unwrap().iter().map(|kind| kind.0).collect();
        assert_eq!(kinds, ["content", "override", "room", "sender", "underride"]);
    }
    server.ok(Put, &rule("override", "mine"), &alice, json!({ "actions": [] }));
    let ids = ids(&mut server, &alice, "override");
    assert_eq!(ids[..3], [".m.rule.master", "mine", ".m.rule.suppress_notices"]);
}

#[test]
fn rules_are_put_changed_and_deleted() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let path = rule("content", "cake");
    let body = json!({ "pattern": "cake*lie", "actions": ["notify", "dont_notify", { "set_tweak": "highlight" }] });
    server.ok(Put, &path, &alice, body);
    let expected = json!({ "actions": ["notify", { "set_tweak": "highlight" }], "default": false, "enabled": true,
        "pattern": "cake*lie", "rule_id": "cake" });
    assert_eq!(server.ok(Get, &path, &alice, ()), expected);

    server.ok(Put, &format!("{path}/enabled"), &alice, json!({ "enabled": false }));
    server.ok(Put, &format!("{path}/actions"), &alice, json!({ "actions": ["coalesce"] }));
    server.ok(Put, &path, &alice, json!({ "pattern": "tea", "actions": ["notify"] }));
    let mut server = server.crash();
    assert_eq!(server.ok(Get, &format!("{path}/enabled"), &alice, ()), json!({ "enabled": false }));
    assert_eq!(server.ok(Get, &format!("{path}/actions"), &alice, ()), json!({ "actions": ["notify"] }));

    server.ok(Delete, &path, &alice, ());
    for rest in ["", "/enabled", "/actions"] {
        server.fails(Get, &format!("{path}{rest}"), &alice, (), 404, "M_NOT_FOUND");
    }
    server.fails(Delete, &path, &alice, (), 404, "M_NOT_FOUND");
    server.fails(Put, &format!("{path}/enabled"), &alice, json!({ "enabled": true }), 404, "M_NOT_FOUND");
    server.fails(Put, &format!("{path}/actions"), &alice, json!({ "actions": [] }), 404, "M_NOT_FOUND");
}

#[test]
fn default_rules_are_disabled_and_given_other_actions() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let path = rule("underride", ".m.rule.message");
    server.ok(Put, &format!("{path}/enabled"), &alice, json!({ "enabled": false }));
    server.ok(Put, &format!("{path}/actions"), &alice, json!({ "actions": [] }));
    let changed = server.ok(Get, &path, &alice, ());
    assert_eq!((changed.get("enabled"), changed.get("actions")), (Some(&json!(false)), Some(&json!([]))));
    let unchanged = server.ok(Get, &path, &bob, ());
    assert_eq!(unchanged.get("enabled"), Some(&json!(true)));
    server.fails(Delete, &path, &alice, (), 400, "M_INVALID_PARAM");
}

#[test]
fn rules_are_put_in_order() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let put = |server: &mut Server, id: &str, place: &str| {
        server.ok(Put, &format!("{}{place}", rule("room", id)), &alice, json!({ "actions": [] }));
        ids(server, &alice, "room").concat()
    };
    assert_eq!(put(&mut server, "a", ""), "a");
    assert_eq!(put(&mut server, "b", ""), "ba");
    assert_eq!(put(&mut server, "c", "?before=a"), "bca");
    assert_eq!(put(&mut server, "d", "?after=b"), "bdca");
    assert_eq!(put(&mut server, "e", "?before=c&after=b"), "bdeca");
    assert_eq!(put(&mut server, "d", ""), "bdeca");
    assert_eq!(put(&mut server, "d", "?after=a"), "becad");
    for place in ["?before=unknown", "?after=unknown", "?after=d&before=unknown", "?before=.m.rule.message"] {
        let path = format!("{}{place}", rule("room", "d"));
        server.fails(Put, &path, &alice, json!({ "actions": [] }), 400, "M_UNKNOWN");
    }
    assert_eq!(ids(&mut server, &alice, "room").concat(), "becad");
}

#[test]
fn bad_rules_are_refused() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let mut check = |path: String, body: Value, status: u16, errcode: &str| {
        server.fails(Put, &path, &alice, body, status, errcode);
    };
    let good = json!({ "actions": [] });
    check(rule("magic", "a"), good.clone(), 400, "M_INVALID_PARAM");
    check(rule("room", ".a"), good.clone(), 400, "M_INVALID_PARAM");
    check(rule("room", "a%2Fb"), good.clone(), 400, "M_INVALID_PARAM");
    check(rule("room", "a%5Cb"), good.clone(), 400, "M_INVALID_PARAM");
    check(rule("content", "a"), good, 400, "M_MISSING_PARAM");
    for actions in [json!("notify"), json!([1]), json!([{}]), json!([{ "set_tweak": 1 }]), json!(["explode"])] {
        let (status, answer) = server.call(Put, &rule("room", "a"), &alice, json!({ "actions": actions }));
        assert_eq!(status, 400, "{answer}");
    }
    for conditions in [json!({}), json!([1]), json!([{}]), json!([{ "kind": 1 }]), json!([{ "kind": "x", "key": 1 }])] {
        let body = json!({ "actions": [], "conditions": conditions });
        let (status, answer) = server.call(Put, &rule("override", "a"), &alice, body);
        assert_eq!(status, 400, "{answer}");
    }
    server.fails(Put, &rule("room", "a"), &alice, json!({}), 400, "M_MISSING_PARAM");
    let enabled = format!("{}/enabled", rule("override", ".m.rule.master"));
    server.fails(Put, &enabled, &alice, json!({}), 400, "M_MISSING_PARAM");
    server.fails(Put, &enabled, &alice, json!({ "enabled": "no" }), 400, "M_BAD_JSON");
    server.fails(Get, &rule("magic", "a"), &alice, (), 400, "M_INVALID_PARAM");
}
