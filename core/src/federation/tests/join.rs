use super::*;
use crate::room::receive::rooms_with_holes;
use crate::room_version::RoomVersion;

#[test]
fn a_user_joins_a_room_of_another_server_in_every_version() {
    for version in RoomVersion::ALL {
        let mut net = Net::new(&["a.test", "b.test"]);
        let alice = net.server("a.test").register("alice");
        let bob = net.server("b.test").register("bob");
        let body = json!({ "preset": "public_chat", "name": "Tea", "room_version": (version.as_str()) });
        let room = create(&mut net, "a.test", &alice, body);
        let answer = net.ok("b.test", Method::Post, &join_path(&room, "a.test"), &bob, json!({ "reason": "tea" }));
        assert_eq!(answer, json!({ "room_id": (room) }), "{version:?}");
        assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "join");
        assert_eq!(membership(&mut net, "b.test", &bob, &room, &alice), "join");
        let here = state(&mut net, "b.test", &bob, &room);
        assert_eq!(here, state(&mut net, "a.test", &alice, &room), "{version:?}");
        assert!(in_sync(&mut net, "b.test", &bob, "join", &room).is_some());
    }
}

#[test]
fn a_second_user_needs_nobody() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let (bob, carol) = (net.server("b.test").register("bob"), net.server("b.test").register("carol"));
    let room = create(&mut net, "a.test", &alice, everyone());
    net.ok("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
    net.cut("a.test", "b.test");
    net.ok("b.test", Method::Post, &room_path(&room, "/join"), &carol, ());
    assert_eq!(membership(&mut net, "b.test", &bob, &room, &carol), "join");
}

#[test]
fn the_next_server_is_tried() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, everyone());
    let target = alloc::format!("{}&via=c.test&via=a.test", join_path(&room, "nobody.test"));
    net.ok("b.test", Method::Post, &target, &bob, ());
    assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "join");
}

#[test]
fn joins_that_cannot_be() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let private = create(&mut net, "a.test", &alice, json!({}));
    let check = |net: &mut Net, target: &str, status: u16, errcode: &str| {
        let (found, answer) = net.call("b.test", Method::Post, target, &bob, ());
        assert_eq!((found, answer.get("errcode")), (status, Some(&Value::from(errcode))), "{target}: {answer}");
    };
    check(&mut net, &join_path(&private, "a.test"), 403, "M_FORBIDDEN");
    check(&mut net, &join_path("!nowhere:a.test", "a.test"), 404, "M_NOT_FOUND");
    check(&mut net, &join_path("!nowhere:b.test", "b.test"), 404, "M_NOT_FOUND");
    check(&mut net, &join_path("!nowhere:c.test", "c.test"), 502, "M_UNKNOWN");
    check(&mut net, "/_matrix/client/v3/join/tea", 400, "M_INVALID_PARAM");
    check(&mut net, "/_matrix/client/v3/join/%23tea:a.test", 404, "M_NOT_FOUND");
    let unfederated = json!({ "preset": "public_chat", "creation_content": { "m.federate": false } });
    let unfederated = create(&mut net, "a.test", &alice, unfederated);
    check(&mut net, &join_path(&unfederated, "a.test"), 403, "M_FORBIDDEN");
    let banned = create(&mut net, "a.test", &alice, everyone());
    let ban = json!({ "user_id": (bob.user_id.as_str()) });
    net.ok("a.test", Method::Post, &room_path(&banned, "/ban"), &alice, ban);
    check(&mut net, &join_path(&banned, "a.test"), 403, "M_FORBIDDEN");
    let listed = create(&mut net, "a.test", &alice, everyone());
    let acl = json!({ "allow": ["*"], "deny": ["b.test"] });
    net.ok("a.test", Method::Put, &room_path(&listed, "/state/m.room.server_acl"), &alice, acl);
    check(&mut net, &join_path(&listed, "a.test"), 403, "M_FORBIDDEN");
}

#[test]
fn a_room_is_joined_by_its_alias() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let room = create(&mut net, "a.test", &alice, json!({ "preset": "public_chat", "room_alias_name": "tea" }));
    let answer = net.ok("b.test", Method::Post, "/_matrix/client/v3/join/%23tea:a.test", &bob, ());
    assert_eq!(answer, json!({ "room_id": (room) }));
}

#[test]
fn a_room_is_left_and_joined_again() {
    for version in ["1", "11", "12"] {
        let mut net = Net::new(&["a.test", "b.test"]);
        let alice = net.server("a.test").register("alice");
        let bob = net.server("b.test").register("bob");
        let body = json!({ "preset": "public_chat", "room_version": (version) });
        let room = create(&mut net, "a.test", &alice, body);
        net.ok("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
        net.ok("b.test", Method::Post, &room_path(&room, "/leave"), &bob, ());
        // What is sent to other servers is not what is tested here.
        let kick = json!({ "user_id": (bob.user_id.as_str()) });
        let _ = net.call("a.test", Method::Post, &room_path(&room, "/kick"), &alice, kick);
        net.ok("a.test", Method::Put, &room_path(&room, "/state/m.room.name"), &alice, json!({ "name": "Tea" }));
        net.ok("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
        assert_eq!(state(&mut net, "b.test", &bob, &room), state(&mut net, "a.test", &alice, &room), "{version}");
        assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "join");
    }
}

#[test]
fn two_users_who_join_at_once_do_it_once() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let (bob, carol) = (net.server("b.test").register("bob"), net.server("b.test").register("carol"));
    let room = create(&mut net, "a.test", &alice, everyone());
    let path = join_path(&room, "a.test");
    let first = net.server("b.test").start(Method::Post, &path, &bob, ());
    let second = net.server("b.test").start(Method::Post, &path, &carol, ());
    net.settle();
    assert_eq!(net.server("b.test").take_reply(first).unwrap().0, 200);
    assert_eq!(net.server("b.test").take_reply(second).unwrap().0, 200);
    assert_eq!(net.log.iter().filter(|line| line.contains("send_join")).count(), 1);
    assert_eq!(membership(&mut net, "b.test", &bob, &room, &carol), "join");
}

fn restricted_to(space: &str, version: &str) -> Value {
    json!({
        "room_version": (version),
        "initial_state": [{
            "type": "m.room.join_rules",
            "content": {
                "join_rule": "restricted",
                "allow": [{ "type": "m.room_membership", "room_id": (space) }]
            }
        }]
    })
}

#[test]
fn members_of_a_space_join_its_restricted_rooms() {
    for version in ["8", "10", "11", "12"] {
        let mut net = Net::new(&["a.test", "b.test"]);
        let alice = net.server("a.test").register("alice");
        let (bob, carol) = (net.server("b.test").register("bob"), net.server("b.test").register("carol"));
        let space = create(&mut net, "a.test", &alice, everyone());
        let room = create(&mut net, "a.test", &alice, restricted_to(&space, version));
        let path = join_path(&room, "a.test");
        let (status, answer) = net.call("b.test", Method::Post, &path, &bob, ());
        assert_eq!((status, answer.get("errcode")), (403, Some(&Value::from("M_FORBIDDEN"))), "{answer}");
        net.ok("b.test", Method::Post, &join_path(&space, "a.test"), &bob, ());
        net.ok("b.test", Method::Post, &path, &bob, ());
        assert_eq!(membership(&mut net, "a.test", &alice, &room, &bob), "join", "{version}");
        // This server is in the room now, and nobody on it may invite: it asks one that can.
        net.ok("b.test", Method::Post, &join_path(&space, "a.test"), &carol, ());
        let levels = json!({ "users": { "@alice:a.test": 100 }, "invite": 50 });
        let levels = if version == "12" { json!({ "invite": 50 }) } else { levels };
        net.ok("a.test", Method::Put, &room_path(&room, "/state/m.room.power_levels"), &alice, levels);
    }
}

#[test]
fn a_server_without_the_space_cannot_authorise() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let space = create(&mut net, "b.test", &bob, everyone());
    let room = create(&mut net, "a.test", &alice, restricted_to(&space, "11"));
    let (status, answer) = net.call("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
    assert_eq!((status, answer.get("errcode")), (400, Some(&Value::from("M_UNABLE_TO_AUTHORISE_JOIN"))), "{answer}");
}

#[test]
fn a_crash_in_the_middle_leaves_nothing_half_joined() {
    let mut crashes = 0;
    for commits in 0.. {
        let mut net = Net::new(&["a.test", "b.test"]);
        let alice = net.server("a.test").register("alice");
        let bob = net.server("b.test").register("bob");
        let room = create(&mut net, "a.test", &alice, everyone());
        let path = join_path(&room, "a.test");
        let id = net.server("b.test").start(Method::Post, &path, &bob, ());
        let mut done = false;
        for _ in 0..commits {
            if !net.settle_some() {
                done = true;
                break;
            }
        }
        if done {
            assert!(net.server("b.test").take_reply(id).is_some());
            break;
        }
        crashes += 1;
        net.crash("b.test");
        let joined = net.ok("b.test", Method::Get, "/_matrix/client/v3/joined_rooms", &bob, ());
        let is_in = joined.get("joined_rooms").and_then(Value::as_array).is_some_and(|rooms| !rooms.is_empty());
        if !is_in {
            let (status, _) = net.call("b.test", Method::Get, &room_path(&room, "/state"), &bob, ());
            assert_eq!(status, 403);
        }
        // A server that did not answer is left alone for a while.
        net.advance(60_000);
        net.ok("b.test", Method::Post, &path, &bob, ());
        assert_eq!(state(&mut net, "b.test", &bob, &room), state(&mut net, "a.test", &alice, &room), "{commits}");
    }
    assert!(crashes > 3, "{crashes}");
}

#[test]
fn another_server_authorises_where_this_one_cannot() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let (bob, carol) = (net.server("b.test").register("bob"), net.server("b.test").register("carol"));
    let space = create(&mut net, "a.test", &alice, everyone());
    for user in [&bob, &carol] {
        net.ok("b.test", Method::Post, &join_path(&space, "a.test"), user, ());
    }
    let room = create(&mut net, "a.test", &alice, restricted_to(&space, "11"));
    let levels = json!({ "users": { "@alice:a.test": 100 }, "invite": 50 });
    net.ok("a.test", Method::Put, &room_path(&room, "/state/m.room.power_levels"), &alice, levels);
    net.ok("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
    // This server is in the room, and nobody on it may invite.
    net.ok("b.test", Method::Post, &room_path(&room, "/join"), &carol, ());
    assert_eq!(membership(&mut net, "a.test", &alice, &room, &carol), "join");
    assert_eq!(membership(&mut net, "b.test", &bob, &room, &carol), "join");
    assert_eq!(state(&mut net, "b.test", &bob, &room), state(&mut net, "a.test", &alice, &room));
}

#[test]
fn what_is_said_after_a_join_reaches_both_sides() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let (bob, carol) = (net.server("b.test").register("bob"), net.server("b.test").register("carol"));
    let room = create(&mut net, "a.test", &alice, everyone());
    net.ok("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
    for (server, user) in [("a.test", &alice), ("b.test", &bob)] {
        let target = room_path(&room, "/send/m.room.message/1");
        net.ok(server, Method::Put, &target, user, json!({ "msgtype": "m.text", "body": "tea" }));
    }
    // Users of a server that is in the room are invited there and here.
    let target = |user: &User| json!({ "user_id": (user.user_id.as_str()) });
    net.ok("a.test", Method::Post, &room_path(&room, "/invite"), &alice, target(&carol));
    assert!(in_sync(&mut net, "b.test", &carol, "invite", &room).is_some());
    net.ok("b.test", Method::Post, &room_path(&room, "/join"), &carol, ());
    net.ok("a.test", Method::Post, &room_path(&room, "/kick"), &alice, target(&carol));
    net.ok("a.test", Method::Post, &room_path(&room, "/ban"), &alice, target(&bob));
    assert!(in_sync(&mut net, "b.test", &bob, "leave", &room).is_some());
    let (status, answer) = net.call("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
    assert_eq!((status, answer.get("errcode")), (403, Some(&Value::from("M_FORBIDDEN"))), "{answer}");
    net.ok("a.test", Method::Post, &room_path(&room, "/unban"), &alice, target(&bob));
    net.ok("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
    assert_eq!(state(&mut net, "b.test", &bob, &room), state(&mut net, "a.test", &alice, &room));
}

#[test]
fn the_others_in_the_room_hear_of_it() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    let alice = net.server("a.test").register("alice");
    let bob = net.server("b.test").register("bob");
    let carol = net.server("c.test").register("carol");
    let room = create(&mut net, "a.test", &alice, everyone());
    net.ok("b.test", Method::Post, &join_path(&room, "a.test"), &bob, ());
    net.ok("c.test", Method::Post, &join_path(&room, "a.test"), &carol, ());
    assert_eq!(membership(&mut net, "b.test", &bob, &room, &carol), "join");
    let room = create(&mut net, "a.test", &alice, json!({ "invite": ["@bob:b.test", "@carol:c.test"] }));
    net.ok("b.test", Method::Post, &room_path(&room, "/join"), &bob, ());
    net.ok("c.test", Method::Post, &room_path(&room, "/leave"), &carol, ());
    assert_eq!(membership(&mut net, "b.test", &bob, &room, &carol), "leave");
}

#[test]
fn a_member_who_could_not_be_checked_at_the_join_is_one_once_they_can() {
    for version in ["1", "9", "11", "12"] {
        let mut net = Net::new(&["a.test", "b.test", "c.test"]);
        let users = ["a.test", "b.test", "c.test"].map(|server| net.server(server).register("user"));
        let [alice, bob, carol] = &users;
        let room = create(&mut net, "a.test", alice, json!({ "preset": "public_chat", "room_version": version }));
        net.ok("c.test", Method::Post, &join_path(&room, "a.test"), carol, json!({}));
        // The keys of C cannot be had.
        net.cut("b.test", "c.test");
        net.ok("b.test", Method::Post, &join_path(&room, "a.test"), bob, json!({}));
        let whole = state(&mut net, "a.test", alice, &room);
        assert_eq!(state(&mut net, "b.test", bob, &room).len(), whole.len() - 1);
        net.heal();
        net.advance(3_600_000);
        for (server, user) in [("a.test", alice), ("c.test", carol)] {
            let send = room_path(&room, "/send/m.room.message/1");
            net.ok(server, Method::Put, &send, user, json!({ "msgtype": "m.text", "body": "here" }));
            net.advance(60_000);
        }
        assert_eq!(state(&mut net, "b.test", bob, &room), whole, "room version {version}");
        let page = net.ok("b.test", Method::Get, &room_path(&room, "/messages?dir=b&limit=1"), bob, ());
        let newest = &page.get("chunk").and_then(Value::as_array).unwrap()[0];
        assert_eq!(newest.get("sender").and_then(Value::as_str), Some(carol.user_id.as_str()));
    }
}

#[test]
fn a_member_who_could_not_be_checked_at_the_join_is_asked_for_again() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    let users = ["a.test", "b.test", "c.test"].map(|server| net.server(server).register("user"));
    let [alice, bob, carol] = &users;
    let room = create(&mut net, "a.test", alice, everyone());
    net.ok("c.test", Method::Post, &join_path(&room, "a.test"), carol, json!({}));
    net.cut("b.test", "c.test");
    net.ok("b.test", Method::Post, &join_path(&room, "a.test"), bob, json!({}));
    let whole = state(&mut net, "a.test", alice, &room);
    net.heal();
    // A start in between changes nothing.
    net.crash("b.test");
    net.advance(3_600_000);
    // Neither of them cites Carol's join.
    for (server, user, number) in [("a.test", alice, 1), ("b.test", bob, 2)] {
        assert_eq!(
            state(&mut net, "b.test", bob, &room).len(),
            if number == 1 { whole.len() - 1 } else { whole.len() }
        );
        let send = room_path(&room, &alloc::format!("/send/m.room.message/{number}"));
        net.ok(server, Method::Put, &send, user, json!({ "msgtype": "m.text", "body": "here" }));
        net.advance(60_000);
    }
    assert_eq!(state(&mut net, "b.test", bob, &room), whole);
    assert_eq!(net.server("b.test").inspect(|read| rooms_with_holes(read).unwrap()), []);
}

/// Who came in through a server that lacks a member would lack that member too, and never ask for it. So would who is told a state.
#[test]
fn nobody_is_let_in_by_a_server_that_waits_for_a_member() {
    let mut net = Net::new(&["a.test", "b.test", "c.test", "d.test"]);
    let users = ["a.test", "b.test", "c.test", "d.test"].map(|server| net.server(server).register("user"));
    let [alice, bob, carol, dave] = &users;
    let room = create(&mut net, "a.test", alice, everyone());
    net.ok("c.test", Method::Post, &join_path(&room, "a.test"), carol, json!({}));
    net.cut("b.test", "c.test");
    net.ok("b.test", Method::Post, &join_path(&room, "a.test"), bob, json!({}));
    let through_b = join_path(&room, "b.test");
    assert_eq!(net.call("d.test", Method::Post, &through_b, dave, json!({})).0, 404);
    let said = net.ok(
        "b.test",
        Method::Put,
        &room_path(&room, "/send/m.room.message/1"),
        bob,
        json!({ "msgtype": "m.text", "body": "here" }),
    );
    let of = percent_encode(said.get("event_id").and_then(Value::as_str).unwrap());
    let states = ["state", "state_ids"]
        .map(|what| alloc::format!("/_matrix/federation/v1/{what}/{}?event_id={of}", percent_encode(&room)));
    for state in &states {
        assert_eq!(ask(&mut net, "a.test", "b.test", Outgoing::get(state.clone())).0, 404);
    }
    // Carol's server stays away. That must not last for ever.
    net.advance(3_500_000);
    assert_eq!(net.call("d.test", Method::Post, &through_b, dave, json!({})).0, 404);
    net.advance(200_000);
    for state in &states {
        assert_eq!(ask(&mut net, "a.test", "b.test", Outgoing::get(state.clone())).0, 200);
    }
    net.ok("d.test", Method::Post, &through_b, dave, json!({}));
}
