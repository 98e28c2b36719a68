use alloc::vec::Vec;

use super::*;

#[track_caller]
fn upgrade(server: &mut Server, user: &User, room: &str, body: Value) -> String {
    let answer = act(server, user, room, "upgrade", body);
    answer.get("replacement_room").and_then(Value::as_str).expect("upgrade answers a room").to_string()
}

fn member(server: &mut Server, user: &User, room: &str, kind: &str, name: &str) -> Option<Value> {
    state(server, user, room, kind, "").get(name).cloned()
}

#[test]
fn every_version_is_upgraded_to_every_other() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    for (old, new) in [(1, 2), (1, 12), (2, 10), (6, 5), (9, 10), (10, 11), (11, 12), (12, 12), (12, 11), (12, 1)] {
        let room = create(
            &mut server,
            &alice,
            json!({ "room_version": (old.to_string()), "name": "Tea", "topic": "Leaves", "preset": "public_chat",
                "creation_content": { "type": "m.space", "m.federate": false },
                "initial_state": [
                    { "type": "m.room.avatar", "content": { "url": "mxc://a/b" } },
                    { "type": "org.example.own", "content": { "a": 1 } },
                ] }),
        );
        act(&mut server, &bob, &room, "join", json!({}));
        let last = say(&mut server, &bob, &room, "1", "the last word");
        let next = upgrade(&mut server, &alice, &room, json!({ "new_version": (new.to_string()) }));
        let context = format!("from {old} to {new}");
        assert_ne!(room, next, "{context}");

        let create = state(&mut server, &alice, &next, "m.room.create", "");
        let mut predecessor = json!({ "room_id": (room.as_str()) });
        if new < 12 {
            predecessor.as_object_mut().unwrap().insert("event_id", last);
        }
        assert_eq!(create.get("predecessor"), Some(&predecessor), "{context}");
        assert_eq!(create.get("room_version"), Some(&json!((new.to_string()))), "{context}");
        assert_eq!(create.get("type"), Some(&json!("m.space")), "{context}");
        assert_eq!(create.get("m.federate"), Some(&json!(false)), "{context}");
        for (kind, name, value) in [
            ("m.room.name", "name", "Tea"),
            ("m.room.topic", "topic", "Leaves"),
            ("m.room.avatar", "url", "mxc://a/b"),
            ("m.room.join_rules", "join_rule", "public"),
            ("m.room.history_visibility", "history_visibility", "shared"),
            ("m.room.guest_access", "guest_access", "forbidden"),
        ] {
            assert_eq!(member(&mut server, &alice, &next, kind, name), Some(json!(value)), "{context}");
        }
        let own = room_path(&next, "state/org.example.own/");
        server.fails(Method::Get, &own, &alice, (), 404, "M_NOT_FOUND");
        let users = member(&mut server, &alice, &next, "m.room.power_levels", "users").unwrap();
        // Where creators are above all levels, a tombstone takes more than 100.
        let level = (new < 12).then(|| json!((if old < 12 { 100 } else { 150 })));
        assert_eq!(users.get("@alice:example.org"), level.as_ref(), "{context}");
        // The new room works, for whoever made it and for others.
        act(&mut server, &bob, &next, "join", json!({}));
        say(&mut server, &bob, &next, "2", "hello");
        set_state(&mut server, &alice, &next, "m.room.power_levels", "", json!({ "users_default": 10 }));

        assert_eq!(
            member(&mut server, &alice, &room, "m.room.tombstone", "replacement_room"),
            Some(json!(next)),
            "{context}"
        );
        refused_to_say(&mut server, &bob, &room);
        let invite = json!({ "user_id": "@carol:example.org" });
        refused(&mut server, &bob, &room, "invite", invite, 403, "M_FORBIDDEN");
    }
}

fn refused_to_say(server: &mut Server, user: &User, room: &str) {
    let path = room_path(room, "send/m.room.message/x");
    server.fails(Method::Put, &path, user, json!({ "msgtype": "m.text", "body": "anybody?" }), 403, "M_FORBIDDEN");
}

#[test]
fn power_levels_are_those_of_the_new_version() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let override_levels = json!({ "users": { "@alice:example.org": 100, "@bob:example.org": "50", "@carol:example.org": 20 },
        "kick": "60", "ban": "many", "events": { "a.b": "7", "m.room.name": 30 } });
    let old = create(
        &mut server,
        &alice,
        json!({ "room_version": "9", "preset": "public_chat", "power_level_content_override": override_levels }),
    );
    let body = json!({ "new_version": "12", "additional_creators": ["@carol:example.org", "@alice:example.org"] });
    let next = upgrade(&mut server, &alice, &old, body);
    let levels = state(&mut server, &alice, &next, "m.room.power_levels", "");
    assert_eq!(levels.get("users"), Some(&json!({ "@bob:example.org": 50 })));
    assert_eq!(levels.get("events"), Some(&json!({ "a.b": 7, "m.room.name": 30 })));
    assert_eq!((levels.get("kick"), levels.get("ban")), (Some(&json!(60)), None));
    let creators = member(&mut server, &alice, &next, "m.room.create", "additional_creators");
    assert_eq!(creators, Some(json!(["@carol:example.org"])));
    // Creators are named anew each time, and where there are none they keep what they could do.
    let again = upgrade(&mut server, &alice, &next, json!({ "new_version": "12" }));
    assert_eq!(member(&mut server, &alice, &again, "m.room.create", "additional_creators"), None);
    let before = upgrade(
        &mut server,
        &alice,
        &next,
        json!({ "new_version": "11", "additional_creators": ["@dave:example.org"] }),
    );
    assert_eq!(member(&mut server, &alice, &before, "m.room.create", "additional_creators"), None);
    let users = json!({ "@alice:example.org": 100, "@bob:example.org": 50, "@carol:example.org": 100 });
    assert_eq!(member(&mut server, &alice, &before, "m.room.power_levels", "users"), Some(users));
}

#[test]
fn aliases_move_and_settings_come_along() {
    let mut server = Server::new();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = create(
        &mut server,
        &alice,
        json!({ "room_alias_name": "tea", "preset": "public_chat", "visibility": "public" }),
    );
    act(&mut server, &bob, &room, "join", json!({}));
    act(&mut server, &carol, &room, "join", json!({}));
    for user in [&alice, &bob] {
        let tag = format!("/_matrix/client/v3/user/{}/rooms/{}/tags/u.x", segment(&user.user_id), segment(&room));
        server.ok(Method::Put, &tag, user, json!({}));
        let rule = format!("/_matrix/client/v3/pushrules/global/room/{}", segment(&room));
        server.ok(Method::Put, &rule, user, json!({ "actions": [] }));
    }
    let next = upgrade(&mut server, &alice, &room, json!({ "new_version": "11" }));
    let alias = format!("/_matrix/client/v3/directory/room/{}", segment("#tea:example.org"));
    assert_eq!(server.ok(Method::Get, &alias, (), ()).get("room_id"), Some(&json!(next)));
    let listed = |server: &mut Server, room: &str| {
        let answer = server.ok(Method::Get, &room_path(room, "aliases"), &alice, ());
        answer.get("aliases").and_then(Value::as_array).unwrap().to_vec()
    };
    assert_eq!(listed(&mut server, &room), Vec::<Value>::new());
    assert_eq!(listed(&mut server, &next), [json!("#tea:example.org")]);
    let canonical = |server: &mut Server, room: &str| state(server, &alice, room, "m.room.canonical_alias", "");
    assert_eq!(canonical(&mut server, &room), json!({}));
    assert_eq!(canonical(&mut server, &next), json!({ "alias": "#tea:example.org" }));
    for (room, visibility) in [(&room, "private"), (&next, "public")] {
        let path = format!("/_matrix/client/v3/directory/list/room/{}", segment(room));
        assert_eq!(server.ok(Method::Get, &path, (), ()).get("visibility"), Some(&json!(visibility)));
    }
    let tags =
        |user: &User| format!("/_matrix/client/v3/user/{}/rooms/{}/tags", segment(&user.user_id), segment(&next));
    act(&mut server, &bob, &next, "join", json!({}));
    for user in [&alice, &bob] {
        assert_eq!(server.ok(Method::Get, &tags(user), user, ()), json!({ "tags": { "u.x": {} } }));
        let rule = format!("/_matrix/client/v3/pushrules/global/room/{}", segment(&next));
        assert_eq!(server.ok(Method::Get, &rule, user, ()).get("actions"), Some(&json!([])));
    }
    // What somebody has taken away here does not come back.
    server.ok(Method::Delete, &format!("{}/u.x", tags(&bob)), &bob, ());
    act(&mut server, &bob, &next, "leave", json!({}));
    act(&mut server, &bob, &next, "join", json!({}));
    assert_eq!(server.ok(Method::Get, &tags(&bob), &bob, ()), json!({ "tags": {} }));
    // Nor does a join that changes nothing bring what is set later.
    act(&mut server, &carol, &next, "join", json!({}));
    let tag = format!("/_matrix/client/v3/user/{}/rooms/{}/tags/u.x", segment(&carol.user_id), segment(&room));
    server.ok(Method::Put, &tag, &carol, json!({}));
    act(&mut server, &carol, &next, "join", json!({}));
    assert_eq!(server.ok(Method::Get, &tags(&carol), &carol, ()), json!({ "tags": {} }));
}

#[test]
fn not_everybody_and_not_everything() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = create(&mut server, &alice, json!({ "preset": "public_chat" }));
    let good = || json!({ "new_version": "11" });
    refused(&mut server, &bob, &room, "upgrade", good(), 403, "M_FORBIDDEN");
    act(&mut server, &bob, &room, "join", json!({}));
    refused(&mut server, &bob, &room, "upgrade", good(), 403, "M_FORBIDDEN");
    refused(&mut server, &alice, "!unknown:example.org", "upgrade", good(), 403, "M_FORBIDDEN");
    refused(&mut server, &alice, "unknown", "upgrade", good(), 400, "M_INVALID_PARAM");
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!([]), "M_BAD_JSON"),
        (json!({ "new_version": 11 }), "M_BAD_JSON"),
        (json!({ "new_version": "99" }), "M_UNSUPPORTED_ROOM_VERSION"),
        (json!({ "new_version": "12", "additional_creators": "@a:b" }), "M_BAD_JSON"),
        (json!({ "new_version": "12", "additional_creators": [1] }), "M_BAD_JSON"),
        (json!({ "new_version": "12", "additional_creators": ["bob"] }), "M_INVALID_PARAM"),
    ] {
        refused(&mut server, &alice, &room, "upgrade", body, 400, errcode);
    }
    server.fails(Method::Get, &room_path(&room, "state/m.room.tombstone/"), &alice, (), 404, "M_NOT_FOUND");
}

#[test]
fn an_upgrade_that_came_to_nothing_has_no_part_in_what_an_alias_leads_to() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = create(&mut server, &alice, json!({ "room_alias_name": "tea" }));
    server.hold_commits = true;
    server.start(Method::Post, &room_path(&room, "upgrade"), &alice, json!({ "new_version": "11" }));
    let mut server = server.crash_after(1);
    let joined = server.ok(Method::Get, "/_matrix/client/v3/joined_rooms", &alice, ());
    let joined = joined.get("joined_rooms").and_then(Value::as_array).unwrap();
    let left_over = joined.iter().filter_map(Value::as_str).find(|joined| *joined != room).unwrap().to_string();
    let aliases = |server: &mut Server, room: &str| server.ok(Method::Get, &room_path(room, "aliases"), &alice, ());
    assert_eq!(aliases(&mut server, &left_over), json!({ "aliases": [] }));
    assert_eq!(aliases(&mut server, &room), json!({ "aliases": ["#tea:example.org"] }));

    let other = create(&mut server, &alice, json!({}));
    let alias = format!("/_matrix/client/v3/directory/room/{}", segment("#tea:example.org"));
    server.ok(Method::Delete, &alias, &alice, ());
    server.ok(Method::Put, &alias, &alice, json!({ "room_id": (other.as_str()) }));
    let next = upgrade(&mut server, &alice, &left_over, json!({ "new_version": "12" }));
    assert_eq!(aliases(&mut server, &next), json!({ "aliases": [] }));
    assert_eq!(server.ok(Method::Get, &alias, (), ()).get("room_id"), Some(&json!(other)));
}
