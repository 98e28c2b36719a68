use super::*;

fn lazy(user: &User, more: &str) -> Client {
    let filter =
        alloc::format!(r#"{{"room":{{"timeline":{{"limit":2}},"state":{{"lazy_load_members":true{more}}}}}}}"#);
    Client::new(user).with(&alloc::format!("&filter={}", encode(&filter)))
}

struct World {
    server: Server,
    users: Vec<User>,
    room: String,
}

/// A room that the first of the users made and all have joined.
fn world(names: &[&str]) -> World {
    let mut server = Server::new();
    let users: Vec<User> = names.iter().map(|name| server.register(name)).collect();
    let room = create_room(&mut server, &users[0], json!({ "preset": "public_chat", "name": "Tea" }));
    for user in &users[1..] {
        join(&mut server, user, &room);
    }
    World { server, users, room }
}

fn members(answer: &Value, room: &str) -> Vec<String> {
    let state = briefs(events(answer, room, "state"));
    state.into_iter().filter(|brief| brief.starts_with("member|")).collect()
}

#[test]
fn only_those_who_speak_are_loaded_and_once() {
    let World { mut server, users, room } = world(&["alice", "bob", "carol", "dave", "erin"]);
    let [alice, bob, carol, ..] = users.as_slice() else { unreachable!() };
    for (user, body) in [(carol, "m1"), (bob, "m2"), (bob, "m3")] {
        send(&mut server, user, &room, body);
    }
    let mut client = lazy(alice, "");
    assert_eq!(members(&client.sync(&mut server), &room), ["member|@alicejoin", "member|@bobjoin"]);
    send(&mut server, carol, &room, "m4");
    assert_eq!(members(&client.sync(&mut server), &room), ["member|@caroljoin"]);
    send(&mut server, carol, &room, "m5");
    assert_eq!(members(&client.sync(&mut server), &room), [""; 0], "carol is known");
    // A client that asks for redundant members gets them.
    let mut eager = lazy(alice, r#","include_redundant_members":true"#);
    eager.sync(&mut server);
    for _ in 0..2 {
        send(&mut server, carol, &room, "m6");
        assert_eq!(members(&eager.sync(&mut server), &room), ["member|@caroljoin"]);
    }
}

#[test]
fn an_answer_that_got_lost_is_not_taken_as_known() {
    let World { mut server, users, room } = world(&["alice", "bob"]);
    let [alice, bob] = users.as_slice() else { unreachable!() };
    let mut client = lazy(alice, "");
    client.sync(&mut server);
    for body in ["m1", "m2", "m3"] {
        send(&mut server, alice, &room, body);
    }
    client.sync(&mut server);
    let since = client.since.clone();
    send(&mut server, bob, &room, "m4");
    assert_eq!(members(&client.sync(&mut server), &room), ["member|@bobjoin"]);
    client.since = since;
    assert_eq!(members(&client.sync(&mut server), &room), ["member|@bobjoin"], "the client never saw the answer");
    send(&mut server, bob, &room, "m5");
    assert_eq!(members(&client.sync(&mut server), &room), [""; 0]);
    // A client that begins anew knows nobody.
    client.since = None;
    assert_eq!(members(&client.sync(&mut server), &room), ["member|@alicejoin", "member|@bobjoin"]);
}

#[test]
fn changes_of_members_in_a_gap_are_told_all() {
    let World { mut server, users, room } = world(&["alice", "bob", "carol", "dave"]);
    let [alice, bob, carol, dave] = users.as_slice() else { unreachable!() };
    let mut client = lazy(alice, "");
    client.sync(&mut server);
    leave(&mut server, bob, &room);
    let content = json!({ "membership": "join", "displayname": "Carol II" });
    set_state(&mut server, carol, &room, "m.room.member", &carol.user_id, content);
    for body in ["m1", "m2", "m3"] {
        send(&mut server, dave, &room, body);
    }
    let answer = client.sync(&mut server);
    assert_eq!(members(&answer, &room), ["member|@davejoin", "member|@bobleave", "member|@caroljoin"]);
    assert_eq!(at(&answer, &["rooms", "join", &room, "summary", "m.joined_member_count"]), &json!(3));
    send(&mut server, carol, &room, "m4");
    assert_eq!(members(&client.sync(&mut server), &room), [""; 0], "her membership came with the gap");
}

#[test]
fn heroes_of_a_room_without_a_name_are_loaded() {
    let mut server = Server::new();
    let users: Vec<User> = ["alice", "bob", "carol"].iter().map(|name| server.register(name)).collect();
    let [alice, bob, carol] = users.as_slice() else { unreachable!() };
    let room = create_room(&mut server, alice, json!({}));
    invite(&mut server, alice, &room, bob);
    invite(&mut server, alice, &room, carol);
    for body in ["m1", "m2", "m3"] {
        send(&mut server, alice, &room, body);
    }
    let answer = lazy(alice, "").sync(&mut server);
    let summary = at(&answer, &["rooms", "join", &room, "summary"]);
    let heroes = json!(["@bob:example.org", "@carol:example.org"]);
    let expected = json!({ "m.heroes": (heroes), "m.invited_member_count": 2, "m.joined_member_count": 1 });
    assert_eq!(summary, &expected);
    assert_eq!(members(&answer, &room), ["member|@alicejoin", "member|@bobinvite", "member|@carolinvite"]);
    // When all have left, those who have left.
    leave(&mut server, bob, &room);
    leave(&mut server, carol, &room);
    let answer = lazy(alice, "").sync(&mut server);
    assert_eq!(
        at(&answer, &["rooms", "join", &room, "summary", "m.heroes"]),
        &json!(["@bob:example.org", "@carol:example.org"])
    );
}

#[test]
fn joining_loads_oneself() {
    let World { mut server, users, room } = world(&["alice", "bob"]);
    let carol = server.register("carol");
    let [alice, bob] = users.as_slice() else { unreachable!() };
    let mut client = lazy(&carol, "");
    client.sync(&mut server);
    join(&mut server, &carol, &room);
    for user in [alice, alice] {
        send(&mut server, user, &room, "x");
    }
    assert_eq!(members(&client.sync(&mut server), &room), ["member|@alicejoin", "member|@caroljoin"]);
    send(&mut server, bob, &room, "y");
    assert_eq!(members(&client.sync(&mut server), &room), ["member|@bobjoin"]);
}

#[test]
fn state_after_loads_members_as_they_are_at_the_end() {
    let World { mut server, users, room } = world(&["alice", "bob"]);
    let [alice, bob] = users.as_slice() else { unreachable!() };
    let mut client = lazy(alice, "").with("&use_state_after=true");
    for body in ["m1", "m2"] {
        send(&mut server, alice, &room, body);
    }
    client.sync(&mut server);
    send(&mut server, bob, &room, "m3");
    let content = json!({ "membership": "join", "displayname": "Bob II" });
    set_state(&mut server, bob, &room, "m.room.member", &bob.user_id, content);
    let answer = client.sync(&mut server);
    let state = events(&answer, &room, "state_after");
    assert_eq!(briefs(state), ["member|@bobjoin"]);
    assert_eq!(at(&state[0], &["content", "displayname"]), &json!("Bob II"));
}

#[test]
fn a_room_that_loses_its_name_is_called_by_its_heroes() {
    let World { mut server, users, room } = world(&["alice", "bob"]);
    let [alice, _] = users.as_slice() else { unreachable!() };
    let mut client = lazy(alice, "");
    let answer = client.sync(&mut server);
    assert_eq!(at(&answer, &["rooms", "join", &room, "summary", "m.heroes"]), &Value::Null);
    set_state(&mut server, alice, &room, "m.room.name", "", json!({}));
    let answer = client.sync(&mut server);
    assert_eq!(at(&answer, &["rooms", "join", &room, "summary", "m.heroes"]), &json!(["@bob:example.org"]));
    assert!(members(&answer, &room).contains(&"member|@bobjoin".to_string()), "{answer}");
    // A name that is redacted is none.
    let name = set_state(&mut server, alice, &room, "m.room.name", "", json!({ "name": "lounge" }));
    client.sync(&mut server);
    let path = alloc::format!("/_matrix/client/v3/rooms/{}/redact/{}/1", encode(&room), encode(&name));
    server.ok(Method::Put, &path, alice, json!({}));
    let answer = client.sync(&mut server);
    assert_eq!(at(&answer, &["rooms", "join", &room, "summary", "m.heroes"]), &json!(["@bob:example.org"]));
}
