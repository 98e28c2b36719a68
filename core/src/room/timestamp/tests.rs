use alloc::format;
use alloc::string::{String, ToString};

use super::*;
use crate::canonical_json::Value;
use crate::http::Method;
use crate::testing::{Server, User, json};

/// A room with one message every ten seconds; their IDs and times.
fn room(messages: usize) -> (Server, User, String, Vec<(String, Timestamp)>) {
    let mut server = Server::new();
    let alice = server.register("alice");
    let answer = server.ok(Method::Post, "/_matrix/client/v3/createRoom", &alice, json!({}));
    let room_id = answer.get("room_id").and_then(Value::as_str).unwrap().to_string();
    let mut sent = Vec::new();
    for i in 0..messages {
        server.advance(10_000);
        let path = format!("/_matrix/client/v3/rooms/{room_id}/send/m.room.message/{i}");
        let answer = server.ok(Method::Put, &path, &alice, json!({ "msgtype": "m.text", "body": "hello" }));
        sent.push((answer.get("event_id").and_then(Value::as_str).unwrap().to_string(), server.now));
    }
    (server, alice, room_id, sent)
}

#[track_caller]
fn check(server: &mut Server, room_id: &str, wanted: u64, direction: Direction, expected: Option<&str>) {
    let found = server.inspect(|read| {
        let room = Room::find(read, room_id).unwrap().unwrap();
        closest(read, &room, (Timestamp(wanted), direction), |event| Ok::<_, StorageError>(!event.is_state())).unwrap()
    });
    let found = found.map(|event| event.header.event_id);
    assert_eq!(found.as_deref(), expected, "{wanted} {direction:?}");
}

#[test]
fn the_closest_event_in_each_direction() {
    use Direction::{Backward, Forward};
    for messages in [5, MAX_TIMESTAMP_SCAN + 50] {
        let (mut server, _, room_id, sent) = room(messages);
        let last = sent.len() - 1;
        for (i, (event_id, at)) in sent.iter().enumerate().step_by(1 + messages / 40) {
            check(&mut server, &room_id, at.0, Forward, Some(event_id));
            check(&mut server, &room_id, at.0, Backward, Some(event_id));
            check(&mut server, &room_id, at.0 - 1, Forward, Some(event_id));
            check(&mut server, &room_id, at.0 + 1, Backward, Some(event_id));
            if i < last {
                check(&mut server, &room_id, at.0 + 1, Forward, Some(&sent[i + 1].0));
            }
        }
        check(&mut server, &room_id, 0, Forward, Some(&sent[0].0));
        check(&mut server, &room_id, 0, Backward, None);
        check(&mut server, &room_id, u64::MAX, Backward, Some(&sent[last].0));
        check(&mut server, &room_id, u64::MAX, Forward, None);
    }
}
