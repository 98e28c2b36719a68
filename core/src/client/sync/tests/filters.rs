use super::*;

fn room_with_history(server: &mut Server, alice: &User) -> String {
    let room = public_room(server, alice);
    set_state(server, alice, &room, "m.room.topic", "", json!({ "topic": "one" }));
    for i in 0..3 {
        send(server, alice, &room, &alloc::format!("m{i}"));
    }
    room
}

#[test]
fn a_stored_filter_is_used_by_its_id() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = room_with_history(&mut server, &alice);
    let target = alloc::format!("/_matrix/client/v3/user/{}/filter", encode(&alice.user_id));
    let filter = json!({ "room": { "timeline": { "limit": 2, "types": ["m.room.message"] } } });
    let id = server.ok(Method::Post, &target, &alice, filter);
    let query = alloc::format!("&filter={}", text(&id, "filter_id"));
    let answer = Client::new(&alice).with(&query).sync(&mut server);
    assert_eq!(timeline(&answer, &room), ["m1", "m2"]);
    let target = alloc::format!("/_matrix/client/v3/sync?filter={}", text(&id, "filter_id"));
    server.fails(Method::Get, &target, &bob, (), 400, "M_INVALID_PARAM");
}

/// A sync of a room with a filter: its timeline, whether that is limited, and its state.
fn check(filter: Value, expected_timeline: &[&str], limited: bool, has_state: &[&str], lacks_state: &[&str]) {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = room_with_history(&mut server, &alice);
    let answer = Client::new(&alice).with_filter(&json!({ "room": (filter) })).sync(&mut server);
    assert_eq!(timeline(&answer, &room), expected_timeline);
    assert_eq!(at(&answer, &["rooms", "join", &room, "timeline", "limited"]), &json!(limited));
    let state = briefs(events(&answer, &room, "state"));
    for brief in has_state {
        assert!(state.contains(&brief.to_string()), "{brief} in {state:?}");
    }
    for brief in lacks_state {
        assert!(!state.contains(&brief.to_string()), "{brief} not in {state:?}");
    }
}

#[test]
fn filters_choose_what_is_shown() {
    let messages = json!(["m.room.message"]);
    let (all, topic, create) = (["m0", "m1", "m2"], ["topic|"], ["create|"]);
    check(json!({ "timeline": { "types": (messages.clone()) } }), &all, false, &["create|", "topic|"], &[]);
    check(json!({ "timeline": { "types": (messages.clone()), "limit": 1 } }), &all[2..], true, &["topic|"], &[]);
    check(json!({ "timeline": { "limit": 0 } }), &[], true, &["create|", "topic|"], &[]);
    check(json!({ "timeline": { "types": [] } }), &[], false, &["create|", "topic|"], &[]);
    check(
        json!({ "timeline": { "types": (messages.clone()) }, "state": { "types": ["m.room.topic"] } }),
        &all,
        false,
        &topic,
        &create,
    );
    check(
        json!({ "timeline": { "not_types": ["m.room.[a-z]*", "m.room.message"], "types": ["m.room.t*"] } }),
        &topic,
        false,
        &create,
        &topic,
    );
    check(json!({ "timeline": { "senders": ["@bob:example.org"] } }), &[], false, &["topic|"], &[]);
    check(json!({ "timeline": { "rooms": [] } }), &[], false, &["topic|"], &[]);
    check(
        json!({ "timeline": { "types": (messages) }, "state": { "rooms": [] } }),
        &all,
        false,
        &[],
        &["topic|", "create|"],
    );
}

#[test]
fn filters_choose_rooms() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let rooms = [public_room(&mut server, &alice), public_room(&mut server, &alice)];
    let shown = |answer: &Value| at(answer, &["rooms", "join"]).as_object().map_or(0, |rooms| rooms.len());
    let cases = [
        (json!({ "rooms": [(&rooms[0])] }), 1),
        (json!({ "not_rooms": [(&rooms[0])] }), 1),
        (json!({ "rooms": [(&rooms[0])], "not_rooms": [(&rooms[0])] }), 0),
        (json!({ "rooms": [] }), 0),
        (json!({}), 2),
    ];
    for (filter, expected) in cases {
        let answer = Client::new(&alice).with_filter(&json!({ "room": (filter.clone()) })).sync(&mut server);
        assert_eq!(shown(&answer), expected, "{filter}");
    }
}

#[test]
fn state_that_a_filter_keeps_out_of_the_timeline_is_in_the_state() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = room_with_history(&mut server, &alice);
    for query in ["", "&use_state_after=true"] {
        let name = if query.is_empty() { "state" } else { "state_after" };
        let filter = json!({ "room": { "timeline": { "types": ["m.room.message"] } } });
        let mut client = Client::new(&alice).with_filter(&filter).with(query);
        client.sync(&mut server);
        for topic in ["two", "three"] {
            set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": topic }));
            send(&mut server, &alice, &room, topic);
        }
        join(&mut server, &bob, &room);
        let answer = client.sync(&mut server);
        assert_eq!(timeline(&answer, &room), ["two", "three"]);
        let state = events(&answer, &room, name);
        assert_eq!(briefs(state), ["topic|", "member|@bobjoin"]);
        assert_eq!(at(&state[0], &["content", "topic"]), &json!("three"));
        leave(&mut server, &bob, &room);
        client.sync(&mut server);
    }
}

#[test]
fn event_fields_and_formats() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = room_with_history(&mut server, &alice);
    let timeline = json!({ "limit": 1 });
    let filter = json!({ "event_fields": ["content.body", "type"], "room": { "timeline": (timeline.clone()) } });
    let answer = Client::new(&alice).with_filter(&filter).sync(&mut server);
    assert_eq!(events(&answer, &room, "timeline"), [json!({ "content": { "body": "m2" }, "type": "m.room.message" })]);
    let filter = json!({ "event_format": "federation", "room": { "timeline": (timeline) } });
    let answer = Client::new(&alice).with_filter(&filter).sync(&mut server);
    let event = events(&answer, &room, "timeline")[0].as_object().unwrap();
    let members: Vec<&str> = event.iter().map(|member| member.0).collect();
    let expected = [
        "auth_events",
        "content",
        "depth",
        "hashes",
        "origin_server_ts",
        "prev_events",
        "room_id",
        "sender",
        "signatures",
        "type",
    ];
    assert_eq!(members, expected);
}

#[test]
fn a_long_stretch_that_a_filter_drops_does_not_look_like_the_end() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "found by paging" }));
    for i in 0..=crate::limits::MAX_TIMELINE_SCAN {
        send(&mut server, &alice, &room, &alloc::format!("m{i}"));
    }
    let filter = json!({ "room": { "timeline": { "types": ["m.room.topic"] } } });
    let answer = Client::new(&alice).with_filter(&filter).sync(&mut server);
    let found = at(&answer, &["rooms", "join", &room, "timeline"]);
    assert_eq!(found.get("limited"), Some(&json!(true)));
    let prev_batch = text(found, "prev_batch");
    let query = alloc::format!("dir=b&from={prev_batch}&filter={}", encode(r#"{"types":["m.room.topic"]}"#));
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/messages?{query}", encode(&room));
    let page = server.ok(Method::Get, &target, &alice, ());
    assert_eq!(briefs(page.get("chunk").unwrap().as_array().unwrap()), ["topic|"]);
}
