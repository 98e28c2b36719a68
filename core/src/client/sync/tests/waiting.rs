use super::*;

#[test]
fn a_sync_waits_for_its_time_and_no_longer() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    let mut client = Client::synced(&mut server, &alice);
    let id = client.poll(&mut server, 30_000);
    server.advance(29_999);
    assert!(client.polled(&mut server, id).is_none());
    server.advance(1);
    let answer = client.polled(&mut server, id).expect("its time is over");
    assert!(is_quiet(&answer), "{answer}");

    let id = client.poll(&mut server, 30_000);
    server.advance(10_000);
    send(&mut server, &alice, &room, "news");
    let answer = client.polled(&mut server, id).expect("there is news");
    assert_eq!(timeline(&answer, &room), ["news"]);

    // No client waits for longer than the server likes.
    let id = client.poll(&mut server, u64::MAX / 2);
    server.advance(300_000);
    assert!(client.polled(&mut server, id).is_some());
}

#[test]
fn only_those_whom_it_concerns_are_woken() {
    let mut server = Server::new();
    let (alice, bob, carol) = (server.register("alice"), server.register("bob"), server.register("carol"));
    let (common, own) = (public_room(&mut server, &alice), public_room(&mut server, &alice));
    join(&mut server, &bob, &common);
    let mut clients = [&alice, &bob, &carol].map(|user| Client::synced(&mut server, user));
    let mut woken = |server: &mut Server, act: &mut dyn FnMut(&mut Server)| -> Vec<bool> {
        // Twice, as the first makes each of them seen by the others.
        for _ in 0..2 {
            clients.iter_mut().for_each(|client| drop(client.sync(server)));
        }
        let ids: Vec<_> = clients.iter().map(|client| client.poll(server, 1_000)).collect();
        act(server);
        let polled = |(client, id): (&mut Client, &RequestId)| client.polled(server, *id);
        let woken: Vec<Option<Value>> = clients.iter_mut().zip(&ids).map(polled).collect();
        let woken = woken.iter().map(Option::is_some).collect();
        ids.into_iter().for_each(|id| server.hangup(id));
        woken
    };
    assert_eq!(woken(&mut server, &mut |server| drop(send(server, &bob, &common, "a"))), [true, true, false]);
    assert_eq!(woken(&mut server, &mut |server| drop(send(server, &alice, &own, "b"))), [true, false, false]);
    assert_eq!(woken(&mut server, &mut |server| invite(server, &alice, &own, &carol)), [true, false, true]);
    assert_eq!(woken(&mut server, &mut |server| join(server, &carol, &common)), [true, true, true]);
    assert_eq!(woken(&mut server, &mut |server| leave(server, &bob, &common)), [true, true, true]);
    assert_eq!(woken(&mut server, &mut |server| drop(send(server, &alice, &common, "c"))), [true, false, true]);
    let put = |server: &mut Server, user: &User| {
        let target = alloc::format!("/_matrix/client/v3/user/{}/account_data/a.b", encode(&user.user_id));
        server.ok(Method::Put, &target, user, json!({}));
    };
    assert_eq!(woken(&mut server, &mut |server| put(server, &bob)), [false, true, false]);
}

#[test]
fn what_a_filter_drops_wakes_nobody_and_is_not_looked_at_again() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    let filter = json!({ "room": { "timeline": { "not_types": ["m.room.message"] } } });
    let mut client = Client::new(&alice).with_filter(&filter);
    client.sync(&mut server);
    let before = client.since.clone();
    let id = client.poll(&mut server, 10_000);
    for i in 0..5 {
        send(&mut server, &alice, &room, &alloc::format!("dropped {i}"));
    }
    assert!(client.polled(&mut server, id).is_none());
    server.advance(10_000);
    let answer = client.polled(&mut server, id).unwrap();
    assert!(is_quiet(&answer), "{answer}");
    assert_ne!(client.since, before, "the token moves on");
    // And so it does for a sync that does not wait.
    send(&mut server, &alice, &room, "dropped");
    let before = client.since.clone();
    assert!(is_quiet(&client.sync(&mut server)));
    assert_ne!(client.since, before);
    // What comes after is told once, and alone.
    let id = client.poll(&mut server, 10_000);
    send(&mut server, &alice, &room, "dropped");
    set_state(&mut server, &alice, &room, "m.room.topic", "", json!({ "topic": "x" }));
    assert_eq!(timeline(&client.polled(&mut server, id).unwrap(), &room), ["topic|"]);
    assert!(is_quiet(&client.sync(&mut server)));
}

#[test]
fn a_client_that_hangs_up_is_not_answered() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let room = public_room(&mut server, &alice);
    let client = Client::synced(&mut server, &alice);
    let id = client.poll(&mut server, 10_000);
    server.hangup(id);
    send(&mut server, &alice, &room, "news");
    server.advance(20_000);
    assert!(server.take_reply(id).is_none());
}

#[test]
fn a_session_that_ends_ends_its_syncs() {
    let mut server = Server::new();
    let (alice, room) = {
        let alice = server.register("alice");
        let room = public_room(&mut server, &alice);
        (alice, room)
    };
    let (other, third) = (server.login("alice"), server.login("alice"));
    let mut clients = [&alice, &other, &third].map(|user| Client::synced(&mut server, user));
    let ids = [0, 1, 2].map(|i| clients[i].poll(&mut server, 30_000));
    server.ok(Method::Post, "/_matrix/client/v3/logout", &other, ());
    let (status, answer) = server.take_reply(ids[1]).expect("the session is over");
    assert_eq!((status, text(&answer, "errcode")), (401, "M_UNKNOWN_TOKEN"));
    assert_eq!(answer.get("soft_logout"), Some(&json!(false)));
    assert!(server.take_reply(ids[0]).is_none());
    send(&mut server, &alice, &room, "still here");
    assert!(clients[0].polled(&mut server, ids[0]).is_some());
    assert!(clients[2].polled(&mut server, ids[2]).is_some());
    let ids = [0, 2].map(|i| clients[i].poll(&mut server, 30_000));
    server.ok(Method::Post, "/_matrix/client/v3/logout/all", &alice, ());
    for id in ids {
        assert_eq!(server.take_reply(id).expect("every session is over").0, 401);
    }
}

#[test]
fn of_too_many_syncs_of_a_device_the_oldest_is_let_go() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let other = server.login("alice");
    let room = public_room(&mut server, &alice);
    let mut client = Client::synced(&mut server, &alice);
    let mut elsewhere = Client::synced(&mut server, &other);
    let far = elsewhere.poll(&mut server, 30_000);
    let ids: Vec<RequestId> =
        (0..=crate::limits::MAX_SYNCS_PER_DEVICE).map(|_| client.poll(&mut server, 30_000)).collect();
    let mut first = client.polled(&mut server, ids[0]).expect("the oldest makes place");
    assert!(is_quiet(&first), "{first}");
    assert!(ids[1..].iter().all(|id| server.take_reply(*id).is_none()));
    send(&mut server, &alice, &room, "news");
    for id in &ids[1..] {
        first = client.polled(&mut server, *id).expect("all that wait are told");
        assert_eq!(timeline(&first, &room), ["news"]);
    }
    assert!(elsewhere.polled(&mut server, far).is_some());
}

#[test]
fn nobody_is_told_of_what_a_crash_could_take_back() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = public_room(&mut server, &alice);
    join(&mut server, &bob, &room);
    let mut client = Client::synced(&mut server, &bob);
    let id = client.poll(&mut server, 30_000);
    server.hold_commits = true;
    let target = alloc::format!("/_matrix/client/v3/rooms/{}/send/m.room.message/1", encode(&room));
    server.start(Method::Put, &target, &alice, json!({ "body": "held" }));
    assert!(client.polled(&mut server, id).is_none());
    server.release_commits();
    assert_eq!(timeline(&client.polled(&mut server, id).unwrap(), &room), ["held"]);
}

#[test]
fn a_join_tells_the_room_to_those_who_wait() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let room = public_room(&mut server, &alice);
    send(&mut server, &alice, &room, "history");
    let mut client = Client::synced(&mut server, &bob);
    let id = client.poll(&mut server, 30_000);
    join(&mut server, &bob, &room);
    let answer = client.polled(&mut server, id).unwrap();
    assert_eq!(
        timeline(&answer, &room)[..],
        [
            &timeline(&answer, &room)[..timeline(&answer, &room).len() - 2],
            &["history".to_string(), "member|@bobjoin".to_string()]
        ]
        .concat()
    );
    let known: Vec<String> =
        [events(&answer, &room, "state"), events(&answer, &room, "timeline")].concat().iter().map(brief).collect();
    assert!(known.contains(&"create|".to_string()), "{answer}");
    assert_eq!(at(&answer, &["rooms", "join", &room, "summary", "m.joined_member_count"]), &json!(2));
    let id = client.poll(&mut server, 30_000);
    send(&mut server, &alice, &room, "welcome");
    assert_eq!(timeline(&client.polled(&mut server, id).unwrap(), &room), ["welcome"]);
}
