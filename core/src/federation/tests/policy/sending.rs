//! Events of this server, which their policy server signs before anybody gets them.

use super::*;

#[test]
fn what_is_sent_is_signed() {
    for version in ["1", "3", "6", "10", "11", "12"] {
        let mut world = World::new(version);
        let (status, answer) = world.say("hello");
        assert_eq!(status, 200, "{answer}");
        assert_eq!(world.asked(), ["m.room.message"]);
        world.net.advance(1000);
        for server in [A, B] {
            assert_eq!(world.messages(server), ["hello"]);
            assert!(world.is_signed(server, &id(&answer), P, 1), "{version} {server}");
        }
        // Who gets it asks no more.
        assert_eq!(world.asked(), Vec::<String>::new());
    }
}

#[test]
fn everything_but_the_policy_itself_is_signed() {
    let mut world = World::new("11");
    let said = id(&world.say("hello").1);
    world.net.advance(1000);
    world.asked();
    let room = world.room.clone();
    let (carol, dave) = (world.net.server(A).register("carol"), world.net.server(B).register("dave"));
    let (alice, redacted) = (world.alice.clone(), percent_encode(&said));
    let who = |user: &User| json!({ "user_id": (user.user_id.as_str()) });
    let requests: Vec<(&str, Method, String, &User, Value)> = alloc::vec![
        ("m.room.topic", Method::Put, room_path(&room, "/state/m.room.topic/"), &alice, json!({ "topic": "tea" })),
        ("m.room.policy", Method::Put, room_path(&room, "/state/m.room.policy/x"), &alice, json!({})),
        ("m.room.policy", Method::Put, room_path(&room, "/send/m.room.policy/1"), &alice, json!({})),
        ("m.room.redaction", Method::Put, room_path(&room, &alloc::format!("/redact/{redacted}/2")), &alice, json!({})),
        ("m.room.member", Method::Post, room_path(&room, "/invite"), &alice, who(&carol)),
        ("m.room.member", Method::Post, room_path(&room, "/join"), &carol, json!({})),
        ("m.room.member", Method::Post, room_path(&room, "/leave"), &carol, json!({})),
        ("m.room.member", Method::Post, room_path(&room, "/ban"), &alice, who(&carol)),
        ("m.room.member", Method::Post, room_path(&room, "/unban"), &alice, who(&carol)),
        ("m.room.member", Method::Post, room_path(&room, "/invite"), &alice, who(&dave)),
        ("m.room.member", Method::Post, room_path(&room, "/kick"), &alice, who(&dave)),
    ];
    for (kind, method, path, user, body) in requests {
        world.net.ok(A, method, &path, user, body);
        assert_eq!(world.asked(), [kind], "{path}");
    }
    // A profile is repeated in the room.
    let name = alloc::format!("/_matrix/client/v3/profile/{}/displayname", percent_encode(&alice.user_id));
    world.net.ok(A, Method::Put, &name, &alice, json!({ "displayname": "Al" }));
    assert_eq!(world.asked(), ["m.room.member"]);
    world.net.advance(1000);
    assert_eq!(world.asked(), Vec::<String>::new(), "B found nothing to ask");
    let (here, there) = (state(&mut world.net, A, &alice, &room), state(&mut world.net, B, &world.bob, &room));
    assert_eq!(here, there);
}

#[test]
fn a_refusal_is_passed_on() {
    let mut world = World::new("11");
    let error = |errcode: &str| json!({ "errcode": errcode, "error": "no", "retry_after_ms": 5 });
    let nothing = || Value::Object(Object::new());
    for (i, (answer, status, errcode)) in [
        (refused(), 400, "M_FORBIDDEN"),
        (Answers::With(403, error("M_FORBIDDEN")), 403, "M_FORBIDDEN"),
        (Answers::With(404, error("M_NOT_FOUND")), 404, "M_NOT_FOUND"),
        (Answers::With(404, error("M_UNRECOGNIZED")), 404, "M_UNRECOGNIZED"),
        (Answers::With(429, error("M_LIMIT_EXCEEDED")), 429, "M_LIMIT_EXCEEDED"),
        // What would end the client's session.
        (Answers::With(401, error("M_UNKNOWN_TOKEN")), 403, "M_FORBIDDEN"),
        (Answers::With(400, error("M_UNKNOWN_TOKEN")), 403, "M_FORBIDDEN"),
        (Answers::With(500, error("M_UNKNOWN")), 502, "M_UNKNOWN"),
        // Without a signature, or without a good one.
        (Answers::With(200, nothing()), 403, "M_FORBIDDEN"),
        (Answers::With(200, json!([])), 403, "M_FORBIDDEN"),
        (Answers::With(200, json!({ P: { "ed25519:policy_server": "short" } })), 403, "M_FORBIDDEN"),
        (Answers::With(200, json!({ P: { "ed25519:1": "AA" } })), 403, "M_FORBIDDEN"),
        (Answers::Signs(2), 403, "M_FORBIDDEN"),
    ]
    .into_iter()
    .enumerate()
    {
        world.answers(answer);
        let (found, answer) = world.say(&i.to_string());
        assert_eq!((found, answer.get("errcode")), (status, Some(&Value::from(errcode))), "{i}: {answer}");
        if i == 0 {
            assert_eq!(answer, json!({ "errcode": "M_FORBIDDEN", "error": "spam", "org.example.score": 9 }));
        }
        assert_eq!(world.asked().len(), 1, "{i}");
    }
    // Memberships too, also those that another server has a say in.
    world.answers(refused());
    let dave = world.net.server(B).register("dave");
    let invite = json!({ "user_id": (dave.user_id.as_str()) });
    for (path, body) in [("/leave", json!({})), ("/invite", invite)] {
        let (status, answer) = world.net.call(A, Method::Post, &room_path(&world.room, path), &world.alice, body);
        assert_eq!((status, answer.get("error")), (400, Some(&Value::from("spam"))), "{path}");
    }
    assert!(in_sync(&mut world.net, B, &dave, "invite", &world.room).is_none());
    world.net.advance(1000);
    for server in [A, B] {
        assert_eq!(world.messages(server), Vec::<String>::new());
    }
    // What was refused was not sent: the same again is asked again.
    world.answers(Answers::Signs(1));
    assert_eq!(world.say("0").0, 200);
}

#[test]
fn a_policy_server_that_is_gone_can_be_unset() {
    let mut world = World::new("11");
    world.net.cut(A, P);
    let (status, answer) = world.say("lost");
    assert_eq!((status, answer.get("errcode")), (502, Some(&Value::from("M_UNKNOWN"))));
    // It is left alone for a while.
    let requests = world.net.log.len();
    assert_eq!(world.say("lost").0, 502);
    assert_eq!(world.net.log.len(), requests);
    world.enable(json!({}));
    assert_eq!(world.say("found").0, 200);
    assert_eq!(world.messages(A), ["found"]);
}

/// Alice says something that the policy server does not answer yet.
fn begin(world: &mut World, text: &str) -> crate::input::RequestId {
    world.answers(Answers::Waits);
    let (path, alice) = (world.message_path(text), world.alice.clone());
    let id = world.net.server(A).start(Method::Put, &path, &alice, body(text));
    world.net.settle();
    assert!(world.net.server(A).take_reply(id).is_none(), "it waits");
    id
}

#[test]
fn what_changed_meanwhile_counts() {
    // A user who was put out says nothing more.
    let mut world = World::new("11");
    let carol = world.net.server(A).register("carol");
    world.net.ok(A, Method::Post, &room_path(&world.room, "/join"), &carol, json!({}));
    world.answers(Answers::Waits);
    let path = world.message_path("late");
    let said = world.net.server(A).start(Method::Put, &path, &carol, body("late"));
    world.net.settle();
    // The ban is the room's, by a server that has it signed first.
    let mut branch = Branch::of(world.net.server(A), &world.room);
    branch.seeds.insert(A.to_string(), [50; 32]);
    let ban = branch.member(&world.alice.user_id, &carol.user_id, "ban");
    let given = signatures(P, &ban, 1, world.version);
    let mut signed = ban.to_object();
    let of_policy = given.get(P).unwrap().clone();
    signed.get_mut("signatures").and_then(Value::as_object_mut).unwrap().insert(P, of_policy);
    let signed = Pdu::parse(signed, world.version).unwrap();
    assert_eq!(world.receive(&[&signed]), received(&ban));
    world.answers(Answers::Signs(1));
    world.net.release();
    let (status, answer) = world.net.server(A).take_reply(said).unwrap();
    assert_eq!((status, answer.get("errcode")), (403, Some(&Value::from("M_FORBIDDEN"))), "{answer}");
    assert_eq!(world.messages(A), Vec::<String>::new());

    // Another policy server, or another key, is asked in its turn.
    let mut world = World::new("11");
    let said = begin(&mut world, "twice");
    world.answers(Answers::Waits);
    world.enable(policy(P, 2));
    world.answers(Answers::Signs(1));
    world.net.release();
    let (status, _) = world.net.server(A).take_reply(said).unwrap();
    assert_eq!((status, world.asked().len()), (403, 2), "with the old key it signs nothing that counts now");
    let said = begin(&mut world, "once");
    world.enable(json!({}));
    world.net.time_out();
    assert_eq!(world.net.server(A).take_reply(said).unwrap().0, 200, "the room has none any more");
    assert_eq!(world.messages(A), ["once"]);
}

#[test]
fn events_keep_their_order_and_are_said_once() {
    let mut world = World::new("11");
    let first = begin(&mut world, "1");
    let again = begin(&mut world, "1");
    let second = begin(&mut world, "2");
    world.answers(Answers::Signs(1));
    world.net.release();
    let mut replies = [first, again, second].map(|id| world.net.server(A).take_reply(id).unwrap());
    assert_eq!(replies.each_ref().map(|reply| reply.0), [200; 3]);
    assert_eq!(replies[0], replies[1]);
    assert_eq!(world.asked().len(), 2);
    world.net.advance(1000);
    for server in [A, B] {
        assert_eq!(world.messages(server), ["1", "2"]);
    }
    // Nothing forked: each follows the one before it.
    let lines = world.explain(A, &id(&replies[2].1)).unwrap();
    let previous: Vec<&String> = lines.iter().filter(|line| line.starts_with("previous")).collect();
    assert_eq!(previous.len(), 1);
    assert!(previous[0].contains(&id(&replies[0].1)), "{previous:?}");
    replies.reverse();
}

#[test]
fn another_room_does_not_wait() {
    let mut world = World::new("11");
    let said = begin(&mut world, "slow");
    let other = create(&mut world.net, A, &world.alice, everyone());
    world.net.ok(A, Method::Put, &room_path(&other, "/send/m.room.message/1"), &world.alice, body("fast"));
    // So many wait, and no more.
    let mut waiting = alloc::vec![said];
    for i in 0..=crate::limits::MAX_WAITING_FOR_POLICY {
        let (path, alice) = (world.message_path(&alloc::format!("w{i}")), world.alice.clone());
        waiting.push(world.net.server(A).start(Method::Put, &path, &alice, body("w")));
    }
    let last = waiting.pop().unwrap();
    let (status, answer) = world.net.server(A).take_reply(last).unwrap();
    assert_eq!((status, answer.get("errcode")), (429, Some(&Value::from("M_LIMIT_EXCEEDED"))));
    // Once it has not answered, nobody waits as long again.
    world.net.time_out();
    for id in waiting {
        assert_eq!(world.net.server(A).take_reply(id).unwrap().0, 502);
    }
}

#[test]
fn a_client_that_is_gone_and_a_restart() {
    let mut world = World::new("11");
    // A client that is gone does not take its event along.
    let said = begin(&mut world, "1");
    world.net.server(A).hangup(said);
    world.answers(Answers::Signs(1));
    world.net.release();
    assert_eq!(world.messages(A), ["1"]);
    assert_eq!(world.say("1").0, 200);
    assert_eq!(world.messages(A), ["1"]);
    // A restart does; the client sends it again.
    begin(&mut world, "2");
    world.net.crash(A);
    world.answers(Answers::Signs(1));
    world.net.release();
    assert_eq!(world.messages(A), ["1"]);
    assert_eq!(world.say("2").0, 200);
    assert_eq!(world.messages(A), ["1", "2"]);
}

#[test]
fn a_policy_server_may_have_the_name_of_this_server() {
    let mut world = World::without("11");
    world.enable(policy(A, 1));
    // Where nothing else answers to the name, this server does, which is none.
    let (status, answer) = world.say("nobody");
    assert_eq!((status, answer.get("errcode")), (404, Some(&Value::from("M_UNRECOGNIZED"))));
    world.serve(A);
    let (status, answer) = world.say("beside");
    assert_eq!(status, 200, "{answer}");
    // Both signatures of the one name are there: B checks the one and the other.
    world.net.advance(1000);
    assert_eq!(world.messages(B), ["beside"]);
    assert!(world.is_signed(B, &id(&answer), A, 1));
    assert_eq!(world.asked(), ["m.room.message"]);
    // A room that is made so has nobody in it to be protected.
    let event = json!({ "type": "m.room.policy", "content": (policy(A, 1)) });
    let room = create(&mut world.net, A, &world.alice, json!({ "initial_state": [(event)], "name": "Tea" }));
    assert_eq!(world.asked(), Vec::<String>::new());
    world.net.ok(A, Method::Put, &room_path(&room, "/send/m.room.message/1"), &world.alice, body("asked"));
    assert_eq!(world.asked(), ["m.room.message"]);
}
