//! Events that arrive, late or not, with what they refer to or without.

use super::*;
use crate::room::{Room, StoredEvent, extremities};
use crate::testing::branch::Branch;
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::Cell;

const A: &str = "a.test";
const B: &str = "b.test";
/// In the room too; what it knows of A it tells B.
const C: &str = "c.test";

/// A room of Alice on A that Bob on B has joined, and Carol on C.
struct Shared {
    net: Net,
    alice: User,
    bob: User,
    room: String,
}

impl Shared {
    fn new(body: Value) -> Shared {
        let mut net = Net::new(&[A, B, C]);
        let alice = net.server(A).register("alice");
        let bob = net.server(B).register("bob");
        let room = create(&mut net, A, &alice, body);
        let carol = net.server(C).register("carol");
        net.ok(B, Method::Post, &join_path(&room, A), &bob, json!({}));
        net.ok(C, Method::Post, &join_path(&room, A), &carol, json!({}));
        net.advance(1000);
        Shared { net, alice, bob, room }
    }

    #[track_caller]
    fn say(&mut self, server: &str, text: &str) -> String {
        let user = if server == A { &self.alice } else { &self.bob };
        let path = room_path(&self.room, &alloc::format!("/send/m.room.message/{text}"));
        let answer = self.net.ok(server, Method::Put, &path, user, json!({ "msgtype": "m.text", "body": text }));
        answer.get("event_id").and_then(Value::as_str).unwrap().to_string()
    }

    #[track_caller]
    fn set(&mut self, server: &str, kind: &str, content: Value) {
        let user = if server == A { &self.alice } else { &self.bob };
        self.net.ok(server, Method::Put, &room_path(&self.room, &alloc::format!("/state/{kind}/")), user, content);
    }

    /// The event as its server has it.
    fn pdu(&mut self, server: &str, event_id: &str) -> Value {
        let room = self.room.clone();
        self.net.server(server).inspect(|read| {
            let room = Room::find(read, &room).unwrap().unwrap();
            let event = room.event(read, event_id).unwrap().unwrap();
            crate::canonical_json::parse(&event.json).unwrap()
        })
    }

    /// C sends events to B; what B says of them.
    #[track_caller]
    fn transaction(&mut self, id: &str, pdus: Vec<Value>) -> Value {
        let body = json!({ "origin": (C), "origin_server_ts": 1, "pdus": (pdus) });
        let (status, answer) =
            ask(&mut self.net, C, B, Outgoing::put(alloc::format!("/_matrix/federation/v1/send/{id}"), body));
        assert_eq!(status, 200, "{answer}");
        answer.get("pdus").unwrap().clone()
    }

    /// The bodies of the messages that a user is shown by `/messages`, oldest first.
    fn messages(&mut self, server: &str) -> Vec<String> {
        let user = if server == A { &self.alice } else { &self.bob };
        let answer = self.net.ok(server, Method::Get, &room_path(&self.room, "/messages?dir=b&limit=1000"), user, ());
        let chunk = answer.get("chunk").and_then(Value::as_array).unwrap();
        let body = |event: &Value| Some(event.get("content")?.get("body")?.as_str()?.to_string());
        chunk.iter().rev().filter_map(body).collect()
    }

    fn knows(&mut self, server: &str, event_id: &str) -> bool {
        let room = self.room.clone();
        self.net
            .server(server)
            .inspect(|read| Room::find(read, &room).unwrap().unwrap().timeline_event(read, event_id).unwrap().is_some())
    }

    #[track_caller]
    fn assert_same_state(&mut self) {
        let here = state(&mut self.net, A, &self.alice, &self.room);
        assert_eq!(here, state(&mut self.net, B, &self.bob, &self.room));
    }

    /// What B still misses.
    fn missing(&mut self) -> Vec<crate::identifiers::EventId> {
        let room = self.room.clone();
        self.net
            .server(B)
            .inspect(|read| extremities::missing(read, &Room::find(read, &room).unwrap().unwrap(), 10).unwrap())
    }

    fn requests(&self, path: &str) -> usize {
        self.net.log.iter().filter(|line| line.contains(path)).count()
    }
}

#[test]
fn both_sides_write_while_they_do_not_reach_each_other() {
    for version in ["1", "3", "6", "9", "10", "11", "12"] {
        let mut world = Shared::new(json!({ "preset": "public_chat", "room_version": (version) }));
        world.net.cut(A, B);
        for i in 0..3 {
            world.say(A, &alloc::format!("a{i}"));
            world.say(B, &alloc::format!("b{i}"));
        }
        world.set(A, "m.room.topic", json!({ "topic": "a's" }));
        world.net.heal();
        world.net.advance(3_600_000);
        let (mut here, mut there) = (world.messages(A), world.messages(B));
        here.sort();
        there.sort();
        assert_eq!(here, ["a0", "a1", "a2", "b0", "b1", "b2"], "{version}");
        assert_eq!(there, here, "{version}");
        world.assert_same_state();
    }
}

/// Cuts B off from A, and has A write `count` messages. The last one, as C has it.
fn behind(world: &mut Shared, count: usize) -> (String, Value) {
    world.net.cut(A, B);
    let mut last = String::new();
    for i in 0..count {
        if i == 10 {
            world.set(A, "m.room.topic", json!({ "topic": "in the gap" }));
        }
        last = world.say(A, &i.to_string());
    }
    world.net.advance(1000);
    let pdu = world.pdu(C, &last);
    (last, pdu)
}

fn numbers(numbers: core::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[test]
fn missing_events_are_asked_for() {
    let mut world = Shared::new(everyone());
    let (last, pdu) = behind(&mut world, 30);
    assert_eq!(world.transaction("1", alloc::vec![pdu.clone()]), json!({ last: {} }));
    assert_eq!(world.messages(B), numbers(0..30));
    assert_eq!(world.requests("get_missing_events"), 1);
    assert_eq!(world.requests("state_ids"), 0);
    world.assert_same_state();
    // The same again is no work at all.
    let requests = world.net.log.len();
    world.transaction("1", alloc::vec![pdu.clone()]);
    world.transaction("2", alloc::vec![pdu]);
    assert_eq!(world.net.log.len(), requests + 2);
    // And A's own attempt, when it gets through, neither.
    world.net.heal();
    world.net.advance(3_600_000);
    assert_eq!(world.messages(B), numbers(0..30));
    assert_eq!(world.requests("state_ids"), 0);
}

#[test]
fn the_state_is_asked_for_after_a_gap() {
    for whole_state in [false, true] {
        let mut world = Shared::new(everyone());
        let (last, pdu) = behind(&mut world, 20);
        let room = percent_encode(&world.room);
        // C gives nothing of what lies between.
        let path = alloc::format!("/_matrix/federation/v1/get_missing_events/{room}");
        world.net.lie(C, &path, 200, json!({ "events": [] }));
        if whole_state {
            // More is new than is fetched one by one.
            for i in 0..(crate::limits::STATE_EVENTS_ONE_BY_ONE + 1) {
                world.set(A, &alloc::format!("m.test.{i}"), json!({}));
            }
            world.net.advance(1000);
        }
        let (last, pdu) = if whole_state {
            let last = world.say(A, "last");
            world.net.advance(1000);
            let pdu = world.pdu(C, &last);
            (last, pdu)
        } else {
            (last, pdu)
        };
        let answer = world.transaction("1", alloc::vec![pdu]);
        assert_eq!(answer.get(&last), Some(&json!({})));
        assert!(world.knows(B, &last));
        assert_eq!(world.requests("/state_ids/"), 1);
        assert_eq!(world.requests("/state/"), usize::from(whole_state));
        world.assert_same_state();
        assert_eq!(world.missing().len(), 1 + 1, "the gap, and what was before the join");
        // A timeline that is not whole says so.
        let sync = in_sync(&mut world.net, B, &world.bob, "join", &world.room).unwrap();
        let timeline = sync.get("timeline").unwrap();
        assert_eq!(timeline.get("limited"), Some(&Value::Bool(true)));
        assert_eq!(timeline.get("events").and_then(Value::as_array).unwrap().len(), 1, "{timeline}");
        // Once A is there again, what was missing comes from there.
        world.net.heal();
        world.net.advance(3_600_000);
        world.assert_same_state();
    }
}

#[test]
fn a_server_that_gives_nothing_costs_its_event_and_nothing_else() {
    let mut world = Shared::new(everyone());
    let (last, pdu) = behind(&mut world, 5);
    let room = percent_encode(&world.room);
    for (path, answer) in [("get_missing_events", json!({ "events": [] })), ("state_ids", json!({}))] {
        world.net.lie(C, &alloc::format!("/_matrix/federation/v1/{path}/{room}"), 200, answer);
    }
    let answer = world.transaction("1", alloc::vec![pdu]);
    assert!(answer.get(&last).unwrap().get("error").is_some(), "{answer}");
    assert!(!world.knows(B, &last));
    // Nothing of it is held against the event.
    world.net.heal();
    world.net.advance(3_600_000);
    assert!(world.knows(B, &last));
    assert_eq!(world.messages(B), numbers(0..5));
}

/// C cannot look up B's keys at the moment, and so does not know who asks.
#[test]
fn a_server_that_cannot_check_who_asks_is_asked_again() {
    let mut world = Shared::new(everyone());
    world.net.cut(A, B);
    let first = world.say(A, "first");
    let last = world.say(A, "last");
    world.net.advance(1000);
    let (first, last) = (world.pdu(C, &first), world.pdu(C, &last));
    let has_keys = Rc::new(Cell::new(false));
    for (path, answer) in [("get_missing_events", json!({ "events": [(first)] })), ("state_ids", json!({}))] {
        let (has_keys, path) = (has_keys.clone(), alloc::format!("/_matrix/federation/v1/{path}/"));
        let answer = move |_: &[u8]| match has_keys.get() {
            true => Some((200, answer.clone())),
            false => Some((401, json!({ "errcode": "M_UNAUTHORIZED", "error": "who is this?" }))),
        };
        world.net.serve(C, &(path + &percent_encode(&world.room)), Box::new(answer));
    }
    let body = json!({ "origin": (C), "origin_server_ts": 1, "pdus": [(last)] });
    let to = ServerName::parse(B).unwrap();
    let send = Outgoing::put("/_matrix/federation/v1/send/1", body);
    let answer = world.net.server(C).start_flow(|cx| async move { call(&cx, &to, send).await });
    world.net.advance(2_000);
    assert!(answer.borrow().is_none());
    has_keys.set(true);
    world.net.advance(10_000);
    assert!(answer.borrow().is_some());
    assert_eq!(world.messages(B), ["first", "last"]);
}

/// Nobody cites it to a server that is out, and what it is judged by is not known there.
#[test]
fn what_puts_the_last_user_out_and_cannot_be_checked_is_tried_again() {
    let mut world = Shared::new(everyone());
    world.net.cut(A, B);
    let levels = world.net.ok(A, Method::Get, &room_path(&world.room, "/state/m.room.power_levels/"), &world.alice, ());
    let mut levels = levels.as_object().unwrap().clone();
    levels.insert("kick", 99_i64);
    world.set(A, "m.room.power_levels", levels.into());
    let kick = json!({ "user_id": (world.bob.user_id.as_str()) });
    world.net.ok(A, Method::Post, &room_path(&world.room, "/kick"), &world.alice, kick);
    world.net.advance(1000);
    let newest = |kind: &'static str, world: &mut Shared| {
        let room = world.room.clone();
        world.net.server(C).inspect(move |read| {
            let room = Room::find(read, &room).unwrap().unwrap();
            let state = room.state_events(read, room.head.state, None).unwrap();
            let key = if kind == "m.room.member" { "@bob:b.test" } else { "" };
            let is_it =
                |event: &StoredEvent| event.header.kind == kind && event.header.state_key.as_deref() == Some(key);
            state.into_iter().find(is_it).unwrap().pdu(room.info.version).unwrap()
        })
    };
    let (levels, kick) = (newest("m.room.power_levels", &mut world), newest("m.room.member", &mut world));
    let answers = Rc::new(Cell::new(false));
    let path = alloc::format!("/_matrix/federation/v1/get_missing_events/{}", percent_encode(&world.room));
    let (does, missing) = (answers.clone(), json!({ "events": [(levels.to_object())] }));
    let answer = move |_: &[u8]| Some(if does.get() { (200, missing.clone()) } else { (403, json!({})) });
    world.net.serve(C, &path, Box::new(answer));
    let (room, levels, kicks) = (percent_encode(&world.room), levels.event_id, kick.event_id.clone());
    let (levels, kicks) = (percent_encode(&levels), percent_encode(&kicks));
    for path in [
        alloc::format!("state_ids/{room}"),
        alloc::format!("state/{room}"),
        alloc::format!("event/{levels}"),
        alloc::format!("event_auth/{room}/{kicks}"),
    ] {
        world.net.lie(C, &alloc::format!("/_matrix/federation/v1/{path}"), 403, json!({}));
    }
    let id = kick.event_id.to_string();
    let told = world.transaction("1", alloc::vec![kick.to_object().into()]);
    assert!(told.get(&id).unwrap().get("error").is_some(), "{told}");
    world.net.crash(B);
    world.net.advance(300_000);
    assert!(in_sync(&mut world.net, B, &world.bob, "join", &world.room).is_some());
    answers.set(true);
    world.net.advance(3_600_000);
    assert!(in_sync(&mut world.net, B, &world.bob, "join", &world.room).is_none());
    assert!(world.knows(B, &id));
}

#[test]
fn more_is_missing_than_is_fetched() {
    let mut world = Shared::new(everyone());
    let count = crate::limits::MAX_MISSING_EVENTS_FETCHED + 50;
    let (last, pdu) = behind(&mut world, count);
    assert_eq!(world.transaction("1", alloc::vec![pdu]), json!({ last: {} }));
    let messages = world.messages(B);
    assert_eq!(messages, numbers(count - messages.len()..count));
    assert!(messages.len() >= crate::limits::MAX_MISSING_EVENTS_FETCHED - 1, "{}", messages.len());
    assert_eq!(world.requests("/state_ids/"), 1);
    world.assert_same_state();
}

#[test]
fn another_server_is_asked_if_the_origin_cannot_help() {
    let mut world = Shared::new(everyone());
    let (last, pdu) = behind(&mut world, 3);
    let room = percent_encode(&world.room);
    for path in ["get_missing_events", "state_ids"] {
        let refusal = json!({ "errcode": "M_FORBIDDEN", "error": "no" });
        world.net.lie(C, &alloc::format!("/_matrix/federation/v1/{path}/{room}"), 403, refusal);
    }
    world.net.heal();
    assert_eq!(world.transaction("1", alloc::vec![pdu]), json!({ last: {} }));
    assert_eq!(world.messages(B), numbers(0..3));
    world.assert_same_state();
}

#[test]
fn the_whole_state_is_asked_for_where_single_events_are_refused() {
    let mut world = Shared::new(everyone());
    world.net.cut(A, B);
    world.set(A, "m.room.topic", json!({ "topic": "in the gap" }));
    let topic = world.net.ok(A, Method::Get, &room_path(&world.room, "/state"), &world.alice, ());
    let is_topic = |event: &&Value| event.get("type") == Some(&Value::from("m.room.topic"));
    let topic = topic.as_array().unwrap().iter().find(is_topic).unwrap().get("event_id").unwrap().clone();
    let last = world.say(A, "last");
    world.net.advance(1000);
    let pdu = world.pdu(C, &last);
    let path = alloc::format!("/_matrix/federation/v1/get_missing_events/{}", percent_encode(&world.room));
    world.net.lie(C, &path, 200, json!({ "events": [] }));
    let path = alloc::format!("/_matrix/federation/v1/event/{}", percent_encode(topic.as_str().unwrap()));
    world.net.lie(C, &path, 403, json!({ "errcode": "M_FORBIDDEN", "error": "no" }));
    assert_eq!(world.transaction("1", alloc::vec![pdu]), json!({ last: {} }));
    assert_eq!((world.requests("/event/"), world.requests("/state/")), (1, 1));
    world.assert_same_state();
}

/// A liar cites the newest event and one that nobody else has, and alone says what the state is after that one.
#[test]
fn nobody_takes_away_state_by_an_invented_event() {
    for version in ["1", "2", "11", "12"] {
        let mut world = Shared::new(json!({ "preset": "public_chat", "room_version": (version) }));
        world.set(A, "m.room.topic", json!({ "topic": "to stay" }));
        world.net.advance(1000);
        let mut branch = Branch::of(world.net.server(B), &world.room);
        branch.seeds.insert(C.to_string(), [52; 32]);
        let mut without_topic = branch.state.clone();
        without_topic.retain(|(kind, _), _| kind != "m.room.topic");
        let invented = branch.clone().message("@carol:c.test", "invented");
        branch.tip.push(invented.event_id);
        let lie = branch.message("@carol:c.test", "lie");
        let room = percent_encode(&world.room);
        let ids: Vec<Value> = without_topic.values().map(Value::from).collect();
        for (path, answer) in [
            ("get_missing_events", json!({ "events": [] })),
            ("state_ids", json!({ "pdu_ids": (ids), "auth_chain_ids": [] })),
        ] {
            world.net.lie(C, &alloc::format!("/_matrix/federation/v1/{path}/{room}"), 200, answer);
        }
        world.net.cut(A, B);
        let id = lie.event_id.to_string();
        assert_eq!(world.transaction("1", alloc::vec![lie.to_object().into()]), json!({ id: {} }));
        assert!(world.knows(B, &lie.event_id));
        let state = state(&mut world.net, B, &world.bob, &world.room);
        assert!(state.iter().any(|(kind, ..)| kind == "m.room.topic"), "version {version}: {state:?}");
    }
}
