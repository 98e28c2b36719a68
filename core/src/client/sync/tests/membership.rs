use super::*;

/// Where a room is in an answer, and its timeline or the types of its stripped state.
fn found(answer: &Value, room: &str) -> Option<(&'static str, Vec<String>)> {
    let sections = [("join", "timeline"), ("invite", "invite_state"), ("knock", "knock_state"), ("leave", "timeline")];
    let mut found = sections.into_iter().filter_map(|(section, events)| {
        let room = at(answer, &["rooms", section]).get(room)?;
        Some((section, briefs(at(room, &[events, "events"]).as_array().expect("there are events"))))
    });
    let first = found.next();
    assert!(found.next().is_none(), "in two sections: {answer}");
    first
}

#[track_caller]
fn check(client: &mut Client, server: &mut Server, room: &str, section: &str, timeline: &[&str]) -> Value {
    let answer = client.sync(server);
    let (found, events) = found(&answer, room).unwrap_or_else(|| panic!("{room} is not in {answer}"));
    assert_eq!(
        (found, events.as_slice()),
        (section, timeline.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice())
    );
    answer
}

#[track_caller]
fn check_nothing(client: &mut Client, server: &mut Server) {
    let answer = client.sync(server);
    assert_eq!(answer.get("rooms"), None, "{answer}");
}

struct World {
    server: Server,
    alice: User,
    bob: User,
    /// Bob's.
    client: Client,
    /// Alice's, which anyone may join.
    room: String,
}

fn world() -> World {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = public_room(&mut server, &alice);
    let client = Client::synced(&mut server, &bob);
    World { server, alice, bob, client, room }
}

fn join_and_sync(world: &mut World) {
    join(&mut world.server, &world.bob, &world.room);
    world.client.sync(&mut world.server);
}

const STRIPPED: [&str; 4] = ["create|", "join_rules|", "member|@alicejoin", "member|@bobinvite"];

#[test]
fn an_invite_shows_the_room_stripped_and_once() {
    let World { mut server, alice, bob, mut client, .. } = world();
    let room = create_room(&mut server, &alice, json!({ "name": "Tea" }));
    invite(&mut server, &alice, &room, &bob);
    // What happens in the room after the invite is none of the invited's business.
    set_state(&mut server, &alice, &room, "m.room.name", "", json!({ "name": "Coffee" }));
    let expected = ["create|", "name|", "join_rules|", "member|@alicejoin", "member|@bobinvite"];
    let answer = check(&mut client, &mut server, &room, "invite", &expected);
    let stripped = at(&answer, &["rooms", "invite", &room, "invite_state", "events"]).as_array().unwrap();
    assert_eq!(at(&stripped[1], &["content", "name"]), &json!("Tea"));
    for event in stripped {
        let members: Vec<&str> = event.as_object().unwrap().iter().map(|member| member.0).collect();
        assert_eq!(members, ["content", "sender", "state_key", "type"]);
    }
    check_nothing(&mut client, &mut server);
    // A first sync tells it too.
    check(&mut Client::new(&bob), &mut server, &room, "invite", &expected);
}

#[test]
fn a_rejected_invite_leaves() {
    let World { mut server, alice, bob, mut client, .. } = world();
    let room = create_room(&mut server, &alice, json!({}));
    invite(&mut server, &alice, &room, &bob);
    check(&mut client, &mut server, &room, "invite", &STRIPPED);
    leave(&mut server, &bob, &room);
    let answer = check(&mut client, &mut server, &room, "leave", &["member|@bobleave"]);
    assert_eq!(at(&answer, &["rooms", "leave", &room, "state"]), &json!({ "events": [] }), "they never were inside");
    check_nothing(&mut client, &mut server);
    invite(&mut server, &alice, &room, &bob);
    check(&mut client, &mut server, &room, "invite", &STRIPPED);
    act(&mut server, &alice, &room, "kick", json!({ "user_id": (&bob.user_id) }));
    check(&mut client, &mut server, &room, "leave", &["member|@bobleave"]);
    check_nothing(&mut client, &mut server);
}

/// A client that asks for `state_after` takes no state from the timeline.
#[test]
fn what_ends_an_invite_is_in_the_state_after_too() {
    let World { mut server, alice, bob, client, .. } = world();
    let mut client = client.with("&use_state_after=true");
    let room = create_room(&mut server, &alice, json!({}));
    invite(&mut server, &alice, &room, &bob);
    check(&mut client, &mut server, &room, "invite", &STRIPPED);
    leave(&mut server, &bob, &room);
    let answer = check(&mut client, &mut server, &room, "leave", &["member|@bobleave"]);
    let state = at(&answer, &["rooms", "leave", &room, "state_after", "events"]).as_array().unwrap();
    assert_eq!(briefs(state), ["member|@bobleave"]);
}

#[test]
fn a_knock_shows_the_room_stripped() {
    let World { mut server, alice, bob, mut client, .. } = world();
    let rules = json!([{ "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } }]);
    let room = create_room(&mut server, &alice, json!({ "initial_state": (rules) }));
    let target = alloc::format!("/_matrix/client/v3/knock/{}", encode(&room));
    server.ok(Method::Post, &target, &bob, json!({ "reason": "please" }));
    check(&mut client, &mut server, &room, "knock", &["create|", "join_rules|", "member|@bobknock"]);
    check_nothing(&mut client, &mut server);
    invite(&mut server, &alice, &room, &bob);
    check(&mut client, &mut server, &room, "invite", &STRIPPED);
    leave(&mut server, &bob, &room);
    check(&mut client, &mut server, &room, "leave", &["member|@bobleave"]);
}

#[test]
fn leaving_is_told_once_with_what_came_before_it() {
    let mut world = world();
    join_and_sync(&mut world);
    let World { mut server, alice, bob, mut client, room } = world;
    send(&mut server, &alice, &room, "seen");
    leave(&mut server, &bob, &room);
    send(&mut server, &alice, &room, "unseen");
    check(&mut client, &mut server, &room, "leave", &["seen", "member|@bobleave"]);
    send(&mut server, &alice, &room, "unseen too");
    check_nothing(&mut client, &mut server);
}

#[test]
fn kicks_bans_and_unbans_are_told_once_each() {
    let mut world = world();
    join_and_sync(&mut world);
    let World { mut server, alice, bob, mut client, room } = world;
    let target = json!({ "user_id": (&bob.user_id) });
    act(&mut server, &alice, &room, "kick", target.clone());
    check(&mut client, &mut server, &room, "leave", &["member|@bobleave"]);
    act(&mut server, &alice, &room, "ban", target.clone());
    check(&mut client, &mut server, &room, "leave", &["member|@bobban"]);
    send(&mut server, &alice, &room, "unseen");
    check_nothing(&mut client, &mut server);
    act(&mut server, &alice, &room, "unban", target.clone());
    check(&mut client, &mut server, &room, "leave", &["member|@bobleave"]);
    join(&mut server, &bob, &room);
    client.sync(&mut server);
    send(&mut server, &alice, &room, "last words");
    act(&mut server, &alice, &room, "ban", target);
    check(&mut client, &mut server, &room, "leave", &["last words", "member|@bobban"]);
    check_nothing(&mut client, &mut server);
}

#[test]
fn joined_and_left_between_two_syncs() {
    let World { mut server, alice, bob, mut client, room } = world();
    join(&mut server, &bob, &room);
    send(&mut server, &alice, &room, "while inside");
    leave(&mut server, &bob, &room);
    let answer = client.sync(&mut server);
    let (section, timeline) = found(&answer, &room).unwrap();
    assert_eq!(section, "leave");
    assert_eq!(timeline[timeline.len() - 3..], ["member|@bobjoin", "while inside", "member|@bobleave"]);
    check_nothing(&mut client, &mut server);
}

#[test]
fn left_and_joined_again_between_two_syncs() {
    let mut world = world();
    join_and_sync(&mut world);
    let World { mut server, alice, bob, mut client, room } = world;
    set_state(&mut server, &alice, &room, "m.room.history_visibility", "", json!({ "history_visibility": "joined" }));
    leave(&mut server, &bob, &room);
    send(&mut server, &alice, &room, "unseen");
    set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "changed meanwhile" }));
    join(&mut server, &bob, &room);
    let answer =
        check(&mut client, &mut server, &room, "join", &["history_visibility|", "member|@bobleave", "member|@bobjoin"]);
    assert_eq!(briefs(events(&answer, &room, "state")), ["topic|"], "what the timeline may not show");
    check_nothing(&mut client, &mut server);
}

#[test]
fn joining_again_tells_the_room_anew() {
    let mut world = world();
    join_and_sync(&mut world);
    let World { mut server, alice, bob, mut client, room } = world;
    leave(&mut server, &bob, &room);
    client.sync(&mut server);
    for i in 0..20 {
        send(&mut server, &alice, &room, &alloc::format!("m{i}"));
    }
    join(&mut server, &bob, &room);
    let answer = client.sync(&mut server);
    let timeline = timeline(&answer, &room);
    assert_eq!((timeline.len(), timeline[0].as_str(), timeline[9].as_str()), (10, "m11", "member|@bobjoin"));
    assert_eq!(at(&answer, &["rooms", "join", &room, "timeline", "limited"]), &json!(true));
    assert!(briefs(events(&answer, &room, "state")).contains(&"create|".to_string()));
    assert!(at(&answer, &["rooms", "join", &room, "summary", "m.heroes"]).as_array().is_some());
}

#[test]
fn a_join_lost_in_a_gap_is_in_the_state() {
    let mut world = world();
    join_and_sync(&mut world);
    let World { mut server, alice, mut client, room, .. } = world;
    let carol = server.register("carol");
    join(&mut server, &carol, &room);
    for i in 0..30 {
        send(&mut server, &alice, &room, &alloc::format!("m{i}"));
    }
    let answer = client.sync(&mut server);
    assert_eq!(timeline(&answer, &room).len(), 10);
    assert_eq!(briefs(events(&answer, &room, "state")), ["member|@caroljoin"]);
    assert_eq!(at(&answer, &["rooms", "join", &room, "summary", "m.joined_member_count"]), &json!(3));
}

#[test]
fn rooms_left_before_are_there_for_those_who_ask() {
    let mut world = world();
    join_and_sync(&mut world);
    let World { mut server, alice, bob, room, .. } = world;
    let forgotten = public_room(&mut server, &alice);
    join(&mut server, &bob, &forgotten);
    set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "then" }));
    leave(&mut server, &bob, &room);
    leave(&mut server, &bob, &forgotten);
    act(&mut server, &bob, &forgotten, "forget", json!({}));
    set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "later" }));
    check_nothing(&mut Client::new(&bob), &mut server);
    let filter = json!({ "room": { "include_leave": true, "timeline": { "limit": 1 } } });
    let mut client = Client::new(&bob).with_filter(&filter);
    let answer = check(&mut client, &mut server, &room, "leave", &["member|@bobleave"]);
    assert_eq!(found(&answer, &forgotten), None);
    let state = at(&answer, &["rooms", "leave", &room, "state", "events"]).as_array().unwrap();
    let topic = state.iter().find(|event| brief(event) == "topic|").unwrap();
    assert_eq!(at(topic, &["content", "topic"]), &json!("then"));
    check_nothing(&mut client, &mut server);
}

#[test]
fn other_devices_learn_of_a_room_that_was_left_and_forgotten() {
    let mut world = world();
    join_and_sync(&mut world);
    let World { mut server, bob, mut client, room, .. } = world;
    leave(&mut server, &bob, &room);
    act(&mut server, &bob, &room, "forget", json!({}));
    check(&mut client, &mut server, &room, "leave", &["member|@bobleave"]);
}

#[test]
fn ignored_users_neither_speak_nor_invite() {
    let mut world = world();
    join_and_sync(&mut world);
    let World { mut server, alice, bob, mut client, room } = world;
    let target = alloc::format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", encode(&bob.user_id));
    let ignore = |users: Value| json!({ "ignored_users": (users) });
    server.ok(Method::Put, &target, &bob, ignore(json!({ "@alice:example.org": {}, "not a user": {} })));
    let answer = client.sync(&mut server);
    assert_eq!(at(&answer, &["account_data", "events"]).as_array().unwrap().len(), 1);
    send(&mut server, &alice, &room, "unheard");
    set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "state is not ignored" }));
    let private = create_room(&mut server, &alice, json!({}));
    invite(&mut server, &alice, &private, &bob);
    let answer = check(&mut client, &mut server, &room, "join", &["topic|"]);
    assert_eq!(found(&answer, &private), None);
    let typing = alloc::format!("/_matrix/client/v3/rooms/{}/typing/{}", encode(&room), encode(&alice.user_id));
    server.ok(Method::Put, &typing, &alice, json!({ "typing": true }));
    let answer = client.sync(&mut server);
    let typing = events(&answer, &room, "ephemeral").iter().map(|event| at(event, &["content", "user_ids"]));
    assert!(typing.into_iter().all(|users| users == &json!([])), "{answer}");
    server.ok(Method::Put, &target, &bob, ignore(json!({})));
    send(&mut server, &alice, &room, "heard");
    check(&mut client, &mut server, &room, "join", &["heard"]);
}

#[test]
fn state_that_changed_while_the_user_was_away_is_not_undone_by_the_timeline() {
    let mut world = world();
    let joined = json!({ "history_visibility": "joined" });
    set_state(&mut world.server, &world.alice, &world.room, "m.room.history_visibility", "", joined);
    join_and_sync(&mut world);
    let World { mut server, alice, bob, mut client, room } = world;
    let topic = |server: &mut Server, topic: &str| {
        set_state(server, &alice, &room, "m.room.topic", "", json!({ "topic": (topic) }))
    };
    topic(&mut server, "seen");
    leave(&mut server, &bob, &room);
    client.sync(&mut server);
    let unseen = topic(&mut server, "unseen");
    join(&mut server, &bob, &room);

    // The first topic is bob's to see, and it is in the past: the timeline begins after it.
    for mut client in [client, Client::new(&bob)] {
        let answer = check(&mut client, &mut server, &room, "join", &["member|@bobleave", "member|@bobjoin"]);
        assert_eq!(at(&answer, &["rooms", "join", &room, "timeline", "limited"]), &json!(true));
        let topics: Vec<&str> = events(&answer, &room, "state")
            .iter()
            .filter(|event| brief(event) == "topic|")
            .map(|event| text(event, "event_id"))
            .collect();
        assert_eq!(topics, [unseen.as_str()]);
    }
}
