use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::canonical_json::Value;
use crate::http::Method;
use crate::testing::{Server, json};

fn lines(answer: &Value) -> Vec<String> {
    let lines = answer.get("lines").and_then(Value::as_array).expect("lines");
    lines.iter().filter_map(Value::as_str).map(ToString::to_string).collect()
}

#[test]
fn rooms_events_and_states_are_explained() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = server.ok(Method::Post, "/_matrix/client/v3/createRoom", &alice, json!({ "name": "tea" }));
    let room = room.get("room_id").and_then(Value::as_str).unwrap().to_string();
    let explain = format!("/_orrery/admin/v1/rooms/{room}/explain");
    let secret = "admin secret";
    let told = lines(&server.ok(Method::Get, &explain, secret, ()));
    assert!(told[0].starts_with(&format!("{room}, version 12")), "{told:?}");
    let end = told.iter().find_map(|line| line.strip_prefix("forward extremity ")).expect("a forward extremity");
    let end = end.split(' ').next().unwrap().to_string();

    let told = lines(&server.ok(Method::Get, &format!("{explain}?event_id={end}"), secret, ()));
    assert_eq!(told[1], "accepted");
    assert!(told.iter().any(|line| line.starts_with("previous event $")), "{told:?}");

    let told = lines(&server.ok(Method::Get, &format!("{explain}?type=m.room.name&state_key="), secret, ()));
    assert_eq!(told[1], "all states have the same here");
    assert!(told[2].ends_with("(m.room.name \"\" by @alice:example.org)"), "{told:?}");
    let told = lines(&server.ok(Method::Get, &format!("{explain}?type=m.room.topic&state_key=&at={end}"), secret, ()));
    assert_eq!(told[1], "no state has anything here");

    server.fails(Method::Get, &format!("{explain}?event_id=$nothing"), secret, (), 404, "M_NOT_FOUND");
    server.fails(Method::Get, &format!("{explain}?type=m.room.name"), secret, (), 400, "M_MISSING_PARAM");
    server.fails(Method::Get, "/_orrery/admin/v1/rooms/!no:where/explain", secret, (), 404, "M_NOT_FOUND");
    server.fails(Method::Get, &explain, &alice, (), 404, "M_UNRECOGNIZED");
}
