//! Both sides: one server asks another in the name of a client.

use alloc::format;
use alloc::vec::Vec;

use super::*;
use crate::testing::json;
use crate::testing::network::Net;

fn two() -> (Net, User, User) {
    let mut net = Net::new(&["a.test", "b.test"]);
    let (alice, bob) = (net.server("a.test").register("alice"), net.server("b.test").register("bob"));
    (net, alice, bob)
}

#[track_caller]
fn check(net: &mut Net, who: &User, target: &str, status: u16, expected: Value) {
    let (found, answer) = net.call("a.test", Method::Get, target, who, ());
    if status == 200 {
        assert_eq!((found, answer), (status, expected), "{target}");
    } else {
        assert_eq!((found, answer.get("errcode")), (status, Some(&expected)), "{target}: {answer}");
    }
}

#[test]
fn profiles() {
    let (mut net, alice, bob) = two();
    let own = "/_matrix/client/v3/profile/@bob:b.test/displayname";
    net.ok("b.test", Method::Put, own, &bob, json!({ "displayname": "Bob" }));
    let path = "/_matrix/client/v3/profile/@bob:b.test";
    check(&mut net, &alice, path, 200, json!({ "displayname": "Bob" }));
    check(&mut net, &alice, &format!("{path}/displayname"), 200, json!({ "displayname": "Bob" }));
    check(&mut net, &alice, &format!("{path}/avatar_url"), 404, json!("M_NOT_FOUND"));
    check(&mut net, &alice, "/_matrix/client/v3/profile/@eve:b.test", 404, json!("M_NOT_FOUND"));
    let (status, _) = net.call("a.test", Method::Get, path, (), ());
    assert_eq!(status, 401, "strangers have nobody asked");

    let query = "/_matrix/federation/v1/query/profile";
    let lie = json!({
        "displayname": 1, "avatar_url": "https://evil.example/", "m.tz": null, "org.example.x": { "y": [] }, "z": null
    });
    net.lie("b.test", query, 200, lie);
    check(&mut net, &alice, path, 200, json!({ "org.example.x": { "y": [] } }));
    check(&mut net, &alice, &format!("{path}/displayname"), 404, json!("M_NOT_FOUND"));
    for (status, lie, told) in [
        (200, json!([]), json!("M_UNKNOWN")),
        (401, json!({ "errcode": "M_UNKNOWN_TOKEN" }), json!("M_UNKNOWN")),
        (500, json!({}), json!("M_UNKNOWN")),
    ] {
        net.lie("b.test", query, status, lie);
        check(&mut net, &alice, path, 502, told);
    }
    net.lie("b.test", query, 403, json!({ "errcode": "M_FORBIDDEN", "error": "no" }));
    check(&mut net, &alice, path, 403, json!("M_FORBIDDEN"));
    net.cut("a.test", "b.test");
    check(&mut net, &alice, path, 502, json!("M_UNKNOWN"));
}

#[test]
fn aliases() {
    let (mut net, alice, bob) = two();
    let body = json!({ "room_alias_name": "tea" });
    let room_id = text(&net.ok("b.test", Method::Post, "/_matrix/client/v3/createRoom", &bob, body), "room_id");
    let path = "/_matrix/client/v3/directory/room/%23tea:b.test";
    check(&mut net, &alice, path, 200, json!({ "room_id": (&room_id), "servers": ["b.test"] }));
    check(&mut net, &alice, "/_matrix/client/v3/directory/room/%23no:b.test", 404, json!("M_NOT_FOUND"));
    let (status, _) = net.call("a.test", Method::Get, path, (), ());
    assert_eq!(status, 401);

    let query = "/_matrix/federation/v1/query/directory";
    let servers = json!(["c.test", "a.test", 1, "not a server", "c.test"]);
    net.lie("b.test", query, 200, json!({ "room_id": (&room_id), "servers": (servers) }));
    check(&mut net, &alice, path, 200, json!({ "room_id": (&room_id), "servers": ["c.test", "b.test"] }));
    let many: Vec<Value> = (0..1000).map(|i| Value::from(format!("s{i}.test"))).collect();
    net.lie("b.test", query, 200, json!({ "room_id": (&room_id), "servers": (many) }));
    let answer = net.ok("a.test", Method::Get, path, &alice, ());
    assert_eq!(answer.get("servers").unwrap().as_array().unwrap().len(), crate::limits::MAX_ALIAS_SERVERS);
    for lie in [json!({}), json!([]), json!({ "room_id": "tea", "servers": [] }), json!({ "room_id": 1 })] {
        net.lie("b.test", query, 200, lie);
        check(&mut net, &alice, path, 502, json!("M_UNKNOWN"));
    }
    net.cut("a.test", "b.test");
    check(&mut net, &alice, path, 502, json!("M_UNKNOWN"));
}

#[test]
fn published_rooms() {
    let (mut net, alice, bob) = two();
    for name in ["Tea", "Coffee", "Cocoa"] {
        let body = json!({ "visibility": "public", "preset": "public_chat", "name": name });
        net.ok("b.test", Method::Post, "/_matrix/client/v3/createRoom", &bob, body);
    }
    let path = "/_matrix/client/v3/publicRooms?server=b.test";
    let here = net.ok("b.test", Method::Get, "/_matrix/client/v3/publicRooms", &bob, ());
    check(&mut net, &alice, path, 200, here);
    let names = |answer: &Value| -> Vec<String> {
        answer.get("chunk").unwrap().as_array().unwrap().iter().map(|room| text(room, "name")).collect()
    };
    let first = net.ok("a.test", Method::Get, &format!("{path}&limit=2"), &alice, ());
    let since = text(&first, "next_batch");
    let second = net.ok("a.test", Method::Get, &format!("{path}&limit=2&since={since}"), &alice, ());
    assert_eq!(
        (names(&first), names(&second)),
        (alloc::vec!["Tea".into(), "Coffee".into()], alloc::vec!["Cocoa".into()])
    );
    let body = json!({ "filter": { "generic_search_term": "co" }, "nonsense": { "x": 1 } });
    let found = net.ok("a.test", Method::Post, path, &alice, body);
    assert_eq!(names(&found), ["Coffee", "Cocoa"]);
    check(&mut net, &alice, "/_matrix/client/v3/publicRooms?server=not%20a%20server", 400, json!("M_INVALID_PARAM"));
    check(&mut net, &alice, &format!("{path}&since=nonsense"), 400, json!("M_INVALID_PARAM"));
    let (status, _) = net.call("a.test", Method::Get, path, (), ());
    assert_eq!(status, 401);

    let room = json!({ "room_id": "!a:b", "num_joined_members": 1, "world_readable": true, "guest_can_join": false });
    let lie = json!({ "chunk": [(room.clone()), 1, {}], "next_batch": 1, "total_room_count_estimate": "many" });
    net.lie("b.test", "/_matrix/federation/v1/publicRooms", 200, lie);
    check(&mut net, &alice, path, 200, json!({ "chunk": [(room)] }));
    net.lie("b.test", "/_matrix/federation/v1/publicRooms", 200, json!({ "chunk": {} }));
    check(&mut net, &alice, path, 502, json!("M_UNKNOWN"));
}
