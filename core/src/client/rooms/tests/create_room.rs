use super::*;

#[test]
fn every_version_makes_a_room_that_works() {
    for version in 1..=12 {
        let mut server = Server::new();
        let (alice, bob) = (server.register("alice"), server.register("bob"));
        let room = create(
            &mut server,
            &alice,
            json!({ "room_version": (version.to_string()), "name": "Tea", "topic": "Leaves", "preset": "public_chat" }),
        );
        let content = state(&mut server, &alice, &room, "m.room.create", "");
        assert_eq!(content.get("room_version"), Some(&json!((version.to_string()))), "version {version}");
        assert_eq!(content.get("creator").is_some(), version <= 10, "version {version}");
        assert_eq!(room.contains(':'), version <= 11, "version {version}: {room}");
        act(&mut server, &bob, &room, "join", json!({}));
        say(&mut server, &bob, &room, "1", "hello");
        refused(&mut server, &bob, &room, "ban", json!({ "user_id": "@alice:example.org" }), 403, "M_FORBIDDEN");
        act(&mut server, &alice, &room, "ban", json!({ "user_id": "@bob:example.org" }));
        refused(&mut server, &bob, &room, "join", json!({}), 403, "M_FORBIDDEN");
    }
}

#[test]
fn presets_set_their_state() {
    for (preset, join_rule, guest_access) in [
        ("private_chat", "invite", "can_join"),
        ("trusted_private_chat", "invite", "can_join"),
        ("public_chat", "public", "forbidden"),
    ] {
        let mut server = Server::new();
        let alice = server.register("alice");
        let room = create(&mut server, &alice, json!({ "preset": preset }));
        let get =
            |server: &mut Server, kind: &str, name: &str| state(server, &alice, &room, kind, "").get(name).cloned();
        assert_eq!(get(&mut server, "m.room.join_rules", "join_rule"), Some(json!(join_rule)), "{preset}");
        assert_eq!(get(&mut server, "m.room.guest_access", "guest_access"), Some(json!(guest_access)), "{preset}");
        assert_eq!(
            get(&mut server, "m.room.history_visibility", "history_visibility"),
            Some(json!("shared")),
            "{preset}"
        );
    }
}

#[test]
fn trusted_invitees_are_the_creators_equals() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let wanted = |version: &str| {
        json!({
            "room_version": version, "preset": "trusted_private_chat", "invite": ["@bob:example.org"], "is_direct": true,
            "creation_content": { "additional_creators": ["@bob:example.org", "@carol:example.org"] }
        })
    };
    let room = create(&mut server, &alice, wanted("11"));
    let levels = state(&mut server, &alice, &room, "m.room.power_levels", "");
    let users = levels.get("users").expect("users");
    assert_eq!(users, &json!({ "@alice:example.org": 100, "@bob:example.org": 100 }));

    let room = create(&mut server, &alice, wanted("12"));
    let levels = state(&mut server, &alice, &room, "m.room.power_levels", "");
    assert_eq!(levels.get("users"), Some(&json!({})));
    assert_eq!(levels.get("events").and_then(|events| events.get("m.room.tombstone")), Some(&json!(150)));
    let creators = state(&mut server, &alice, &room, "m.room.create", "").get("additional_creators").cloned();
    assert_eq!(creators, Some(json!(["@bob:example.org", "@carol:example.org"])));
    let member = state(&mut server, &alice, &room, "m.room.member", bob.user_id.as_str());
    assert_eq!(member.get("is_direct"), Some(&json!(true)));
}

#[test]
fn overrides_come_after_the_preset() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = create(
        &mut server,
        &alice,
        json!({
            "preset": "private_chat", "name": "The name",
            "initial_state": [
                { "type": "m.room.join_rules", "content": { "join_rule": "knock" } },
                { "type": "m.room.name", "state_key": "", "content": { "name": "Not this" } },
                { "type": "com.example", "state_key": "k", "content": { "x": 1 } }
            ],
            "power_level_content_override": { "events_default": 10 }
        }),
    );
    assert_eq!(state(&mut server, &alice, &room, "m.room.join_rules", ""), json!({ "join_rule": "knock" }));
    assert_eq!(state(&mut server, &alice, &room, "m.room.name", ""), json!({ "name": "The name" }));
    assert_eq!(state(&mut server, &alice, &room, "com.example", "k"), json!({ "x": 1 }));
    let levels = state(&mut server, &alice, &room, "m.room.power_levels", "");
    assert_eq!(levels.get("events_default"), Some(&json!(10)));
}

#[test]
fn a_room_that_cannot_be_leaves_nothing_behind() {
    let mut server = Server::new();
    let alice = server.register("alice");
    create(&mut server, &alice, json!({ "room_alias_name": "taken" }));
    for (body, errcode) in [
        (json!({ "room_alias_name": "taken" }), "M_ROOM_IN_USE"),
        (json!({ "room_version": "13" }), "M_UNSUPPORTED_ROOM_VERSION"),
        (json!({ "room_version": 11 }), "M_BAD_JSON"),
        (json!({ "preset": "secret_chat" }), "M_BAD_JSON"),
        (json!({ "invite": ["bob"] }), "M_INVALID_PARAM"),
        (json!({ "invite": "@bob:example.org" }), "M_BAD_JSON"),
        (json!({ "initial_state": [{ "type": "m.room.name" }] }), "M_MISSING_PARAM"),
        (json!({ "initial_state": [{ "type": "m.room.create", "content": {} }] }), "M_INVALID_PARAM"),
        (json!({ "name": 7 }), "M_BAD_JSON"),
        (json!({ "room_alias_name": "a b" }), "M_INVALID_PARAM"),
        (
            json!({ "room_version": "11", "power_level_content_override": { "users": {} }, "name": "x" }),
            "M_INVALID_ROOM_STATE",
        ),
        (json!({ "room_version": "11", "power_level_content_override": { "ban": "high" } }), "M_INVALID_ROOM_STATE"),
    ] {
        server.fails(Method::Post, "/_matrix/client/v3/createRoom", &alice, body, 400, errcode);
    }
    let rooms = server.ok(Method::Get, "/_matrix/client/v3/joined_rooms", &alice, ());
    assert_eq!(rooms.get("joined_rooms").and_then(Value::as_array).map(<[Value]>::len), Some(1));
}
