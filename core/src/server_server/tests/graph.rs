use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::event::Pdu;
use crate::room_version::RoomVersion;
use crate::testing::json;

struct World {
    server: Server,
    alice: User,
    room_id: String,
    version: RoomVersion,
    /// The events of the room, oldest first.
    events: Vec<String>,
}

/// A room with `messages` messages after its first state.
fn world(version: RoomVersion, messages: usize) -> World {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room_id = create(&mut server, &alice, json!({ "room_version": (version.as_str()) }));
    for i in 0..messages {
        say(&mut server, &alice, &room_id, &format!("m{i}"));
    }
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=f&limit=1000", segment(&room_id));
    let page = server.ok(Method::Get, &path, &alice, ());
    let events = page.get("chunk").unwrap().as_array().unwrap().iter().map(|event| super::text(event, "event_id"));
    let events = events.collect();
    World { server, alice, room_id, version, events }
}

impl World {
    fn ids(&self, answer: &Value, name: &str) -> Vec<String> {
        let pdus = answer.get(name).and_then(Value::as_array).unwrap_or_else(|| panic!("no {name} in {answer}"));
        let id = |pdu: &Value| Pdu::parse(pdu.as_object().unwrap().clone(), self.version).unwrap().event_id;
        pdus.iter().map(|pdu| String::from(id(pdu).as_str())).collect()
    }

    #[track_caller]
    fn get(&mut self, target: &str) -> Value {
        answers(&mut self.server, OWN, Method::Get, target, ())
    }

    fn room(&self) -> String {
        segment(&self.room_id)
    }
}

#[test]
fn an_event() {
    let mut world = world(RoomVersion::V10, 1);
    let last = world.events.last().unwrap().clone();
    let answer = world.get(&format!("{API}/event/{}", segment(&last)));
    assert_eq!(answer.get("origin"), Some(&Value::from(OWN)));
    assert_eq!(world.ids(&answer, "pdus"), [last]);
    refuses(&mut world.server, OWN, Method::Get, &format!("{API}/event/$unknown"), (), 404, "M_NOT_FOUND");
    refuses(&mut world.server, OWN, Method::Get, &format!("{API}/event/nonsense"), (), 400, "M_INVALID_PARAM");
}

#[test]
fn backfill_goes_back_from_the_newest() {
    for version in [RoomVersion::V1, RoomVersion::V3, RoomVersion::V12] {
        let mut world = world(version, 5);
        let newest: Vec<String> = world.events.iter().rev().cloned().collect();
        let path = format!("{API}/backfill/{}?v={}", world.room(), segment(&newest[0]));
        let answer = world.get(&format!("{path}&limit=3"));
        assert_eq!(world.ids(&answer, "pdus"), newest[..3]);
        let answer = world.get(&format!("{path}&limit=1000"));
        assert_eq!(world.ids(&answer, "pdus"), newest);
        let answer = world.get(&format!("{path}&v={}&v=$unknown&limit=2", segment(&newest[3])));
        assert_eq!(world.ids(&answer, "pdus"), newest[..2]);
        let path = format!("{API}/backfill/{}", world.room());
        for (query, errcode) in [
            ("", "M_MISSING_PARAM"),
            ("?limit=3", "M_MISSING_PARAM"),
            ("?v=$unknown", "M_MISSING_PARAM"),
            ("?v=nonsense&limit=3", "M_INVALID_PARAM"),
            ("?v=$unknown&limit=-1", "M_INVALID_PARAM"),
        ] {
            refuses(&mut world.server, OWN, Method::Get, &format!("{path}{query}"), (), 400, errcode);
        }
    }
}

#[test]
fn missing_events_lie_between() {
    let mut world = world(RoomVersion::V10, 6);
    let (all, n) = (world.events.clone(), world.events.len());
    let path = format!("{API}/get_missing_events/{}", world.room());
    let mut check = |body: Value, expected: &[String]| {
        let answer = answers(&mut world.server, OWN, Method::Post, &path, body);
        assert_eq!(world_ids(&answer), expected);
    };
    let (earliest, latest) = (&all[n - 5], &all[n - 1]);
    check(json!({ "earliest_events": [earliest], "latest_events": [latest] }), &all[n - 4..n - 1]);
    check(json!({ "earliest_events": [earliest], "latest_events": [latest], "limit": 2 }), &all[n - 3..n - 1]);
    check(json!({ "earliest_events": [], "latest_events": [latest], "limit": 1000 }), &all[..n - 1]);
    check(json!({ "earliest_events": [], "latest_events": [latest], "min_depth": (n as u64 - 1) }), &all[n - 2..n - 1]);
    check(json!({ "earliest_events": [latest], "latest_events": [latest] }), &all[n.saturating_sub(11)..n - 1]);
    check(json!({ "earliest_events": [], "latest_events": ["$unknown"] }), &[]);
    check(json!({ "earliest_events": [], "latest_events": [] }), &[]);
    for (body, errcode) in [
        (json!({ "latest_events": [] }), "M_MISSING_PARAM"),
        (json!({ "earliest_events": [], "latest_events": {} }), "M_BAD_JSON"),
        (json!({ "earliest_events": [], "latest_events": [1] }), "M_BAD_JSON"),
        (json!({ "earliest_events": [], "latest_events": [], "limit": (-1) }), "M_INVALID_PARAM"),
    ] {
        refuses(&mut world.server, OWN, Method::Post, &path, body, 400, errcode);
    }
}

/// The IDs of `events` in room version 10.
fn world_ids(answer: &Value) -> Vec<String> {
    let events = answer.get("events").and_then(Value::as_array).unwrap();
    let id = |pdu: &Value| Pdu::parse(pdu.as_object().unwrap().clone(), RoomVersion::V10).unwrap().event_id;
    events.iter().map(|pdu| String::from(id(pdu).as_str())).collect()
}

#[test]
fn servers_that_are_not_in_the_room_learn_nothing() {
    let mut world = world(RoomVersion::V10, 1);
    let last = segment(world.events.last().unwrap());
    let room = world.room();
    let body = json!({ "earliest_events": [], "latest_events": [] });
    let targets = [
        format!("{API}/event/{last}"),
        format!("{API}/backfill/{room}?v={last}&limit=5"),
        format!("{API}/state/{room}?event_id={last}"),
        format!("{API}/state_ids/{room}?event_id={last}"),
        format!("{API}/event_auth/{room}/{last}"),
        format!("{API}/backfill/!unknown:example.org?v={last}&limit=5"),
    ];
    for target in &targets {
        refuses(&mut world.server, "other.example", Method::Get, target, (), 403, "M_FORBIDDEN");
    }
    let missing = format!("{API}/get_missing_events/{room}");
    refuses(&mut world.server, "other.example", Method::Post, &missing, body.clone(), 403, "M_FORBIDDEN");
    // Nor do those that its access control list keeps out.
    let acl = json!({ "allow": ["*"], "deny": [OWN] });
    set_state(&mut world.server, &world.alice, &world.room_id, "m.room.server_acl", acl);
    for target in &targets {
        refuses(&mut world.server, OWN, Method::Get, target, (), 403, "M_FORBIDDEN");
    }
    refuses(&mut world.server, OWN, Method::Post, &missing, body, 403, "M_FORBIDDEN");
}

#[test]
fn the_state_before_an_event_and_its_auth_chain() {
    for version in [RoomVersion::V1, RoomVersion::V10, RoomVersion::V12] {
        let mut world = world(version, 1);
        let (room_id, alice) = (world.room_id.clone(), world.alice.clone());
        let topic = set_state(&mut world.server, &alice, &room_id, "m.room.topic", json!({ "topic": "tea" }));
        let path = format!("{}?event_id={}", world.room(), segment(&topic));
        let full = world.get(&format!("{API}/state/{path}"));
        let ids = world.get(&format!("{API}/state_ids/{path}"));
        for (pdus, names) in [("pdus", "pdu_ids"), ("auth_chain", "auth_chain_ids")] {
            let listed = ids.get(names).and_then(Value::as_array).unwrap();
            let listed: Vec<String> = listed.iter().map(|id| String::from(id.as_str().unwrap())).collect();
            assert_eq!(world.ids(&full, pdus), listed);
        }
        // Every event before the message is state, and the topic itself is not in the state before it.
        assert_eq!(world.ids(&full, "pdus"), world.events[..world.events.len() - 1]);
        let chain = world.ids(&full, "auth_chain");
        assert!(chain.iter().all(|id| world.events.contains(id)) && chain.contains(&world.events[1]), "{chain:?}");

        let of_topic = world.get(&format!("{API}/event_auth/{}/{}", world.room(), segment(&topic)));
        let of_topic = world.ids(&of_topic, "auth_chain");
        assert!(of_topic.contains(&world.events[1]) && of_topic.iter().all(|id| chain.contains(id)), "{of_topic:?}");
        for (path, status, errcode) in [
            (format!("state/{}", world.room()), 400, "M_MISSING_PARAM"),
            (format!("state_ids/{}?event_id=nonsense", world.room()), 400, "M_INVALID_PARAM"),
            (format!("state_ids/{}?event_id=$unknown", world.room()), 404, "M_NOT_FOUND"),
            (format!("event_auth/{}/$unknown", world.room()), 404, "M_NOT_FOUND"),
            (String::from("state/nonsense?event_id=$unknown"), 400, "M_INVALID_PARAM"),
        ] {
            refuses(&mut world.server, OWN, Method::Get, &format!("{API}/{path}"), (), status, errcode);
        }
    }
}

#[test]
fn the_event_closest_to_a_time() {
    let mut world = world(RoomVersion::V10, 0);
    let (room_id, alice) = (world.room_id.clone(), world.alice.clone());
    world.server.advance(10_000);
    let event_id = say(&mut world.server, &alice, &room_id, "late");
    let sent = world.server.now.0;
    let (ours, theirs) =
        (format!("/_matrix/client/v1/rooms/{}", world.room()), format!("{API}/timestamp_to_event/{}", world.room()));
    let ours = format!("{ours}/timestamp_to_event");
    for (query, expected) in [
        (format!("?ts={}&dir=f", sent - 1), Some(())),
        (format!("?ts={sent}&dir=b"), Some(())),
        (format!("?ts={}&dir=f", sent + 1), None),
        (String::from("?ts=1&dir=b"), None),
    ] {
        let answer = expected.map(|()| json!({ "event_id": (event_id.as_str()), "origin_server_ts": sent }));
        let (status, here) = world.server.call(Method::Get, &format!("{ours}{query}"), &alice, ());
        let (same_status, there) = world.server.asked_by(OWN, Method::Get, &format!("{theirs}{query}"), ());
        assert_eq!(status, same_status);
        match answer {
            Some(answer) => assert_eq!((&here, &there), (&answer, &answer), "{query}"),
            None => assert_eq!((status, here.get("errcode")), (404, Some(&json!("M_NOT_FOUND"))), "{query}"),
        }
    }
    for (query, errcode) in [
        ("", "M_MISSING_PARAM"),
        ("?ts=1", "M_MISSING_PARAM"),
        ("?ts=1&dir=x", "M_INVALID_PARAM"),
        ("?ts=-1&dir=f", "M_INVALID_PARAM"),
        ("?ts=x&dir=f", "M_INVALID_PARAM"),
    ] {
        world.server.fails(Method::Get, &format!("{ours}{query}"), &alice, (), 400, errcode);
        refuses(&mut world.server, OWN, Method::Get, &format!("{theirs}{query}"), (), 400, errcode);
    }
    refuses(&mut world.server, "b.test", Method::Get, &format!("{theirs}?ts=1&dir=f"), (), 403, "M_FORBIDDEN");
    let bob = world.server.register("bob");
    world.server.fails(Method::Get, &format!("{ours}?ts=1&dir=f"), &bob, (), 403, "M_FORBIDDEN");
}
