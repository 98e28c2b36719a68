use super::*;

struct World {
    server: Server,
    alice: User,
    bob: User,
    room: String,
}

fn world() -> World {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = public_room(&mut server, &alice);
    join(&mut server, &bob, &room);
    World { server, alice, bob, room }
}

fn type_in(server: &mut Server, user: &User, room: &str, typing: bool) {
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/typing/{}", encode(room), encode(&user.user_id));
    server.ok(Method::Put, &target, user, json!({ "typing": typing, "timeout": 10_000 }));
}

fn typing(answer: &Value, room: &str) -> Option<Vec<String>> {
    let event = events(answer, room, "ephemeral").iter().find(|event| text(event, "type") == "m.typing")?;
    let users = at(event, &["content", "user_ids"]).as_array().unwrap();
    Some(users.iter().map(|user| user.as_str().unwrap().to_string()).collect())
}

#[test]
fn typing_comes_and_goes() {
    let World { mut server, alice, bob, room } = world();
    let mut client = Client::synced(&mut server, &bob);
    client.sync(&mut server);
    let id = client.poll(&mut server, 30_000);
    type_in(&mut server, &alice, &room, true);
    let answer = client.polled(&mut server, id).expect("somebody types");
    assert_eq!(typing(&answer, &room), Some(alloc::vec!["@alice:example.org".to_string()]));
    assert!(timeline(&answer, &room).is_empty());
    assert!(is_quiet(&client.sync(&mut server)));
    // A client that comes anew is told, one with nobody typing is not.
    assert!(typing(&Client::new(&bob).sync(&mut server), &room).is_some());
    let id = client.poll(&mut server, 30_000);
    server.advance(10_000);
    let answer = client.polled(&mut server, id).expect("typing ended by itself");
    assert_eq!(typing(&answer, &room), Some(Vec::new()));
    assert_eq!(typing(&Client::new(&bob).sync(&mut server), &room), None);

    type_in(&mut server, &alice, &room, true);
    client.sync(&mut server);
    let id = client.poll(&mut server, 30_000);
    send(&mut server, &alice, &room, "typed");
    type_in(&mut server, &alice, &room, false);
    assert_eq!(timeline(&client.polled(&mut server, id).unwrap(), &room), ["typed"]);
    assert_eq!(typing(&client.sync(&mut server), &room), Some(Vec::new()));
    // Who leaves types no longer.
    type_in(&mut server, &alice, &room, true);
    client.sync(&mut server);
    leave(&mut server, &alice, &room);
    assert_eq!(typing(&client.sync(&mut server), &room), Some(Vec::new()));
}

#[test]
fn who_comes_back_hears_that_typing_has_ended() {
    let World { mut server, alice, bob, room } = world();
    let mut client = Client::synced(&mut server, &bob);
    type_in(&mut server, &alice, &room, true);
    client.sync(&mut server);
    leave(&mut server, &bob, &room);
    type_in(&mut server, &alice, &room, false);
    client.sync(&mut server);
    join(&mut server, &bob, &room);
    assert_eq!(typing(&client.sync(&mut server), &room), Some(Vec::new()));
}

#[test]
fn typing_of_another_life_of_the_server_is_told_anew() {
    let World { mut server, alice, bob, room } = world();
    let mut client = Client::synced(&mut server, &bob);
    for _ in 0..5 {
        type_in(&mut server, &alice, &room, true);
        type_in(&mut server, &alice, &room, false);
    }
    client.sync(&mut server);
    let mut server = server.crash();
    type_in(&mut server, &alice, &room, true);
    assert_eq!(typing(&client.sync(&mut server), &room), Some(alloc::vec!["@alice:example.org".to_string()]));
    assert_eq!(typing(&client.sync(&mut server), &room), None);
}

fn post_receipt(server: &mut Server, user: &User, room: &str, (kind, event): (&str, &str), body: Value) {
    act(server, user, room, &alloc::format!("receipt/{kind}/{}", encode(event)), body);
}

/// The contents of the room's `m.receipt`s, with event IDs replaced by their names.
fn receipts(answer: &Value, room: &str, names: &[(&str, &str)]) -> Vec<String> {
    let receipts = events(answer, room, "ephemeral").iter().filter(|event| text(event, "type") == "m.receipt");
    let shorten = |event: &Value| {
        let content = event.get("content").unwrap().to_string();
        names.iter().fold(content, |content, (id, name)| content.replace(id, name)).replace(":example.org", "")
    };
    receipts.map(shorten).collect()
}

#[test]
fn receipts_go_to_all_and_private_ones_to_nobody_else() {
    let World { mut server, alice, bob, room } = world();
    let event = send(&mut server, &bob, &room, "a");
    let names = [(event.as_str(), "a")];
    let other = server.login("alice");
    let mut clients = [&alice, &other, &bob].map(|user| Client::synced(&mut server, user));
    clients.iter_mut().for_each(|client| drop(client.sync(&mut server)));
    let ids = [0, 1, 2].map(|i| clients[i].poll(&mut server, 30_000));
    server.now.0 += 5;
    post_receipt(&mut server, &alice, &room, ("m.read.private", &event), json!({}));
    let ts = server.now.0;
    let expected = alloc::format!(r#"{{"a":{{"m.read.private":{{"@alice":{{"ts":{ts}}}}}}}}}"#);
    for i in [0, 1] {
        assert_eq!(receipts(&clients[i].polled(&mut server, ids[i]).unwrap(), &room, &names).concat(), expected);
    }
    assert!(clients[2].polled(&mut server, ids[2]).is_none());
    post_receipt(&mut server, &alice, &room, ("m.read", &event), json!({}));
    let expected = alloc::format!(r#"{{"a":{{"m.read":{{"@alice":{{"ts":{ts}}}}}}}}}"#);
    assert_eq!(receipts(&clients[2].polled(&mut server, ids[2]).unwrap(), &room, &names).concat(), expected);
    assert_eq!(receipts(&Client::new(&bob).sync(&mut server), &room, &names), [expected]);
    let both = alloc::format!(
        r#"{{"a":{{"m.read":{{"@alice":{{"ts":{ts}}}}},"m.read.private":{{"@alice":{{"ts":{ts}}}}}}}}}"#
    );
    assert_eq!(receipts(&Client::new(&alice).sync(&mut server), &room, &names), [both]);
    assert!(is_quiet(&clients[2].sync(&mut server)));
}

#[test]
fn receipts_move_forward_only() {
    let World { mut server, alice, bob, room } = world();
    let [a, b] = ["a", "b"].map(|body| send(&mut server, &bob, &room, body));
    let names = [(a.as_str(), "a"), (b.as_str(), "b")];
    let mut client = Client::synced(&mut server, &bob);
    let ts = server.now.0;
    post_receipt(&mut server, &alice, &room, ("m.read", &b), json!({}));
    post_receipt(&mut server, &alice, &room, ("m.read", &a), json!({}));
    let expected = [alloc::format!(r#"{{"b":{{"m.read":{{"@alice":{{"ts":{ts}}}}}}}}}"#)];
    assert_eq!(receipts(&client.sync(&mut server), &room, &names), expected);
    assert_eq!(receipts(&Client::new(&bob).sync(&mut server), &room, &names), expected);
    let mut server = server.crash();
    assert_eq!(receipts(&Client::new(&bob).sync(&mut server), &room, &names), expected);
}

#[test]
fn receipts_of_threads_are_told_apart() {
    let World { mut server, alice, bob, room } = world();
    let root = send(&mut server, &bob, &room, "root");
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/send/m.room.message/thread", encode(&room));
    let relation = json!({ "rel_type": "m.thread", "event_id": (&root) });
    let reply = server.ok(Method::Put, &target, &bob, json!({ "body": "reply", "m.relates_to": (relation) }));
    let reply = text(&reply, "event_id").to_string();
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/send/m.reaction/r", encode(&room));
    let relation = json!({ "rel_type": "m.annotation", "event_id": (&reply), "key": "+1" });
    let reaction = server.ok(Method::Put, &target, &bob, json!({ "m.relates_to": (relation) }));
    let reaction = text(&reaction, "event_id").to_string();
    let names = [(root.as_str(), "root"), (reply.as_str(), "reply"), (reaction.as_str(), "reaction")];
    let mut client = Client::synced(&mut server, &bob);
    let ts = server.now.0;
    for (event, thread) in [(&root, json!("main")), (&reply, json!((&root))), (&reaction, json!((&root)))] {
        post_receipt(&mut server, &alice, &room, ("m.read", event), json!({ "thread_id": (thread) }));
    }
    post_receipt(&mut server, &alice, &room, ("m.read", &root), json!({}));
    // The thread's root may be read in the thread too.
    post_receipt(&mut server, &alice, &room, ("m.read.private", &root), json!({ "thread_id": (&root) }));
    let mut found = receipts(&client.sync(&mut server), &room, &names);
    found.sort();
    let receipt =
        |event: &str, thread: &str| alloc::format!(r#"{{"{event}":{{"m.read":{{"@alice":{{{thread}"ts":{ts}}}}}}}}}"#);
    let expected =
        [receipt("reaction", r#""thread_id":"root","#), receipt("root", r#""thread_id":"main","#), receipt("root", "")];
    assert_eq!(found, expected);

    let cases = [
        ("m.read", &reply, json!("main")),
        ("m.read", &reaction, json!("main")),
        ("m.read", &reply, json!("$unknown")),
        ("m.read", &root, json!((&reply))),
        ("m.read", &root, json!("")),
        ("m.read", &root, json!(1)),
        ("m.read", &root, json!(null)),
        ("m.fully_read", &root, json!("main")),
        ("m.unread", &root, json!("main")),
    ];
    for (kind, event, thread) in cases {
        let target = alloc::format!("/_matrix/client/v3/rooms/{}/receipt/{kind}/{}", encode(&room), encode(event));
        server.fails(Method::Post, &target, &alice, json!({ "thread_id": (thread) }), 400, "M_INVALID_PARAM");
    }
}

#[test]
fn bad_receipts_are_refused() {
    let World { mut server, alice, bob, room } = world();
    let carol = server.register("carol");
    let event = send(&mut server, &bob, &room, "a");
    let elsewhere = public_room(&mut server, &alice);
    let foreign = send(&mut server, &alice, &elsewhere, "b");
    let target = |room: &str, kind: &str, event: &str| {
        alloc::format!("/_matrix/client/v3/rooms/{}/receipt/{kind}/{}", encode(room), encode(event))
    };
    let post = Method::Post;
    server.fails(post, &target(&room, "m.unread", &event), &alice, json!({}), 400, "M_INVALID_PARAM");
    server.fails(post, &target(&room, "m.read", "$unknown"), &alice, json!({}), 404, "M_NOT_FOUND");
    server.fails(post, &target(&room, "m.read", &foreign), &alice, json!({}), 404, "M_NOT_FOUND");
    server.fails(post, &target(&room, "m.read", &event), &carol, json!({}), 403, "M_FORBIDDEN");
    server.fails(post, &target("!unknown", "m.read", &event), &alice, json!({}), 403, "M_FORBIDDEN");
    server.fails(post, &target(&room, "m.read", &event), &alice, "[", 400, "M_NOT_JSON");
    server.fails(post, &target(&room, "m.read", &event), &alice, "[]", 400, "M_BAD_JSON");
    server.ok(post, &target(&room, "m.read", &event), &alice, ());
    let markers = alloc::format!("/_matrix/client/v3/rooms/{}/read_markers", encode(&room));
    server.fails(post, &markers, &alice, json!({ "m.read": 1 }), 400, "M_BAD_JSON");
    server.fails(post, &markers, &alice, json!({ "m.fully_read": "$unknown" }), 404, "M_NOT_FOUND");
    server.fails(post, &markers, &alice, "", 400, "M_NOT_JSON");
    server.fails(post, &markers, &carol, json!({ "m.read": (&event) }), 403, "M_FORBIDDEN");
}

#[test]
fn read_markers_are_account_data_of_the_room() {
    let World { mut server, alice, bob, room } = world();
    let [a, b] = ["a", "b"].map(|body| send(&mut server, &bob, &room, body));
    let names = [(a.as_str(), "a"), (b.as_str(), "b")];
    let mut client = Client::synced(&mut server, &alice);
    let fully_read = |answer: &Value| {
        let events = events(answer, &room, "account_data");
        events
            .iter()
            .find(|event| text(event, "type") == "m.fully_read")
            .map(|event| at(event, &["content", "event_id"]).clone())
    };
    act(
        &mut server,
        &alice,
        &room,
        "read_markers",
        json!({ "m.fully_read": (&a), "m.read": (&b), "m.read.private": (&a) }),
    );
    let answer = client.sync(&mut server);
    assert_eq!(fully_read(&answer), Some(json!((&a))));
    let ts = server.now.0;
    let expected = alloc::format!(
        r#"{{"a":{{"m.read.private":{{"@alice":{{"ts":{ts}}}}}}},"b":{{"m.read":{{"@alice":{{"ts":{ts}}}}}}}}}"#
    );
    assert_eq!(receipts(&answer, &room, &names).concat().len(), expected.len());
    post_receipt(&mut server, &alice, &room, ("m.fully_read", &b), json!({}));
    assert_eq!(fully_read(&client.sync(&mut server)), Some(json!((&b))));
    act(&mut server, &alice, &room, "read_markers", json!({ "m.fully_read": (&a) }));
    assert!(is_quiet(&client.sync(&mut server)), "it does not move back");
    assert_eq!(fully_read(&Client::new(&alice).sync(&mut server)), Some(json!((&b))));
    act(&mut server, &alice, &room, "read_markers", json!({}));
    assert_eq!(fully_read(&Client::new(&bob).sync(&mut server)), None, "nobody else's business");
}

fn presence(answer: &Value) -> Vec<(String, String)> {
    let events = at(answer, &["presence", "events"]).as_array().unwrap_or_default();
    let brief = |event: &Value| {
        assert_eq!(text(event, "type"), "m.presence");
        (text(event, "sender").to_string(), text(event.get("content").unwrap(), "presence").to_string())
    };
    events.iter().map(brief).collect()
}

#[test]
fn presence_is_told_to_those_who_share_a_room() {
    let World { mut server, alice, bob, .. } = world();
    let carol = server.register("carol");
    let mut client = Client::synced(&mut server, &bob);
    let mut stranger = Client::synced(&mut server, &carol);
    let ids = [client.poll(&mut server, 30_000), stranger.poll(&mut server, 30_000)];
    let mut alices = Client::synced(&mut server, &alice);
    let online = ["@alice:example.org", "online"].map(ToString::to_string);
    assert_eq!(presence(&client.polled(&mut server, ids[0]).expect("alice is there")), [online.into()]);
    assert!(stranger.polled(&mut server, ids[1]).is_none());
    // A first sync tells who is there, though not of oneself.
    let answer = alices.sync(&mut server);
    assert_eq!(presence(&answer), []);
    let answer = Client::new(&alice).sync(&mut server);
    assert_eq!(presence(&answer), [("@bob:example.org".to_string(), "online".to_string())]);
    let target = alloc::format!("/_matrix/client/v3/presence/{}/status", encode(&alice.user_id));
    server.ok(Method::Put, &target, &alice, json!({ "presence": "unavailable", "status_msg": "tea" }));
    let answer = client.sync(&mut server);
    assert_eq!(presence(&answer), [("@alice:example.org".to_string(), "unavailable".to_string())]);
    let content = &at(&answer, &["presence", "events"]).as_array().unwrap()[0];
    assert_eq!(at(content, &["content", "status_msg"]), &json!("tea"));
    let mut filtered = Client::new(&bob).with_filter(&json!({ "presence": { "not_senders": ["@alice:example.org"] } }));
    assert_eq!(presence(&filtered.sync(&mut server)), []);
    let mut filtered = Client::new(&bob).with_filter(&json!({ "presence": { "types": [] } }));
    assert_eq!(presence(&filtered.sync(&mut server)), []);
}

#[test]
fn who_syncs_as_offline_is_not_seen() {
    let World { mut server, alice, bob, .. } = world();
    let mut client = Client::synced(&mut server, &bob);
    client.sync(&mut server);
    Client::new(&alice).with("&set_presence=offline").sync(&mut server);
    let answer = client.sync(&mut server);
    assert!(presence(&answer).iter().all(|(_, state)| state == "offline"), "{answer}");
    Client::new(&alice).with("&set_presence=unavailable").sync(&mut server);
    assert_eq!(presence(&client.sync(&mut server)), [("@alice:example.org".to_string(), "unavailable".to_string())]);
}

#[test]
fn a_server_without_presence_tells_none() {
    let mut server = Server::with(|config| config.presence = false);
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = public_room(&mut server, &alice);
    join(&mut server, &bob, &room);
    let mut client = Client::synced(&mut server, &bob);
    Client::synced(&mut server, &alice);
    assert_eq!(presence(&client.sync(&mut server)), []);
}

#[test]
fn account_data_is_told_to_every_device_of_its_user() {
    let World { mut server, alice, bob, room } = world();
    let other = server.login("alice");
    let mut here = Client::synced(&mut server, &alice);
    let mut there = Client::synced(&mut server, &other);
    let mut bobs = Client::synced(&mut server, &bob);
    [&mut here, &mut there, &mut bobs].into_iter().for_each(|client| drop(client.sync(&mut server)));
    let own = alloc::format!("/_matrix/client/v3/user/{}", encode(&alice.user_id));
    server.ok(Method::Put, &alloc::format!("{own}/account_data/a.b"), &alice, json!({ "global": 1 }));
    let in_room = alloc::format!("{own}/rooms/{}/account_data/a.c", encode(&room));
    server.ok(Method::Put, &in_room, &alice, json!({ "in": "room" }));
    let tag = alloc::format!("{own}/rooms/{}/tags/u.work", encode(&room));
    server.ok(Method::Put, &tag, &alice, json!({ "order": 1 }));
    for client in [&mut here, &mut there] {
        let answer = client.sync(&mut server);
        assert_eq!(at(&answer, &["account_data", "events"]), &json!([{ "content": { "global": 1 }, "type": "a.b" }]));
        let expected = json!([
            { "content": { "in": "room" }, "type": "a.c" },
            { "content": { "tags": { "u.work": { "order": 1 } } }, "type": "m.tag" }
        ]);
        assert_eq!(&json!((events(&answer, &room, "account_data").to_vec())), &expected);
    }
    assert!(is_quiet(&bobs.sync(&mut server)));
    let filter = json!({ "account_data": { "types": ["a.*"] }, "room": { "account_data": { "not_types": ["a.c"] } } });
    let answer = Client::new(&alice).with_filter(&filter).sync(&mut server);
    assert_eq!(at(&answer, &["account_data", "events"]).as_array().unwrap().len(), 1);
    assert_eq!(
        events(&answer, &room, "account_data").iter().map(|event| text(event, "type")).collect::<Vec<_>>(),
        ["m.tag"]
    );
}

#[test]
fn typing_before_a_restart_is_taken_back() {
    let World { mut server, alice, bob, room } = world();
    let mut client = Client::synced(&mut server, &bob);
    type_in(&mut server, &alice, &room, true);
    assert!(typing(&client.sync(&mut server), &room).is_some());
    let mut server = server.crash();
    assert_eq!(typing(&client.sync(&mut server), &room), Some(Vec::new()));
    assert_eq!(typing(&client.sync(&mut server), &room), None, "and only once");
}
