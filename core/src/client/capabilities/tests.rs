use crate::http::Method::{Get, Post};
use crate::testing::{Server, json};

const CAPABILITIES: &str = "/_matrix/client/v3/capabilities";

#[test]
fn capabilities_follow_configuration_and_kind_of_user() {
    let mut server = Server::with(|config| config.default_room_version = "10".into());
    server.fails(Get, CAPABILITIES, (), (), 401, "M_MISSING_TOKEN");
    let alice = server.register("alice");
    let answer = server.ok(Get, CAPABILITIES, &alice, ());
    let capability = |answer: &crate::canonical_json::Value, name: &str| {
        answer.get("capabilities").unwrap().get(name).unwrap_or_else(|| panic!("{name}")).clone()
    };
    let versions = capability(&answer, "m.room_versions");
    assert_eq!(versions.get("default"), Some(&json!("10")));
    assert_eq!(versions.get("available").unwrap().get("12"), Some(&json!("stable")));
    assert_eq!(capability(&answer, "m.change_password"), json!({ "enabled": true }));
    assert_eq!(capability(&answer, "m.get_login_token"), json!({ "enabled": false }));
    assert_eq!(capability(&answer, "m.profile_fields"), json!({ "enabled": true }));

    let guest = server.ok(Post, "/_matrix/client/v3/register?kind=guest", (), ());
    let answer = server.ok(Get, CAPABILITIES, guest.get("access_token").unwrap().as_str().unwrap(), ());
    assert_eq!(capability(&answer, "m.change_password"), json!({ "enabled": false }));
    assert_eq!(capability(&answer, "m.profile_fields"), json!({ "enabled": true, "allowed": ["displayname"] }));

    let mut server = server.restart_with(|config| config.sessions.login_tokens = true);
    let answer = server.ok(Get, CAPABILITIES, &alice, ());
    assert_eq!(capability(&answer, "m.get_login_token"), json!({ "enabled": true }));
}
