//! History from before a server came into a room.

use alloc::format;

use super::*;

struct World {
    net: Net,
    alice: User,
    bob: User,
    room: String,
}

impl World {
    /// Alice has a room on `a.test`; Bob of `b.test` is not in it yet.
    fn new(body: Value) -> World {
        let mut net = Net::new(&["a.test", "b.test"]);
        let (alice, bob) = (net.server("a.test").register("alice"), net.server("b.test").register("bob"));
        let room = create(&mut net, "a.test", &alice, body);
        World { net, alice, bob, room }
    }

    fn say(&mut self, server: &str, words: &str) {
        let who = if server == "a.test" { &self.alice } else { &self.bob };
        let path = room_path(&self.room, &format!("/send/m.room.message/{words}"));
        self.net.ok(server, Method::Put, &path, who, json!({ "msgtype": "m.text", "body": words }));
        self.net.advance(10);
    }

    fn join(&mut self) {
        let path = join_path(&self.room, "a.test");
        self.net.ok("b.test", Method::Post, &path, &self.bob, json!({}));
        self.net.advance(1000);
    }

    fn leave(&mut self) {
        let path = room_path(&self.room, "/leave");
        self.net.ok("b.test", Method::Post, &path, &self.bob, json!({}));
        self.net.advance(1000);
    }

    /// All that a user finds who pages back, newest first, and the number of pages.
    fn history(&mut self, server: &str, limit: usize) -> (Vec<String>, usize) {
        let who = if server == "a.test" { self.alice.clone() } else { self.bob.clone() };
        let (mut events, mut from, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let path = room_path(&self.room, &format!("/messages?dir=b&limit={limit}{from}"));
            let page = self.net.ok(server, Method::Get, &path, &who, ());
            let chunk = page.get("chunk").and_then(Value::as_array).unwrap();
            events.extend(chunk.iter().map(|event| event.get("event_id").and_then(Value::as_str).unwrap().to_string()));
            pages += 1;
            assert!(pages < 200, "the pages do not end");
            match page.get("end").and_then(Value::as_str) {
                Some(end) => from = format!("&from={end}"),
                None => return (events, pages),
            }
        }
    }

    fn asked(&self, what: &str) -> usize {
        self.net.log.iter().filter(|line| line.contains(what)).count()
    }
}

#[test]
fn a_newcomer_reads_what_was_said_before() {
    for version in ["1", "6", "10", "12"] {
        let mut world = World::new(json!({ "preset": "public_chat", "room_version": version }));
        for i in 0..130 {
            world.say("a.test", &format!("m{i}"));
        }
        world.join();
        let (there, _) = world.history("a.test", 50);
        let (here, _) = world.history("b.test", 30);
        assert_eq!(here, there, "room version {version}");
        assert_eq!((there.len() > 135, world.asked("GET /_matrix/federation/v1/backfill/")), (true, 2));
        // It is here now, and nobody is asked again.
        assert_eq!(world.history("b.test", 7).0, there);
        assert_eq!(world.asked("GET /_matrix/federation/v1/backfill/"), 2);
        world.net.crash("b.test");
        assert_eq!(world.history("b.test", 1000).0, there);
    }
}

#[test]
fn what_was_missed_between_two_visits() {
    let mut world = World::new(json!({ "preset": "public_chat" }));
    world.join();
    world.say("b.test", "before");
    world.leave();
    for i in 0..20 {
        world.say("a.test", &format!("m{i}"));
    }
    world.join();
    world.say("b.test", "after");
    let (there, _) = world.history("a.test", 100);
    assert_eq!(world.history("b.test", 10).0, there);
}

#[test]
fn history_that_newcomers_may_not_see() {
    let visibility = json!([{
        "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": "joined" }
    }]);
    let mut world = World::new(json!({ "preset": "public_chat", "initial_state": (visibility) }));
    for i in 0..30 {
        world.say("a.test", &format!("m{i}"));
    }
    world.join();
    let (here, _) = world.history("b.test", 10);
    // The join, and the beginnings of the room, before it was decided who sees what.
    let (there, _) = world.history("a.test", 10);
    assert_eq!(here, [&there[..1], &there[31..]].concat());
    // The words of the messages have not even come here.
    let room = world.room.clone();
    let words = world.net.server("b.test").inspect(|read| {
        let room = crate::room::Room::find(read, &room).unwrap().unwrap();
        let mut words = 0;
        let place = crate::room::timeline::Place::START;
        let count = |_, event: crate::room::StoredEvent| {
            words += usize::from(event.header.kind == "m.room.message" && event.content_bytes() != b"{}");
            Ok::<_, crate::store::StorageError>(core::ops::ControlFlow::Continue(()))
        };
        crate::room::timeline::forward(read, &room, place, None, 100, count).unwrap();
        words
    });
    assert_eq!(words, 0);
}

/// Bob may not see the event that named the room in its history, and sees the name that the room has.
#[test]
fn history_without_content_takes_none_away_from_the_state() {
    let visibility = json!([{
        "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": "joined" }
    }]);
    let body = json!({ "preset": "public_chat", "name": "Tea", "initial_state": (visibility) });
    let mut world = World::new(body);
    world.say("a.test", "m");
    world.join();
    let path = room_path(&world.room, "/state/m.room.name");
    let bob = world.bob.clone();
    let name = json!({ "name": "Tea" });
    assert_eq!(world.net.ok("b.test", Method::Get, &path, &bob, ()), name);
    world.history("b.test", 10);
    assert_eq!(world.net.ok("b.test", Method::Get, &path, &bob, ()), name);
}

/// A join comes in beside events of others, whose servers judge by what they know of the room.
#[test]
fn what_events_are_judged_by_is_shown_whole() {
    let initial_state = json!([
        { "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": "joined" } },
        { "type": "m.room.topic", "state_key": "", "content": { "topic": "Tea" } },
    ]);
    let body = json!({ "preset": "public_chat", "room_version": "10", "initial_state": (initial_state) });
    let mut world = World::new(body);
    let levels = json!({ "users": { (world.alice.user_id.as_str()): 100 }, "invite": 77 });
    let path = room_path(&world.room, "/state/m.room.power_levels");
    world.net.ok("a.test", Method::Put, &path, &world.alice.clone(), levels);
    world.say("a.test", "m");
    world.join();
    let newest = world.history("a.test", 1).0[0].clone();
    let room = percent_encode(&world.room).to_string();
    let target = format!("/_matrix/federation/v1/backfill/{room}?v={}&limit=100", percent_encode(&newest));
    let to = ServerName::parse("a.test").unwrap();
    let shown = world.net.run("b.test", move |cx| async move { call(&cx, &to, Outgoing::get(target)).await.unwrap() });
    let shown = shown.get("pdus").and_then(Value::as_array).unwrap();
    let content = |kind: &str| {
        let event = shown.iter().find(|event| event.get("type").and_then(Value::as_str) == Some(kind)).unwrap();
        event.get("content").unwrap().clone()
    };
    assert_eq!(content("m.room.power_levels").get("invite"), Some(&json!(77)));
    assert_eq!(content("m.room.topic"), json!({}));
    assert_eq!(content("m.room.message"), json!({}));
}

#[test]
fn servers_that_have_nothing_to_say() {
    let mut world = World::new(json!({ "preset": "public_chat" }));
    for i in 0..30 {
        world.say("a.test", &format!("m{i}"));
    }
    world.join();
    let (there, _) = world.history("a.test", 100);
    let path = format!("/_matrix/federation/v1/backfill/{}", percent_encode(&world.room));
    let other = create(&mut world.net, "a.test", &world.alice.clone(), json!({ "preset": "public_chat" }));
    let alien = {
        let target = format!("/_matrix/client/v3/rooms/{}/state", percent_encode(&other));
        let state = world.net.ok("a.test", Method::Get, &target, &world.alice.clone(), ());
        state.as_array().unwrap()[0].clone()
    };
    for (status, lie) in [
        (403, json!({ "errcode": "M_FORBIDDEN", "error": "no" })),
        (200, json!([])),
        (200, json!({ "pdus": {} })),
        (200, json!({ "pdus": [1, {}, (alien), { "type": "m.room.message", "room_id": (world.room.as_str()) }] })),
        (200, json!({ "pdus": [] })),
    ] {
        world.net.lie("a.test", &path, status, lie);
        assert_eq!(world.history("b.test", 100), (there[..1].to_vec(), 2));
    }
    world.net.cut("a.test", "b.test");
    assert_eq!(world.history("b.test", 100), (there[..1].to_vec(), 2));
}

#[test]
fn jumping_to_a_date_before_the_join() {
    let mut world = World::new(json!({ "preset": "public_chat" }));
    let mut times = Vec::new();
    for i in 0..40 {
        world.net.advance(60_000);
        times.push(world.net.server("a.test").now.0);
        world.say("a.test", &format!("m{i}"));
    }
    world.join();
    let (there, _) = world.history("a.test", 100);
    let path = room_path(&world.room, "/timestamp_to_event").replace("/v3/", "/v1/");
    let (bob, middle) = (world.bob.clone(), there[20].clone());
    let jump = |world: &mut World, ts: u64, dir: &str| {
        let found = world.net.ok("b.test", Method::Get, &format!("{path}?ts={ts}&dir={dir}"), &bob, ());
        found.get("event_id").and_then(Value::as_str).unwrap().to_string()
    };
    assert_eq!(jump(&mut world, times[20] - 5, "f"), middle);
    assert_eq!(world.asked("timestamp_to_event"), 1);
    // It is here now, although what is around it is not.
    let context = room_path(&world.room, &format!("/context/{}", percent_encode(&middle)));
    world.net.ok("b.test", Method::Get, &context, &bob, ());
    assert_eq!(jump(&mut world, times[10] + 5, "b"), there[30]);
    // Pages go through the gaps on both sides of it.
    assert_eq!(world.history("b.test", 10).0, there);
    let asked = world.asked("timestamp_to_event");
    assert_eq!(jump(&mut world, times[30] - 5, "f"), there[10]);
    assert_eq!(world.asked("timestamp_to_event"), asked, "nothing is missing any more");
}

#[test]
fn lies_about_a_date() {
    let mut world = World::new(json!({ "preset": "public_chat" }));
    world.net.advance(60_000);
    let time = world.net.server("a.test").now.0;
    world.say("a.test", "m");
    world.net.advance(60_000);
    world.join();
    let (there, _) = world.history("a.test", 100);
    let path = room_path(&world.room, "/timestamp_to_event").replace("/v3/", "/v1/");
    let asks = format!("/_matrix/federation/v1/timestamp_to_event/{}", percent_encode(&world.room));
    for (status, lie) in [
        (404, json!({ "errcode": "M_NOT_FOUND", "error": "no" })),
        (200, json!([])),
        (200, json!({ "event_id": 1, "origin_server_ts": 1 })),
        (200, json!({ "event_id": "$unknown", "origin_server_ts": (time) })),
        // An event on the other side of the time, and one that is here.
        (200, json!({ "event_id": (there.last().unwrap().as_str()), "origin_server_ts": (time) })),
        (200, json!({ "event_id": (there[0].as_str()), "origin_server_ts": (time) })),
    ] {
        world.net.lie("a.test", &asks, status, lie);
        let found = world.net.ok("b.test", Method::Get, &format!("{path}?ts={time}&dir=f"), &world.bob.clone(), ());
        assert_eq!(found.get("event_id"), Some(&json!(there[0].as_str())));
    }
}

/// What a server answers to a request for the whole history of the room.
fn whole(world: &mut World) -> Vec<Value> {
    let (newest, room) = (world.history("a.test", 100).0[1].clone(), percent_encode(&world.room));
    let target = format!("/_matrix/federation/v1/backfill/{room}?v={}&limit=100", percent_encode(&newest));
    let (status, answer) = world.net.server("a.test").asked_by("b.test", Method::Get, &target, ());
    assert_eq!(status, 200, "{answer}");
    answer.get("pdus").and_then(Value::as_array).unwrap().to_vec()
}

#[test]
fn only_what_holds_and_leads_back_from_the_gap_is_taken() {
    let mut world = World::new(json!({ "preset": "public_chat" }));
    for i in 0..20 {
        world.say("a.test", &format!("m{i}"));
    }
    world.join();
    let (there, _) = world.history("a.test", 100);
    let pdus = whole(&mut world);
    let path = format!("/_matrix/federation/v1/backfill/{}", percent_encode(&world.room));
    let lie = |world: &mut World, pdus: Vec<Value>| world.net.lie("a.test", &path, 200, json!({ "pdus": (pdus) }));

    // Without the first, nothing leads to the others.
    lie(&mut world, pdus[1..].to_vec());
    assert_eq!(world.history("b.test", 100).0, there[..1]);
    // A broken signature: the event is dropped, and so is what lies behind it.
    let mut broken = pdus.clone();
    let signatures = json!({ "a.test": { "ed25519:1": "AAAA" } });
    broken[3].as_object_mut().unwrap().insert("signatures", signatures);
    lie(&mut world, broken);
    assert_eq!(world.history("b.test", 100).0, there[..4]);
    // A changed content: the event is redacted, and the rest holds. The order does not matter.
    let mut changed: Vec<Value> = pdus[3..].iter().rev().chain(&pdus[3..]).cloned().collect();
    for pdu in &mut changed {
        if pdu.get("content").and_then(|content| content.get("body")) == Some(&json!("m3")) {
            pdu.as_object_mut().unwrap().insert("content", json!({ "msgtype": "m.text", "body": "never said" }));
        }
    }
    lie(&mut world, changed);
    assert_eq!(world.history("b.test", 100).0, there);
    let words = |world: &mut World, event_id: &str| {
        let path = room_path(&world.room, &format!("/event/{}", percent_encode(event_id)));
        let event = world.net.ok("b.test", Method::Get, &path, &world.bob.clone(), ());
        event.get("content").unwrap().clone()
    };
    assert_eq!(words(&mut world, &there[17]), json!({}));
    assert_eq!(words(&mut world, &there[16]), json!({ "msgtype": "m.text", "body": "m4" }));
}

#[test]
fn branches_of_history() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    let (alice, bob) = (net.server("a.test").register("alice"), net.server("b.test").register("bob"));
    let carol = net.server("c.test").register("carol");
    let room = create(&mut net, "a.test", &alice, json!({ "preset": "public_chat" }));
    net.ok("c.test", Method::Post, &join_path(&room, "a.test"), &carol, json!({}));
    net.advance(1000);
    for round in 0..3 {
        net.cut("a.test", "c.test");
        for i in 0..8 {
            for (server, who) in [("a.test", &alice), ("c.test", &carol)] {
                let path = room_path(&room, &format!("/send/m.room.message/{round}-{i}"));
                net.ok(server, Method::Put, &path, who, json!({ "msgtype": "m.text", "body": "hello" }));
                net.advance(500);
            }
        }
        net.heal();
        // Longer than a server is left alone that did not answer.
        net.advance(7_200_000);
    }
    let mut world = World { net, alice, bob, room };
    world.join();
    let (mut there, _) = world.history("a.test", 7);
    let (mut here, _) = world.history("b.test", 7);
    assert!(there.len() > 50);
    for events in [&mut there, &mut here] {
        events.sort();
    }
    assert_eq!(here, there);
}

#[test]
fn one_page_over_several_gaps() {
    let mut world = World::new(json!({ "preset": "public_chat" }));
    for visit in 0..3 {
        for i in 0..5 {
            world.say("a.test", &format!("m{visit}{i}"));
        }
        world.join();
        world.leave();
    }
    world.join();
    let (there, _) = world.history("a.test", 100);
    let (here, pages) = world.history("b.test", 100);
    assert_eq!((here, pages), (there, 1));
    assert!(world.asked("GET /_matrix/federation/v1/backfill/") > 1);
}
