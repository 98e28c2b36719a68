use super::*;

#[test]
fn a_transaction_happens_once() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = create(&mut server, &alice, json!({}));
    let first = say(&mut server, &alice, &room, "m1", "one");
    assert_eq!(say(&mut server, &alice, &room, "m1", "one"), first);
    let other_device = server.login("alice");
    assert_ne!(say(&mut server, &other_device, &room, "m1", "one"), first);
    let path = room_path(&room, &format!("redact/{}/m1", segment(&first)));
    let redaction = server.ok(Method::Put, &path, &alice, json!({}));
    assert_ne!(redaction.get("event_id"), Some(&json!(first.as_str())), "another endpoint has transactions of its own");
    // The answer outlives a restart, and so does the transaction.
    let mut server = server.crash();
    assert_eq!(say(&mut server, &alice, &room, "m1", "one"), first);
    assert_eq!(server.ok(Method::Put, &path, &alice, json!({})), redaction);
}

#[test]
fn redaction_takes_the_content_away() {
    for version in 1..=12 {
        let mut server = Server::new();
        let (alice, bob) = (server.register("alice"), server.register("bob"));
        let room =
            create(&mut server, &alice, json!({ "preset": "public_chat", "room_version": (version.to_string()) }));
        act(&mut server, &bob, &room, "join", json!({}));
        let by_alice = say(&mut server, &alice, &room, "1", "secret");
        let by_bob = say(&mut server, &bob, &room, "1", "noise");
        let redact =
            |event: &str, transaction: u32| room_path(&room, &format!("redact/{}/{transaction}", segment(event)));
        server.fails(Method::Put, &redact(&by_alice, 2), &bob, json!({}), 403, "M_FORBIDDEN");
        server.fails(Method::Put, &redact("$nothing", 3), &bob, json!({}), 404, "M_NOT_FOUND");
        server.ok(Method::Put, &redact(&by_bob, 4), &alice, json!({ "reason": "noise" }));
        let event = server.ok(Method::Get, &room_path(&room, &format!("event/{}", segment(&by_bob))), &alice, ());
        assert_eq!(event.get("content"), Some(&json!({})), "version {version}");
        let because =
            event.get("unsigned").and_then(|unsigned| unsigned.get("redacted_because")).expect("redacted_because");
        assert_eq!(because.get("sender"), Some(&json!("@alice:example.org")));
        assert_eq!(because.get("content").and_then(|content| content.get("reason")), Some(&json!("noise")));
    }
}

#[test]
fn state_is_set_and_read() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = create(&mut server, &alice, json!({ "preset": "public_chat" }));
    let first = set_state(&mut server, &alice, &room, "com.example", "key/with slash", json!({ "a": 1 }));
    assert_eq!(set_state(&mut server, &alice, &room, "com.example", "key/with slash", json!({ "a": 1 })), first);
    assert_ne!(set_state(&mut server, &alice, &room, "com.example", "key/with slash", json!({ "a": 2 })), first);
    assert_eq!(state(&mut server, &alice, &room, "com.example", "key/with slash"), json!({ "a": 2 }));
    let path = room_path(&room, "state/m.room.name");
    server.fails(Method::Get, &path, &alice, (), 404, "M_NOT_FOUND");
    server.ok(Method::Put, &path, &alice, json!({ "name": "n" }));
    assert_eq!(server.ok(Method::Get, &room_path(&room, "state/m.room.name/"), &alice, ()), json!({ "name": "n" }));
    let event = server.ok(Method::Get, &room_path(&room, "state/m.room.name/?format=event"), &alice, ());
    assert_eq!(event.get("room_id"), Some(&json!(room.as_str())));
    server.fails(Method::Get, &path, &bob, (), 403, "M_FORBIDDEN");
    server.fails(Method::Put, &path, &bob, json!({ "name": "n" }), 403, "M_FORBIDDEN");
    server.fails(Method::Put, &room_path(&room, "state/m.room.create/"), &alice, json!({}), 403, "M_FORBIDDEN");
    // Somebody's own user ID as the state key of somebody else's state.
    let path = room_path(&room, &format!("state/com.example/{}", segment("@bob:example.org")));
    server.fails(Method::Put, &path, &alice, json!({}), 403, "M_FORBIDDEN");
}

#[test]
fn bad_events_are_refused() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = create(&mut server, &alice, json!({}));
    let path = room_path(&room, "send/m.room.message/t");
    for (body, errcode) in [
        ("", "M_NOT_JSON"),
        ("{", "M_NOT_JSON"),
        ("[]", "M_BAD_JSON"),
        ("\"text\"", "M_BAD_JSON"),
        (r#"{"a":1.5}"#, "M_BAD_JSON"),
        (r#"{"a":9007199254740992}"#, "M_BAD_JSON"),
    ] {
        server.fails(Method::Put, &path, &alice, body, 400, errcode);
    }
    server.fails(Method::Put, &path, &alice, &b"{\"a\":\"\xff\"}"[..], 400, "M_NOT_JSON");
    let deep = "[".repeat(5000);
    server.fails(Method::Put, &path, &alice, deep.as_str(), 400, "M_NOT_JSON");
    let large = json!({ "body": ("x".repeat(70_000)) });
    server.fails(Method::Put, &path, &alice, large, 413, "M_TOO_LARGE");
    let long = room_path(&room, &format!("send/{}/t", "x".repeat(300)));
    let (status, _) = server.call(Method::Put, &long, &alice, json!({}));
    assert!((400..500).contains(&status), "a long type is the client's mistake, not {status}");
    server.fails(Method::Put, &room_path("!none:example.org", "send/m/t"), &alice, json!({}), 403, "M_FORBIDDEN");
    server.fails(Method::Put, &room_path("none", "send/m/t"), &alice, json!({}), 400, "M_INVALID_PARAM");
    // Nothing of it reached the room, and the transaction is still free.
    say(&mut server, &alice, &room, "t", "fine");
}
