//! Check 7: events of other servers, with or without the policy server's signature.

use super::*;

#[test]
fn an_event_without_a_signature_is_shown_to_the_policy_server() {
    for version in ["1", "6", "11", "12"] {
        let mut world = World::new(version);
        let good = world.of_bob("good");
        assert_eq!(world.receive(&[&good]), received(&good));
        assert_eq!(world.asked(), ["m.room.message"]);
        assert_eq!(world.messages(A), ["good"], "{version}");
        // The signature is kept, for whoever asks for the event.
        assert!(world.is_signed(A, &good.event_id, P, 1));
        assert_eq!(world.explain(A, &good.event_id).unwrap()[1], "accepted");

        world.answers(refused());
        let bad = world.of_bob("bad");
        assert_eq!(world.receive(&[&bad]), received(&bad));
        assert_eq!(world.messages(A), ["good"]);
        let lines = world.explain(A, &bad.event_id).unwrap();
        assert_eq!(lines[1], "soft-failed");
        let why = "because of the room's policy server policy.test has not signed it: 400 M_FORBIDDEN: spam (";
        assert!(lines[2].starts_with(why), "{lines:?}");
        // It stays so.
        world.answers(Answers::Signs(1));
        world.asked();
        world.receive(&[&bad]);
        assert_eq!((world.asked(), world.messages(A)), (Vec::new(), alloc::vec!["good".to_string()]));
    }
}

#[test]
fn a_forged_signature_is_none() {
    let mut world = World::new("11");
    world.answers(refused());
    let pdu = world.of_bob("forged");
    // By another key, by another key ID, by another server, and no base64 at all.
    let by_other = signatures(P, &pdu, 2, world.version);
    let good = signatures(P, &pdu, 1, world.version);
    let good = good.get(P).unwrap().get(POLICY_KEY_ID).unwrap().clone();
    let forged = [
        by_other,
        json!({ P: { "ed25519:other": (good.clone()) } }),
        json!({ "c.test": { "ed25519:policy_server": (good.clone()) } }),
        json!({ P: { "ed25519:policy_server": "?" } }),
    ];
    for (i, more) in forged.into_iter().enumerate() {
        let pdu = world.of_bob(&alloc::format!("forged{i}"));
        let mut event = pdu.to_object();
        let Value::Object(more) = more else { panic!() };
        let signatures = event.get_mut("signatures").and_then(Value::as_object_mut).unwrap();
        signatures.extend(more.iter().map(|(server, of_server)| (server, of_server.clone())));
        let forged = Pdu::parse(event, world.version).unwrap();
        world.receive(&[&forged]);
        assert_eq!(world.asked(), ["m.room.message"], "{i}");
        assert_eq!(world.explain(A, &pdu.event_id).unwrap()[1], "soft-failed", "{i}");
    }
    assert_eq!(world.messages(A), Vec::<String>::new());
}

#[test]
fn a_policy_server_that_does_not_answer_costs_its_room_some_seconds() {
    let mut world = World::new("11");
    let other = create(&mut world.net, A, &world.alice, everyone());
    world.net.ok(B, Method::Post, &join_path(&other, A), &world.bob, json!({}));
    world.net.advance(1000);
    let mut branch = Branch::of(world.net.server(B), &other);
    branch.seeds.insert(B.to_string(), [51; 32]);
    let fast = branch.message(&world.bob.user_id, "fast");
    let mut branch = Branch::of(world.net.server(B), &world.room);
    branch.seeds.insert(B.to_string(), [51; 32]);
    let slow = [0, 1, 2].map(|i| branch.message(&world.bob.user_id, &alloc::format!("slow{i}")));
    world.answers(Answers::Waits);
    let body = transaction(&[&slow[0], &slow[1], &fast, &slow[2]]);
    let target = world.transaction_path();
    let to = ServerName::parse(A).unwrap();
    let answer = world.net.server(B).start_flow(|cx| async move { call(&cx, &to, Outgoing::put(target, body)).await });
    world.net.settle();
    // The other room's event is there already.
    let shown = world.net.ok(A, Method::Get, &room_path(&other, "/messages?dir=b&limit=1"), &world.alice, ());
    assert!(shown.to_string().contains("fast"), "{shown}");
    assert!(answer.borrow().is_none());
    // Asked once, and not for each.
    world.net.time_out();
    assert!(answer.borrow().is_some());
    let requests = world.net.log.iter().filter(|line| line.contains(SIGN)).count();
    assert_eq!(requests, 1);
    for pdu in &slow {
        let lines = world.explain(A, &pdu.event_id).unwrap();
        assert_eq!(lines[1], "soft-failed");
        assert!(lines[2].contains("cannot be asked"), "{lines:?}");
    }
}

#[test]
fn a_policy_server_that_has_too_much_to_do_is_asked_again() {
    let mut world = World::new("11");
    let busy = |pause: u32| json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "later", "retry_after_ms": pause });
    world.answers(Answers::With(429, busy(2000)));
    let pdu = world.of_bob("patient");
    let (target, body) = (world.transaction_path(), transaction(&[&pdu]));
    let to = ServerName::parse(A).unwrap();
    let answer = world.net.server(B).start_flow(|cx| async move { call(&cx, &to, Outgoing::put(target, body)).await });
    world.net.settle();
    assert!(answer.borrow().is_none());
    world.answers(Answers::Signs(1));
    world.net.advance(2000);
    assert!(answer.borrow().is_some());
    assert_eq!(world.messages(A), ["patient"]);
    // Not for ever.
    world.answers(Answers::With(429, busy(60_000)));
    let pdu = world.of_bob("hidden");
    world.receive(&[&pdu]);
    assert_eq!(world.explain(A, &pdu.event_id).unwrap()[1], "soft-failed");
}

#[test]
fn what_the_rules_refuse_is_not_shown_to_it() {
    let mut world = World::new("11");
    let mut branch = Branch::of(world.net.server(B), &world.room);
    branch.seeds.insert(B.to_string(), [51; 32]);
    let rejected = branch.send(&world.bob.user_id, "m.room.topic", Some(""), json!({ "topic": "mine" }));
    let policy = branch.draft(&world.bob.user_id, "m.room.policy", Some(""), json!({}), None);
    for pdu in [&rejected, &policy] {
        world.receive(&[pdu]);
        assert_eq!(world.explain(A, &pdu.event_id).unwrap()[1], "rejected");
    }
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[test]
fn who_comes_in_is_shown_to_it_by_the_server_that_lets_them_in() {
    let mut world = World::new("11");
    let dave = world.net.server(B).register("dave");
    // B is in the room, and may ask by itself.
    world.net.ok(B, Method::Post, &room_path(&world.room, "/join"), &dave, json!({}));
    assert_eq!(world.asked(), ["m.room.member"]);
    world.net.ok(B, Method::Post, &room_path(&world.room, "/leave"), &world.bob, json!({}));
    world.net.ok(B, Method::Post, &room_path(&world.room, "/leave"), &dave, json!({}));
    world.net.advance(1000);
    world.asked();
    // Now it is not, and A asks for it.
    world.answers(refused());
    let (status, answer) = world.net.call(B, Method::Post, &join_path(&world.room, A), &dave, json!({}));
    assert_eq!((status, answer.get("error")), (400, Some(&Value::from("spam"))));
    assert_eq!(world.asked(), ["m.room.member"; 2], "by A, and by P, which is in the room too");
    world.answers(Answers::Signs(1));
    world.net.ok(B, Method::Post, &join_path(&world.room, A), &dave, json!({}));
    assert_eq!(world.asked(), ["m.room.member"]);
    world.net.advance(1000);
    assert_eq!(world.asked(), Vec::<String>::new());
    let path =
        room_path(&world.room, &alloc::format!("/state/m.room.member/{}?format=event", percent_encode(&dave.user_id)));
    for (server, user) in [(A, world.alice.clone()), (B, dave)] {
        let event = world.net.ok(server, Method::Get, &path, &user, ());
        assert!(world.is_signed(server, &id(&event), P, 1), "{server}");
    }
}

#[test]
fn what_was_missing_is_shown_to_it_too() {
    let mut world = World::new("11");
    let mut branch = Branch::of(world.net.server(B), &world.room);
    branch.seeds.insert(B.to_string(), [51; 32]);
    let missing = branch.message(&world.bob.user_id, "missing");
    let last = branch.message(&world.bob.user_id, "last");
    let path = alloc::format!("/_matrix/federation/v1/get_missing_events/{}", percent_encode(&world.room));
    world.net.lie(B, &path, 200, json!({ "events": [(missing.to_object())] }));
    world.receive(&[&last]);
    assert_eq!(world.asked().len(), 2);
    assert_eq!(world.messages(A), ["missing", "last"]);
}

#[test]
fn the_room_may_change_its_mind_meanwhile() {
    let mut world = World::new("11");
    world.answers(Answers::Waits);
    let pdu = world.of_bob("late");
    let (target, body) = (world.transaction_path(), transaction(&[&pdu]));
    let to = ServerName::parse(A).unwrap();
    let answer = world.net.server(B).start_flow(|cx| async move { call(&cx, &to, Outgoing::put(target, body)).await });
    world.net.settle();
    world.enable(json!({}));
    world.net.time_out();
    assert!(answer.borrow().is_some());
    assert_eq!(world.explain(A, &pdu.event_id).unwrap()[1], "accepted");
}

#[test]
fn a_restart_forgets_that_it_asked_and_is_sent_the_event_again() {
    let mut world = World::new("11");
    world.answers(Answers::Waits);
    let pdu = world.of_bob("again");
    let (target, body) = (world.transaction_path(), transaction(&[&pdu]));
    let to = ServerName::parse(A).unwrap();
    let answer = world.net.server(B).start_flow(|cx| async move { call(&cx, &to, Outgoing::put(target, body)).await });
    world.net.settle();
    world.net.crash(A);
    assert!(matches!(*answer.borrow(), Some(Err(_))));
    assert!(world.explain(A, &pdu.event_id).is_none());
    world.answers(Answers::Signs(1));
    world.net.advance(60_000);
    world.receive(&[&pdu]);
    assert_eq!(world.messages(A), ["again"]);
}
