use alloc::vec::Vec;

use super::*;

fn bodies(page: &Value) -> Vec<String> {
    let chunk = page.get("chunk").and_then(Value::as_array).expect("chunk");
    let text = |event: &Value| event.get("content")?.get("body")?.as_str().map(ToString::to_string);
    chunk.iter().filter_map(text).collect()
}

fn page(server: &mut Server, user: &User, room: &str, query: &str) -> Value {
    server.ok(Method::Get, &room_path(room, &format!("messages?{query}")), user, ())
}

#[test]
fn pages_cover_the_timeline_once() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = create(&mut server, &alice, json!({}));
    let sent: Vec<String> = (0..25).map(|i| format!("message {i}")).collect();
    for text in &sent {
        say(&mut server, &alice, &room, &segment(text), text);
    }
    for (direction, limit) in [("b", 1), ("b", 7), ("b", 100), ("f", 1), ("f", 7), ("f", 100)] {
        let mut seen = Vec::new();
        let mut from = String::new();
        loop {
            let page = page(&mut server, &alice, &room, &format!("dir={direction}&limit={limit}{from}"));
            seen.extend(bodies(&page));
            match page.get("end").and_then(Value::as_str) {
                Some(end) => from = format!("&from={end}"),
                None => break,
            }
        }
        if direction == "b" {
            seen.reverse();
        }
        assert_eq!(seen, sent, "dir={direction} limit={limit}");
    }
    for (query, errcode) in [
        ("", "M_MISSING_PARAM"),
        ("dir=x", "M_INVALID_PARAM"),
        ("dir=b&limit=many", "M_INVALID_PARAM"),
        ("dir=b&from=nowhere", "M_INVALID_PARAM"),
        ("dir=b&filter=%7B", "M_NOT_JSON"),
    ] {
        let path = room_path(&room, &format!("messages?{query}"));
        let (status, answer) = server.call(Method::Get, &path, &alice, ());
        assert_eq!((status, answer.get("errcode")), (400, Some(&json!(errcode))), "{query}");
    }
}

/// Who sees what was said before, during and after their stay, by `history_visibility`.
#[test]
fn visibility_is_judged_at_the_event() {
    for (visibility, joiner, outsider) in [
        (
            "world_readable",
            &["before", "invited", "during", "after"][..],
            Some(&["before", "invited", "during", "after"][..]),
        ),
        ("shared", &["before", "invited", "during"], None),
        ("invited", &["invited", "during"], None),
        ("joined", &["during"], None),
    ] {
        let mut server = Server::new();
        let (alice, bob, eve) = (server.register("alice"), server.register("bob"), server.register("eve"));
        let room = create(
            &mut server,
            &alice,
            json!({
                "initial_state": [{
                    "type": "m.room.history_visibility", "content": { "history_visibility": visibility }
                }]
            }),
        );
        say(&mut server, &alice, &room, "1", "before");
        act(&mut server, &alice, &room, "invite", json!({ "user_id": (&bob.user_id) }));
        say(&mut server, &alice, &room, "2", "invited");
        act(&mut server, &bob, &room, "join", json!({}));
        let during = say(&mut server, &alice, &room, "3", "during");
        act(&mut server, &bob, &room, "leave", json!({}));
        let after = say(&mut server, &alice, &room, "4", "after");
        let seen = bodies(&page(&mut server, &bob, &room, "dir=f&limit=100"));
        assert_eq!(seen, joiner, "bob under {visibility}");
        let event = |id: &str| room_path(&room, &format!("event/{}", segment(id)));
        server.ok(Method::Get, &event(&during), &bob, ());
        if visibility != "world_readable" {
            server.fails(Method::Get, &event(&after), &bob, (), 404, "M_NOT_FOUND");
        }
        match outsider {
            Some(outsider) => {
                assert_eq!(
                    bodies(&page(&mut server, &eve, &room, "dir=f&limit=100")),
                    outsider,
                    "eve under {visibility}"
                );
            }
            None => {
                server.fails(Method::Get, &room_path(&room, "messages?dir=b"), &eve, (), 403, "M_FORBIDDEN");
                server.fails(Method::Get, &event(&during), &eve, (), 404, "M_NOT_FOUND");
            }
        }
    }
}

#[test]
fn a_stretch_of_hidden_events_is_not_the_end() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = create(&mut server, &alice, json!({ "preset": "public_chat" }));
    act(&mut server, &bob, &room, "join", json!({}));
    say(&mut server, &alice, &room, "old", "old");
    set_state(&mut server, &alice, &room, "m.room.history_visibility", "", json!({ "history_visibility": "joined" }));
    act(&mut server, &bob, &room, "leave", json!({}));
    for i in 0..50 {
        say(&mut server, &alice, &room, &format!("{i}"), "hidden");
    }
    act(&mut server, &bob, &room, "join", json!({}));
    say(&mut server, &alice, &room, "new", "new");
    assert_eq!(bodies(&page(&mut server, &bob, &room, "dir=b&limit=100")), ["new", "old"]);
}

#[test]
fn membership_at_the_event_is_told() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = create(&mut server, &alice, json!({ "preset": "public_chat" }));
    say(&mut server, &alice, &room, "1", "before");
    act(&mut server, &bob, &room, "join", json!({}));
    say(&mut server, &alice, &room, "2", "after");
    let page = page(&mut server, &bob, &room, "dir=f&limit=100");
    let told: Vec<(String, String)> = page
        .get("chunk")
        .and_then(Value::as_array)
        .expect("chunk")
        .iter()
        .filter_map(|event| {
            let body = event.get("content")?.get("body")?.as_str()?;
            Some((body.to_string(), event.get("unsigned")?.get("membership")?.as_str()?.to_string()))
        })
        .collect();
    let expected = [("before", "leave"), ("after", "join")].map(|(a, b)| (a.to_string(), b.to_string()));
    assert_eq!(told, expected);
}

#[test]
fn context_surrounds_an_event() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = create(&mut server, &alice, json!({}));
    let ids: Vec<String> = (0..11).map(|i| say(&mut server, &alice, &room, &i.to_string(), &i.to_string())).collect();
    for (limit, before, after) in
        [(0, &[][..], &[][..]), (1, &[], &["6"]), (4, &["4", "3"], &["6", "7"]), (5, &["4", "3"], &["6", "7", "8"])]
    {
        let path = room_path(&room, &format!("context/{}?limit={limit}", segment(&ids[5])));
        let answer = server.ok(Method::Get, &path, &alice, ());
        let side = |name: &str| -> Vec<String> {
            let events = answer.get(name).and_then(Value::as_array).expect(name);
            events
                .iter()
                .filter_map(|event| event.get("content")?.get("body")?.as_str().map(ToString::to_string))
                .collect()
        };
        assert_eq!(side("events_before"), before, "limit={limit}");
        assert_eq!(side("events_after"), after, "limit={limit}");
        let start = answer.get("start").and_then(Value::as_str).expect("start");
        let earlier = page(&mut server, &alice, &room, &format!("dir=b&limit=1&from={start}"));
        assert_eq!(bodies(&earlier), [(4 - before.len()).to_string()], "limit={limit}: start goes on where it ends");
        let end = answer.get("end").and_then(Value::as_str).expect("end");
        let later = page(&mut server, &alice, &room, &format!("dir=f&limit=1&from={end}"));
        assert_eq!(bodies(&later), [(6 + after.len()).to_string()], "limit={limit}: end goes on where it ends");
    }
}

/// `/sync` tells a user of their own ban and its end, whatever the room's history visibility; so does `/messages`.
#[test]
fn own_leaves_and_bans_are_seen() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let visibility =
        json!({"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "joined"}});
    let room = create(&mut server, &alice, json!({"preset": "public_chat", "initial_state": [visibility]}));
    for action in ["ban", "unban"] {
        server.ok(Method::Post, &room_path(&room, action), &alice, json!({"user_id": (bob.user_id.as_str())}));
    }
    say(&mut server, &alice, &room, "1", "not for bob");
    server.ok(Method::Post, &room_path(&room, "join"), &bob, json!({}));
    let page = page(&mut server, &bob, &room, "dir=f");
    let chunk = page.get("chunk").and_then(Value::as_array).expect("chunk");
    let of_bob =
        chunk.iter().filter(|event| event.get("state_key").and_then(Value::as_str) == Some(bob.user_id.as_str()));
    let memberships = of_bob.map(|event| event.get("content").and_then(|content| content.get("membership")));
    let memberships: Vec<Option<&str>> = memberships.map(|membership| membership.and_then(Value::as_str)).collect();
    assert_eq!(memberships, [Some("ban"), Some("leave"), Some("join")]);
    assert_eq!(bodies(&page), Vec::<String>::new());
}
