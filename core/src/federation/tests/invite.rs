use super::*;
use crate::event::NewEvent;
use crate::identifiers::EventId;
use crate::room_version::RoomVersion;

const INVITE: &str = "/invite";

fn target_of(user: &User) -> Value {
    json!({ "user_id": (user.user_id.as_str()), "reason": "tea" })
}

/// The stripped state that a sync shows of an invite or knock: type and, where it has one, the name.
fn stripped(room: &Value, name: &str) -> Vec<(String, String)> {
    let events = room.get(name).and_then(|state| state.get("events")).and_then(Value::as_array).unwrap();
    let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    events
        .iter()
        .map(|event| {
            for extra in ["event_id", "signatures", "origin_server_ts", "prev_events"] {
                assert!(event.get(extra).is_none(), "{event}");
            }
            (text(event, "type"), text(event.get("content").unwrap(), "name"))
        })
        .collect()
}

#[test]
fn an_invite_is_shown_and_accepted_in_every_version() {
    for version in RoomVersion::ALL {
        let mut net = Net::new(&["a.test", "b.test"]);
        let alice = net.server("a.test").register("alice");
        let bob = net.server("b.test").register("bob");
        let body = json!({ "name": "Tea", "room_version": (version.as_str()) });
        let room = create(&mut net, "a.test", &alice, body);
        net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
        assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "invite", "{version:?}");
        let shown = in_sync(&mut net, "b.test", &bob, "invite", &room).expect("the invite is shown");
        let stripped = stripped(&shown, "invite_state");
        assert!(stripped.contains(&("m.room.name".into(), "Tea".into())), "{stripped:?}");
        assert!(stripped.iter().any(|(kind, _)| kind == "m.room.create"));
        assert_eq!(stripped.iter().filter(|(kind, _)| kind == "m.room.member").count(), 2);
        // The inviter's server is asked, which nobody had to name.
        let path = alloc::format!("/_matrix/client/v3/join/{}", percent_encode(&room));
        net.ok("b.test", Method::Post, &path, &bob, ());
        assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "join", "{version:?}");
        assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_none());
        assert_eq!(state(&mut net, "b.test", &bob, &room), state(&mut net, "a.test", &alice, &room));
    }
}

#[test]
fn creating_a_room_invites_users_of_other_servers() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let invite = Value::Array(alloc::vec![Value::from("@nobody:gone.test"), Value::from(&bob.user_id)]);
    let room = create(&mut net, "a.test", &alice, json!({ "invite": (invite), "is_direct": true }));
    let shown = in_sync(&mut net, "b.test", &bob, "invite", &room).expect("the invite is shown");
    assert!(shown.to_string().contains("is_direct"));
}

#[test]
fn refusals_are_told() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, json!({}));
    let path = room_path(&room, INVITE);
    let check = |net: &mut Net, user_id: &str, status: u16, errcode: &str| {
        let (found, answer) = net.call("a.test", Method::Post, &path, &alice, json!({ "user_id": (user_id) }));
        assert_eq!((found, answer.get("errcode")), (status, Some(&Value::from(errcode))), "{answer}");
    };
    check(&mut net, "@nobody:b.test", 403, "M_FORBIDDEN");
    check(&mut net, "@bob:gone.test", 502, "M_UNKNOWN");
    net.cut("a.test", "b.test");
    check(&mut net, &bob.user_id, 502, "M_UNKNOWN");
    assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_none());
}

#[test]
fn an_invite_is_refused_and_forgotten_and_repeated() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, json!({ "name": "Tea" }));
    let invite = |net: &mut Net| net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
    invite(&mut net);
    net.ok("b.test", Method::Post, &room_path(&room, "/leave"), &bob, json!({ "reason": "no" }));
    assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "leave");
    assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_none());
    let left = in_sync(&mut net, "b.test", &bob, "leave", &room).expect("the refusal is shown").to_string();
    assert!(left.contains("\"reason\":\"no\""), "{left}");
    net.ok("b.test", Method::Post, &room_path(&room, "/forget"), &bob, ());
    assert!(in_sync(&mut net, "b.test", &bob, "leave", &room).is_none());
    invite(&mut net);
    assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_some());
}

#[test]
fn an_incremental_sync_tells_each_change_once() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, json!({ "name": "Tea" }));
    let mut since = String::new();
    let mut sync = |net: &mut Net| {
        let query = if since.is_empty() { String::new() } else { alloc::format!("?since={since}") };
        let answer = net.ok("b.test", Method::Get, &alloc::format!("/_matrix/client/v3/sync{query}"), &bob, ());
        since = answer.get("next_batch").and_then(Value::as_str).unwrap().to_string();
        let sections = answer.get("rooms").and_then(Value::as_object).cloned().unwrap_or_default();
        sections.iter().map(|(name, _)| name.to_string()).collect::<Vec<String>>()
    };
    assert_eq!(sync(&mut net), Vec::<String>::new());
    net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
    assert_eq!(sync(&mut net), ["invite"]);
    assert_eq!(sync(&mut net), Vec::<String>::new());
    net.ok("b.test", Method::Post, &room_path(&room, "/leave"), &bob, ());
    assert_eq!(sync(&mut net), ["leave"]);
    assert_eq!(sync(&mut net), Vec::<String>::new());
    net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
    assert_eq!(sync(&mut net), ["invite"]);
    net.ok("b.test", Method::Post, &room_path(&room, "/join"), &bob, ());
    assert_eq!(sync(&mut net), ["join"]);
    assert_eq!(sync(&mut net), Vec::<String>::new());
    net.ok("b.test", Method::Post, &room_path(&room, "/leave"), &bob, ());
    assert_eq!(sync(&mut net), ["leave"]);
}

#[test]
fn a_waiting_sync_is_woken_by_an_invite() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, json!({ "name": "Tea" }));
    let answer = net.ok("b.test", Method::Get, "/_matrix/client/v3/sync", &bob, ());
    let since = answer.get("next_batch").and_then(Value::as_str).unwrap();
    let poll = alloc::format!("/_matrix/client/v3/sync?timeout=30000&since={since}");
    let poll = net.server("b.test").start(Method::Get, &poll, &bob, ());
    assert!(net.server("b.test").take_reply(poll).is_none());
    net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
    let (_, answer) = net.server("b.test").take_reply(poll).expect("the sync is woken");
    assert!(answer.to_string().contains("invite_state"), "{answer}");
}

#[test]
fn an_invite_is_taken_back() {
    for version in ["1", "11", "12"] {
        let mut net = Net::new(&["a.test", "b.test", "c.test"]);
        let alice = net.server("a.test").register("alice");
        let bob = net.server("b.test").register("bob");
        let room = create(&mut net, "a.test", &alice, json!({ "room_version": (version) }));
        net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
        assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_some());
        net.ok("a.test", Method::Post, &room_path(&room, "/kick"), &alice, target_of(&bob));
        assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_none(), "{version}");
        assert!(in_sync(&mut net, "b.test", &bob, "leave", &room).is_some(), "{version}");
        net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
        assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_some());
        net.ok("a.test", Method::Post, &room_path(&room, "/ban"), &alice, target_of(&bob));
        assert!(in_sync(&mut net, "b.test", &bob, "leave", &room).is_some(), "{version}");
    }
}

#[test]
fn an_invite_is_refused_while_its_server_is_down() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, json!({}));
    net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
    net.cut("a.test", "b.test");
    net.ok("b.test", Method::Post, &room_path(&room, "/leave"), &bob, ());
    assert!(in_sync(&mut net, "b.test", &bob, "leave", &room).is_some());
    net.crash("b.test");
    assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_none());
}

#[test]
fn a_room_known_by_an_invite_only_breaks_nothing() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let (bob, carol) = (net.server("b.test").register("bob"), net.server("b.test").register("carol"));
    let room = create(&mut net, "a.test", &alice, json!({}));
    net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
    let event = "/event/$tea";
    let gets = [
        "/state",
        "/members",
        "/joined_members",
        "/messages?dir=b",
        event,
        "/aliases",
        "/state/m.room.name",
        "/context/$tea",
    ];
    for (i, who) in [&bob, &carol].into_iter().enumerate() {
        for rest in gets {
            let (status, answer) = net.call("b.test", Method::Get, &room_path(&room, rest), who, ());
            assert!(matches!(status, 403 | 404), "{rest}: {status} {answer}");
        }
        let user_id = who.user_id.as_str();
        for (method, rest, body) in [
            (Method::Put, "/send/m.room.message/1".to_string(), json!({})),
            (Method::Put, "/state/m.room.name".to_string(), json!({ "name": "x" })),
            (Method::Put, "/redact/$tea/1".to_string(), json!({})),
            (Method::Post, "/invite".to_string(), json!({ "user_id": "@carol:b.test" })),
            (Method::Post, "/kick".to_string(), json!({ "user_id": "@alice:a.test" })),
            (Method::Post, "/ban".to_string(), json!({ "user_id": "@alice:a.test" })),
            (Method::Post, "/unban".to_string(), json!({ "user_id": "@alice:a.test" })),
            (Method::Post, "/receipt/m.read/$tea".to_string(), json!({})),
            (Method::Put, alloc::format!("/typing/{}", percent_encode(user_id)), json!({ "typing": false })),
        ] {
            let (status, answer) = net.call("b.test", method, &room_path(&room, &rest), who, body);
            assert!(matches!(status, 403 | 404), "{i} {rest}: {status} {answer}");
        }
    }
    let (status, _) = net.call("b.test", Method::Post, &room_path(&room, "/leave"), &carol, ());
    assert_eq!(status, 403);
    let (status, _) = net.call("b.test", Method::Post, &room_path(&room, "/forget"), &bob, ());
    assert_eq!(status, 400);
    let joined = net.ok("b.test", Method::Get, "/_matrix/client/v3/joined_rooms", &bob, ());
    assert_eq!(joined, json!({ "joined_rooms": [] }));
    // A deactivated user leaves the invite too.
    let auth = json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "bob" }, "password": (crate::testing::PASSWORD) });
    net.ok("b.test", Method::Post, "/_matrix/client/v3/account/deactivate", &bob, json!({ "auth": (auth) }));
}

#[test]
fn bad_invites_are_not_signed() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    for version in ["10", "12"] {
        let room = create(&mut net, "a.test", &alice, json!({ "room_version": (version), "preset": "public_chat" }));
        // Another user's join, which is a good event of the room.
        let (_, good) = {
            let carol = net.server("a.test").register(&alloc::format!("carol{version}"));
            net.ok("a.test", Method::Post, &room_path(&room, "/join"), &carol, ());
            let target = room_path(&room, "/state");
            (carol, net.ok("a.test", Method::Get, &target, &alice, ()))
        };
        assert!(good.as_array().is_some());
        let put = |net: &mut Net, body: Value| {
            let target = alloc::format!("/_matrix/federation/v2/invite/{}/$event", percent_encode(&room));
            ask(net, "a.test", "b.test", Outgoing::put(target, body))
        };
        let event = |change: &dyn Fn(&mut crate::canonical_json::Object)| {
            let Value::Object(mut event) = json!({
                "type": "m.room.member", "room_id": (room.as_str()), "sender": "@alice:a.test", "state_key": "@bob:b.test",
                "content": { "membership": "invite" }, "depth": 5, "origin_server_ts": 1, "prev_events": ["$a"],
                "auth_events": ["$b"], "hashes": { "sha256": "" }, "signatures": { "a.test": { "ed25519:1": "" } }
            }) else {
                unreachable!()
            };
            change(&mut event);
            json!({ "room_version": (version), "event": (event), "invite_room_state": [] })
        };
        let bad: [&dyn Fn(&mut crate::canonical_json::Object); 8] = [
            &|_| (),
            &|event| {
                event.insert("type", "m.room.name");
            },
            &|event| {
                event.insert("content", json!({ "membership": "join" }));
            },
            &|event| {
                event.insert("sender", "@alice:c.test");
            },
            &|event| {
                event.insert("state_key", "@bob:c.test");
            },
            &|event| {
                event.insert("room_id", "!other:a.test");
            },
            &|event| {
                event.remove("depth");
            },
            &|event| {
                event.remove("signatures");
            },
        ];
        for (i, change) in bad.into_iter().enumerate() {
            let (status, answer) = put(&mut net, event(change));
            assert_eq!((status, answer.get("errcode")), (400, Some(&Value::from("M_INVALID_PARAM"))), "{i} {answer}");
        }
        let (status, answer) = put(&mut net, json!({ "room_version": "org.matrix.unknown", "event": {} }));
        assert_eq!((status, answer.get("errcode")), (400, Some(&Value::from("M_INCOMPATIBLE_ROOM_VERSION"))));
        assert_eq!(answer.get("room_version"), Some(&Value::from("org.matrix.unknown")));
        assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_none());
    }
}

#[test]
fn invites_that_disagree_about_the_room_version_are_both_shown() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let invited = ["bob", "carol"].map(|name| net.server("b.test").register(name));
    let room = "!room:a.test";
    for (user, version) in invited.iter().zip([RoomVersion::V1, RoomVersion::V11]) {
        let (status, answer) = invite_of_version(&mut net, "a.test", user, room, version);
        assert_eq!(status, 200, "{answer}");
    }
    for user in &invited {
        assert!(in_sync(&mut net, "b.test", user, "invite", room).is_some());
    }
}

#[test]
fn an_invite_ends_whatever_others_say_of_the_room_version() {
    for (version, other) in [("11", RoomVersion::V1), ("11", RoomVersion::V10), ("1", RoomVersion::V11)] {
        let mut net = Net::new(&["a.test", "b.test", "c.test"]);
        let alice = net.server("a.test").register("alice");
        let [bob, carol, dave] = ["bob", "carol", "dave"].map(|name| net.server("b.test").register(name));
        let room = create(&mut net, "a.test", &alice, json!({ "room_version": (version) }));
        // One before and one after the true one.
        for user in [&carol, &dave] {
            let (status, answer) = invite_of_version(&mut net, "c.test", user, &room, other);
            assert_eq!(status, 200, "{answer}");
            net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
        }
        net.ok("a.test", Method::Post, &room_path(&room, "/kick"), &alice, target_of(&bob));
        assert!(in_sync(&mut net, "b.test", &bob, "invite", &room).is_none(), "{version} {other:?}");
        // The next one is of the room as it is, again.
        net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
        net.ok("b.test", Method::Post, &room_path(&room, "/join"), &bob, ());
        assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "join");
    }
}

#[test]
fn an_invite_that_stands_is_not_replaced_by_one_of_another_room_version() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, json!({ "room_version": "2" }));
    net.ok("a.test", Method::Post, &room_path(&room, INVITE), &alice, target_of(&bob));
    let (status, answer) = invite_of_version(&mut net, "c.test", &bob, &room, RoomVersion::V11);
    assert_eq!((status, answer.get("errcode")), (400, Some(&Value::from("M_INVALID_PARAM"))), "{answer}");
    // Who is asked by the first version of the endpoint cannot tell 1 from 2.
    assert_eq!(invite_of_version(&mut net, "c.test", &bob, &room, RoomVersion::V1).0, 200);
    net.ok("b.test", Method::Post, &room_path(&room, "/leave"), &bob, ());
    assert_eq!(invite_of_version(&mut net, "c.test", &bob, &room, RoomVersion::V11).0, 200);
}

#[test]
fn an_invite_to_a_room_that_is_known_is_of_its_version() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let [bob, carol] = ["bob", "carol"].map(|name| net.server("b.test").register(name));
    let body = json!({ "room_version": "11", "preset": "public_chat" });
    let room = create(&mut net, "a.test", &alice, body);
    net.ok("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
    for member in ["joined", "left"] {
        let (status, answer) = invite_of_version(&mut net, "a.test", &carol, &room, RoomVersion::V10);
        assert_eq!((status, answer.get("errcode")), (400, Some(&Value::from("M_INVALID_PARAM"))), "{member} {answer}");
        net.ok("b.test", Method::Post, &room_path(&room, "/leave"), &bob, ());
    }
}

/// Has a server invite a user of B to a room by an event of some version: status and body of the answer.
pub(super) fn invite_of_version(
    net: &mut Net,
    from: &str,
    user: &User,
    room: &str,
    version: RoomVersion,
) -> (u16, Value) {
    let (user_id, room_id) = (user.user_id.clone(), RoomId::parse(room).unwrap());
    let before = [EventId::parse("$before:a.test").unwrap()];
    let pdu = net.run(from, move |cx| async move {
        cx.step(|step| {
            let event = NewEvent {
                version,
                room_id: Some(&room_id),
                sender: &UserId::parse(&alloc::format!("@mallory:{}", step.config.server_name)).unwrap(),
                kind: "m.room.member",
                state_key: Some(&user_id),
                content: Object::new().with("membership", "invite"),
                prev_events: &before,
                auth_events: &before,
                depth: 5,
                origin_server_ts: step.now,
                redacts: None,
                reference_hash: &|_| Ok(None),
            };
            Ok(event.build(&step.config.server_name, step.signing_key)?)
        })
    });
    let pdu = pdu.unwrap();
    let path = alloc::format!("{}/{}", percent_encode(room), percent_encode(&pdu.event_id));
    let body = json!({ "room_version": (version.as_str()), "event": (pdu.to_object()), "invite_room_state": [] });
    ask(net, from, "b.test", Outgoing::put(alloc::format!("/_matrix/federation/v2/invite/{path}"), body))
}
