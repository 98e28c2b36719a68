use alloc::format;

use super::*;
use crate::testing::json;

#[test]
fn profiles() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let path = format!("/_matrix/client/v3/profile/{}/displayname", alice.user_id);
    server.ok(Method::Put, &path, &alice, json!({ "displayname": "Alice" }));
    let path = format!("{API}/query/profile");
    let check = |server: &mut Server, query: &str, expected: Value| {
        assert_eq!(answers(server, "b.example", Method::Get, &format!("{path}?{query}"), ()), expected);
    };
    check(&mut server, "user_id=@alice:example.org", json!({ "displayname": "Alice" }));
    check(&mut server, "user_id=%40alice%3Aexample.org&field=displayname", json!({ "displayname": "Alice" }));
    for (query, status, errcode) in [
        ("", 400, "M_MISSING_PARAM"),
        ("user_id=alice", 400, "M_INVALID_PARAM"),
        ("user_id=@alice:b.example", 400, "M_INVALID_PARAM"),
        ("user_id=@bob:example.org", 404, "M_NOT_FOUND"),
        ("user_id=@alice:example.org&field=avatar_url", 404, "M_NOT_FOUND"),
    ] {
        refuses(&mut server, "b.example", Method::Get, &format!("{path}?{query}"), (), status, errcode);
    }
}

#[test]
fn aliases() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room_id = create(&mut server, &alice, json!({ "room_alias_name": "tea" }));
    let path = format!("{API}/query/directory");
    let answer = answers(&mut server, "b.example", Method::Get, &format!("{path}?room_alias=%23tea:example.org"), ());
    assert_eq!(answer, json!({ "room_id": room_id, "servers": ["example.org"] }));
    for (query, status, errcode) in [
        ("", 400, "M_MISSING_PARAM"),
        ("room_alias=tea", 400, "M_INVALID_PARAM"),
        ("room_alias=%23tea:b.example", 400, "M_INVALID_PARAM"),
        ("room_alias=%23coffee:example.org", 404, "M_NOT_FOUND"),
    ] {
        refuses(&mut server, "b.example", Method::Get, &format!("{path}?{query}"), (), status, errcode);
    }
    refuses(&mut server, "b.example", Method::Get, &format!("{API}/query/weather"), (), 404, "M_UNRECOGNIZED");
}

#[test]
fn keys_of_devices() {
    let mut server = Server::new();
    server.register("alice");
    let query = format!("{API}/user/keys/query");
    let asked = json!({ "device_keys": { "@alice:example.org": [], "@bob:example.org": ["ABC"] } });
    let answer = answers(&mut server, "b.example", Method::Post, &query, asked);
    assert_eq!(answer, json!({ "device_keys": { "@alice:example.org": {} } }));
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({ "device_keys": [] }), "M_BAD_JSON"),
        (json!({ "device_keys": { "@alice:b.example": [] } }), "M_INVALID_PARAM"),
        (json!({ "device_keys": { "@alice:example.org": [1] } }), "M_BAD_JSON"),
    ] {
        refuses(&mut server, "b.example", Method::Post, &query, body, 400, errcode);
    }
}

#[test]
fn there_is_no_media() {
    let mut server = Server::new();
    for path in ["media/download/abc", "media/thumbnail/abc?width=1&height=1"] {
        refuses(&mut server, "b.example", Method::Get, &format!("{API}/{path}"), (), 404, "M_NOT_FOUND");
    }
}
