use super::*;

#[test]
fn a_first_sync_tells_everything_and_the_next_what_is_new() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    send(&mut server, &alice, &room, "hello");
    let mut client = Client::new(&alice);
    let answer = client.sync(&mut server);
    assert_eq!(timeline(&answer, &room).last().unwrap(), "hello");
    let push_rules = at(&answer, &["account_data", "events"])
        .as_array()
        .unwrap()
        .iter()
        .find(|event| text(event, "type") == "m.push_rules");
    assert!(push_rules.is_some_and(|event| at(event, &["content", "global"]).as_object().is_some()), "{answer}");
    assert_eq!(at(&answer, &["rooms", "join", &room, "summary", "m.joined_member_count"]), &json!(1));
    assert_eq!(at(&answer, &["device_one_time_keys_count"]), &json!({}));

    let before = client.since.clone();
    let answer = client.sync(&mut server);
    assert!(is_quiet(&answer), "{answer}");
    assert_eq!(client.since, before);

    send(&mut server, &alice, &room, "again");
    let answer = client.sync(&mut server);
    assert_eq!(timeline(&answer, &room), ["again"]);
    assert_eq!(at(&answer, &["rooms", "join", &room, "timeline", "limited"]), &json!(false));
    assert!(events(&answer, &room, "state").is_empty());
    let answer = client.sync(&mut server);
    assert!(is_quiet(&answer), "{answer}");
}

#[test]
fn a_first_sync_of_a_young_room_has_its_state_in_the_timeline() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    let mut client = Client::new(&alice).with_timeline(100);
    let answer = client.sync(&mut server);
    assert!(events(&answer, &room, "state").is_empty(), "{answer}");
    assert_eq!(timeline(&answer, &room)[..2], ["create|", "member|@alicejoin"]);
    assert_eq!(at(&answer, &["rooms", "join", &room, "timeline", "limited"]), &json!(false));

    let mut client = Client::new(&alice).with_timeline(1);
    let answer = client.sync(&mut server);
    assert_eq!(events(&answer, &room, "timeline").len(), 1);
    assert_eq!(at(&answer, &["rooms", "join", &room, "timeline", "limited"]), &json!(true));
    let state = briefs(events(&answer, &room, "state"));
    assert_eq!(state[..2], ["create|", "member|@alicejoin"]);
}

#[test]
fn a_gap_comes_with_the_change_of_state_and_a_token_to_fill_it() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = public_room(&mut server, &alice);
    join(&mut server, &bob, &room);
    let mut client = Client::synced(&mut server, &bob).with_timeline(3);
    send(&mut server, &alice, &room, "m1");
    set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "old" }));
    set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "new" }));
    send(&mut server, &alice, &room, "m2");
    set_state(&mut server, &alice, &room, "m.room.avatar", "", json!({ "url": "mxc://in/timeline" }));
    send(&mut server, &alice, &room, "m3");

    let since = client.since.clone().unwrap();
    let answer = client.sync(&mut server);
    assert_eq!(timeline(&answer, &room), ["m2", "avatar|", "m3"]);
    assert_eq!(at(&answer, &["rooms", "join", &room, "timeline", "limited"]), &json!(true));
    let state = events(&answer, &room, "state");
    assert_eq!(briefs(state), ["topic|"]);
    assert_eq!(at(&state[0], &["content", "topic"]), &json!("new"));
    assert_eq!(at(&answer, &["rooms", "join", &room, "summary"]), &Value::Null, "no membership changed");

    // From the gap's end back to where the client was.
    let prev_batch = text(at(&answer, &["rooms", "join", &room, "timeline"]), "prev_batch");
    let target =
        alloc::format!("/_matrix/client/v3/rooms/{}/messages?dir=b&from={prev_batch}&to={since}", encode(&room));
    let page = server.ok(Method::Get, &target, &bob, ());
    assert_eq!(briefs(page.get("chunk").unwrap().as_array().unwrap()), ["topic|", "topic|", "m1"]);
}

#[test]
fn state_after_is_the_state_at_the_end() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    for (query, name) in [
        ("&use_state_after=true", "state_after"),
        ("&org.matrix.msc4222.use_state_after=true", "org.matrix.msc4222.state_after"),
    ] {
        let mut client = Client::new(&alice).with_timeline(2).with(query);
        let answer = client.sync(&mut server);
        assert_eq!(at(&answer, &["rooms", "join", &room, "state"]), &Value::Null);
        assert!(briefs(events(&answer, &room, name)).contains(&"create|".to_string()), "{answer}");
        set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": name }));
        send(&mut server, &alice, &room, name);
        let answer = client.sync(&mut server);
        assert_eq!(timeline(&answer, &room), ["topic|", name]);
        assert_eq!(briefs(events(&answer, &room, name)), ["topic|"], "it is in the timeline and here");
        send(&mut server, &alice, &room, "quiet");
        let answer = client.sync(&mut server);
        assert_eq!(at(&answer, &["rooms", "join", &room, name]), &json!({ "events": [] }), "there though empty");
    }
}

#[test]
fn full_state_tells_the_state_again_and_the_timeline_from_where_it_was() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    let mut client = Client::synced(&mut server, &alice);
    send(&mut server, &alice, &room, "new");
    client.query = "&full_state=true".into();
    let answer = client.sync(&mut server);
    assert_eq!(timeline(&answer, &room), ["new"]);
    assert!(briefs(events(&answer, &room, "state")).contains(&"create|".to_string()));
    // At once, though nothing is new and there would be time to wait.
    let id = client.poll(&mut server, 30_000);
    let answer = client.polled(&mut server, id).expect("it does not wait");
    assert!(timeline(&answer, &room).is_empty());
    assert!(briefs(events(&answer, &room, "state")).contains(&"member|@alicejoin".to_string()));
}

#[test]
fn only_the_device_that_sent_an_event_is_told_its_transaction() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let other = server.login("alice");
    let room = public_room(&mut server, &alice);
    let (mut here, mut there) = (Client::synced(&mut server, &alice), Client::synced(&mut server, &other));
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/send/m.room.message/txn%201", encode(&room));
    server.ok(Method::Put, &target, &alice, json!({ "body": "x" }));
    server.advance(250);
    let unsigned = |answer: &Value| events(answer, &room, "timeline")[0].get("unsigned").unwrap().clone();
    let expected = json!({ "age": 250, "membership": "join", "transaction_id": "txn 1" });
    assert_eq!(unsigned(&here.sync(&mut server)), expected);
    assert_eq!(unsigned(&there.sync(&mut server)), json!({ "age": 250, "membership": "join" }));
}

#[test]
fn unsigned_tells_what_state_replaced_and_why_an_event_is_redacted() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    let first = set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "one" }));
    let message = send(&mut server, &alice, &room, "oops");
    let mut client = Client::synced(&mut server, &alice);
    set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "two" }));
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/redact/{}/1", encode(&room), encode(&message));
    server.ok(Method::Put, &target, &alice, json!({ "reason": "typo" }));
    let answer = client.sync(&mut server);
    let found = events(&answer, &room, "timeline");
    assert_eq!(at(&found[0], &["unsigned", "prev_content"]), &json!({ "topic": "one" }));
    assert_eq!(at(&found[0], &["unsigned", "replaces_state"]), &json!((first)));
    assert_eq!(at(&found[1], &["redacts"]), &json!((&message)));
    let answer = Client::new(&alice).sync(&mut server);
    let redacted =
        events(&answer, &room, "timeline").iter().find(|event| text(event, "event_id") == message).unwrap().clone();
    assert_eq!(redacted.get("content"), Some(&json!({})));
    let because = at(&redacted, &["unsigned", "redacted_because"]);
    assert_eq!((text(because, "type"), at(because, &["content", "reason"])), ("m.room.redaction", &json!("typo")));
    assert_eq!(because.get("room_id"), None, "the answer names the room already");
}

#[test]
fn bad_requests_are_refused() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let cases = [
        ("since=1", "M_INVALID_PARAM"),
        ("since=", "M_INVALID_PARAM"),
        ("since=s9999999_1_0_0", "M_INVALID_PARAM"),
        ("since=s1_1_0", "M_INVALID_PARAM"),
        ("since=t1", "M_INVALID_PARAM"),
        ("timeout=soon", "M_INVALID_PARAM"),
        ("timeout=-1", "M_INVALID_PARAM"),
        ("full_state=1", "M_INVALID_PARAM"),
        ("use_state_after=yes", "M_INVALID_PARAM"),
        ("set_presence=busy", "M_INVALID_PARAM"),
        ("filter=unknown", "M_INVALID_PARAM"),
        ("filter=%7B", "M_NOT_JSON"),
        ("filter=%7B%22room%22%3A1%7D", "M_BAD_JSON"),
    ];
    for (query, errcode) in cases {
        server.fails(Method::Get, &alloc::format!("/_matrix/client/v3/sync?{query}"), &alice, (), 400, errcode);
    }
    server.fails(Method::Get, "/_matrix/client/v3/sync", (), (), 401, "M_MISSING_TOKEN");
    server.fails(Method::Get, "/_matrix/client/v3/sync", "nobody's", (), 401, "M_UNKNOWN_TOKEN");
    server.fails(Method::Post, "/_matrix/client/v3/sync", &alice, (), 405, "M_UNRECOGNIZED");
    // What is not known of a query is passed over.
    server.ok(Method::Get, "/_matrix/client/v3/sync?_cacheBuster=7&timeout=0", &alice, ());
}

#[test]
fn a_crash_loses_no_place() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    let mut client = Client::synced(&mut server, &alice);
    send(&mut server, &alice, &room, "before");
    let mut server = server.crash();
    send(&mut server, &alice, &room, "after");
    assert_eq!(timeline(&client.sync(&mut server), &room), ["before", "after"]);
    let mut server = server.crash();
    assert!(is_quiet(&client.sync(&mut server)));
    send(&mut server, &alice, &room, "last");
    let mut server = server.crash();
    assert_eq!(timeline(&client.sync(&mut server), &room), ["last"]);
}

#[test]
fn a_client_that_was_long_away_is_told_by_room() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let rooms: Vec<String> = (0..4).map(|_| public_room(&mut server, &alice)).collect();
    for room in &rooms[..3] {
        join(&mut server, &bob, room);
    }
    let mut client = Client::synced(&mut server, &bob);
    leave(&mut server, &bob, &rooms[2]);
    // More entries in the log than it is worth to read.
    for i in 0..1_100 {
        send(&mut server, &alice, &rooms[3], &alloc::format!("noise {i}"));
    }
    send(&mut server, &alice, &rooms[1], "signal");
    let target = alloc::format!("/_matrix/client/v3/user/{}/account_data/a.b", encode(&bob.user_id));
    server.ok(Method::Put, &target, &bob, json!({ "k": 1 }));
    let answer = client.sync(&mut server);
    assert_eq!(timeline(&answer, &rooms[1]), ["signal"]);
    assert_eq!(at(&answer, &["rooms", "join"]).as_object().unwrap().len(), 1, "{answer}");
    assert_eq!(at(&answer, &["rooms", "leave"]).as_object().unwrap().len(), 1);
    assert_eq!(at(&answer, &["account_data", "events"]).as_array().unwrap().len(), 1);
    assert!(is_quiet(&client.sync(&mut server)));
}
