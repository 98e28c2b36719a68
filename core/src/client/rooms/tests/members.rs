use super::*;

#[test]
fn invite_join_leave_and_back() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = create(&mut server, &alice, json!({}));
    refused(&mut server, &bob, &room, "join", json!({}), 403, "M_FORBIDDEN");
    let bob_id = json!({ "user_id": (&bob.user_id), "reason": "tea" });
    act(&mut server, &alice, &room, "invite", bob_id.clone());
    assert_eq!(membership(&mut server, &alice, &room, &bob), "invite");
    act(&mut server, &bob, &room, "join", json!({}));
    // Joining twice is joining once.
    act(&mut server, &bob, &room, "join", json!({}));
    refused(&mut server, &alice, &room, "invite", bob_id.clone(), 403, "M_FORBIDDEN");
    refused(&mut server, &bob, &room, "forget", json!({}), 400, "M_UNKNOWN");
    act(&mut server, &bob, &room, "leave", json!({ "reason": "bye" }));
    act(&mut server, &bob, &room, "leave", json!({}));
    assert_eq!(membership(&mut server, &alice, &room, &bob), "leave");
    // The state that bob left behind is still his to read, until he forgets the room.
    assert_eq!(membership(&mut server, &bob, &room, &bob), "leave");
    act(&mut server, &bob, &room, "forget", json!({}));
    server.fails(Method::Get, &room_path(&room, "state"), &bob, (), 403, "M_FORBIDDEN");
    act(&mut server, &alice, &room, "invite", bob_id);
    act(&mut server, &bob, &room, "leave", json!({}));
    assert_eq!(membership(&mut server, &alice, &room, &bob), "leave");
}

#[test]
fn kick_ban_and_unban() {
    let mut server = Server::new();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = create(&mut server, &alice, json!({ "preset": "public_chat" }));
    let bob_id = || json!({ "user_id": "@bob:example.org" });
    refused(&mut server, &alice, &room, "kick", bob_id(), 403, "M_FORBIDDEN");
    act(&mut server, &bob, &room, "join", json!({}));
    act(&mut server, &carol, &room, "join", json!({}));
    refused(&mut server, &carol, &room, "kick", bob_id(), 403, "M_FORBIDDEN");
    act(&mut server, &alice, &room, "kick", bob_id());
    act(&mut server, &bob, &room, "join", json!({}));
    act(&mut server, &alice, &room, "ban", bob_id());
    assert_eq!(membership(&mut server, &alice, &room, &bob), "ban");
    refused(&mut server, &bob, &room, "join", json!({}), 403, "M_FORBIDDEN");
    refused(&mut server, &bob, &room, "leave", json!({}), 403, "M_FORBIDDEN");
    refused(&mut server, &carol, &room, "unban", bob_id(), 403, "M_FORBIDDEN");
    act(&mut server, &alice, &room, "unban", bob_id());
    refused(&mut server, &alice, &room, "unban", bob_id(), 403, "M_FORBIDDEN");
    act(&mut server, &bob, &room, "join", json!({}));
    for (verb, body, errcode) in [
        ("kick", json!({}), "M_MISSING_PARAM"),
        ("ban", json!({ "user_id": 7 }), "M_BAD_JSON"),
        ("unban", json!({ "user_id": "bob" }), "M_INVALID_PARAM"),
        ("invite", json!([]), "M_BAD_JSON"),
    ] {
        refused(&mut server, &alice, &room, verb, body, 400, errcode);
    }
}

#[test]
fn knocking() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = create(&mut server, &alice, json!({}));
    let knock = format!("/_matrix/client/v3/knock/{}", segment(&room));
    server.fails(Method::Post, &knock, &bob, json!({}), 403, "M_FORBIDDEN");
    set_state(&mut server, &alice, &room, "m.room.join_rules", "", json!({ "join_rule": "knock" }));
    server.ok(Method::Post, &knock, &bob, json!({ "reason": "please" }));
    assert_eq!(membership(&mut server, &alice, &room, &bob), "knock");
    refused(&mut server, &bob, &room, "join", json!({}), 403, "M_FORBIDDEN");
    act(&mut server, &alice, &room, "invite", json!({ "user_id": (&bob.user_id) }));
    act(&mut server, &bob, &room, "join", json!({}));
    server.fails(Method::Post, "/_matrix/client/v3/knock/%23none%3Aexample.org", &bob, json!({}), 404, "M_NOT_FOUND");
}

#[test]
fn restricted_joins_go_through_another_room() {
    for version in ["8", "9", "10", "11", "12"] {
        let mut server = Server::new();
        let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
        let space = create(&mut server, &alice, json!({ "preset": "public_chat" }));
        let allow = json!([{ "type": "m.room_membership", "room_id": (space.as_str()) }]);
        let room = create(
            &mut server,
            &alice,
            json!({
                "room_version": version,
                "initial_state": [{
                    "type": "m.room.join_rules", "content": { "join_rule": "restricted", "allow": allow }
                }]
            }),
        );
        act(&mut server, &bob, &space, "join", json!({}));
        act(&mut server, &bob, &room, "join", json!({}));
        refused(&mut server, &carol, &room, "join", json!({}), 403, "M_FORBIDDEN");
        let member = state(&mut server, &alice, &room, "m.room.member", bob.user_id.as_str());
        let authoriser = member.get("join_authorised_via_users_server");
        assert_eq!(authoriser, Some(&json!("@alice:example.org")), "version {version}");
    }
}

#[test]
fn member_lists() {
    let mut server = Server::new();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let room = create(&mut server, &alice, json!({ "invite": ["@bob:example.org", "@carol:example.org"] }));
    act(&mut server, &bob, &room, "join", json!({}));
    let mut count = |query: &str| {
        let answer = server.ok(Method::Get, &room_path(&room, &format!("members{query}")), &alice, ());
        answer.get("chunk").and_then(Value::as_array).map(<[Value]>::len)
    };
    assert_eq!(count(""), Some(3));
    assert_eq!(count("?membership=join"), Some(2));
    assert_eq!(count("?not_membership=join"), Some(1));
    assert_eq!(count("?membership=ban"), Some(0));
    let path = room_path(&room, "members?membership=besotted");
    server.fails(Method::Get, &path, &alice, (), 400, "M_INVALID_PARAM");
    let joined = server.ok(Method::Get, &room_path(&room, "joined_members"), &alice, ());
    let joined = joined.get("joined").and_then(Value::as_object).expect("joined");
    assert_eq!(
        joined.iter().map(|member| member.0).collect::<alloc::vec::Vec<_>>(),
        ["@alice:example.org", "@bob:example.org"]
    );
    server.fails(Method::Get, &room_path(&room, "joined_members"), &carol, (), 403, "M_FORBIDDEN");
}
