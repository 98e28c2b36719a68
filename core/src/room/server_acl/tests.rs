use super::*;
use crate::http::Method;
use crate::testing::{Server, json};

#[track_caller]
fn check(content: Value, server: &str, allowed: bool) {
    let list = ServerAcl::of(content.as_object().expect("contents are objects"));
    let server = ServerName::parse(server).expect("the case names a server");
    assert_eq!(list.allows(&server), allowed, "{server} with {content}");
}

#[test]
fn allow_and_deny() {
    check(json!({ "allow": ["*"] }), "good.example", true);
    check(json!({ "allow": ["*"], "deny": ["evil.example"] }), "evil.example", false);
    check(json!({ "allow": ["evil.example"], "deny": ["evil.example"] }), "evil.example", false);
    check(json!({ "allow": ["good.example"] }), "other.example", false);
}

#[test]
fn patterns() {
    for (pattern, server, matches) in [
        ("*.evil.example", "a.evil.example", true),
        ("*.evil.example", "evil.example", false),
        ("evil.example", "notevil.example", false),
        ("evil.example", "evil.example.org", false),
        ("ev?l.example", "evil.example", true),
        ("ev?l.example", "evl.example", false),
        ("*a*b*.example", "xxaxxaxxb.example", true),
        ("*a*b*.example", "xxbxxa.example", false),
        ("**", "evil.example", true),
        ("", "evil.example", false),
        // Only `*` and `?` are special.
        ("evil[.]example", "evil.example", false),
        ("evil.example", "evil-example", false),
    ] {
        check(json!({ "allow": ["*"], "deny": [pattern] }), server, !matches);
    }
}

#[test]
fn case_and_port_do_not_matter() {
    check(json!({ "allow": ["*"], "deny": ["EVIL.example"] }), "evil.EXAMPLE:8448", false);
    check(json!({ "allow": ["*"], "deny": ["evil.example:8448"] }), "evil.example:8448", true);
    check(json!({ "allow": ["*"], "deny": ["[2001:db8::1]"] }), "[2001:DB8::1]:8448", false);
    check(json!({ "allow": ["*"], "deny": ["10.0.0.?"] }), "10.0.0.1:1234", false);
}

#[test]
fn addresses() {
    for (literals, server, allowed) in [
        (json!(false), "10.0.0.1", false),
        (json!(false), "10.0.0.1:8448", false),
        (json!(false), "[::1]", false),
        (json!(false), "one.example", true),
        (json!(true), "10.0.0.1", true),
        (json!(null), "10.0.0.1", true),
        (json!("false"), "10.0.0.1", true),
    ] {
        check(json!({ "allow": ["*"], "allow_ip_literals": (literals) }), server, allowed);
    }
}

#[test]
fn malformed_contents_count_as_absent() {
    check(json!({}), "good.example", false);
    check(json!({ "allow": "*" }), "good.example", false);
    check(json!({ "allow": { "0": "*" } }), "good.example", false);
    check(json!({ "allow": [1, null, ["*"], "good.*"] }), "good.example", true);
    check(json!({ "allow": ["*"], "deny": "good.example" }), "good.example", true);
    check(json!({ "allow": ["*"], "deny": [1, {}] }), "good.example", true);
}

#[test]
fn many_stars_cost_no_more_than_the_product() {
    let pattern: String = core::iter::repeat_n("*a", 30_000).collect();
    let server = core::iter::repeat_n('a', 250).collect::<String>();
    check(json!({ "allow": ["*"], "deny": [pattern] }), &server, true);
}

#[test]
fn the_current_state_decides() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let answer = server.ok(Method::Post, "/_matrix/client/v3/createRoom", &alice, json!({}));
    let room_id = answer.get("room_id").and_then(Value::as_str).expect("it was made");
    let evil = ServerName::parse("evil.example").unwrap();
    let allowed = |server: &mut Server| {
        server.inspect(|read| allows(read, &Room::find(read, room_id).unwrap().unwrap(), &evil).unwrap())
    };
    assert!(allowed(&mut server));
    let path = alloc::format!("/_matrix/client/v3/rooms/{room_id}/state/m.room.server_acl");
    server.ok(Method::Put, &path, &alice, json!({ "allow": ["*"], "deny": ["evil.*"] }));
    assert!(!allowed(&mut server));
    server.ok(Method::Put, &path, &alice, json!({ "allow": ["*"] }));
    assert!(allowed(&mut server));
}
