//! `PUT /send/{txnId}`.

use super::*;
use crate::canonical_json::Object;
use crate::room::Room;
use crate::testing::branch::Branch;

const SEND: &str = "/_matrix/federation/v1/send/1";

#[test]
fn transactions_that_are_none() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let many = |count: usize| Value::Array(alloc::vec![json!({}); count]);
    for (body, status, errcode) in [
        (json!({ "origin": "b.test", "pdus": [] }), 403, "M_FORBIDDEN"),
        (json!({ "origin": "a.test", "pdus": {} }), 400, "M_BAD_JSON"),
        (json!({ "origin": "a.test", "pdus": (many(51)) }), 400, "M_BAD_JSON"),
        (json!({ "origin": "a.test", "pdus": [], "edus": (many(101)) }), 400, "M_BAD_JSON"),
        (json!([]), 400, "M_BAD_JSON"),
    ] {
        let (found, answer) = ask(&mut net, "a.test", "b.test", Outgoing::put(SEND, body));
        assert_eq!((found, answer.get("errcode")), (status, Some(&Value::from(errcode))), "{answer}");
    }
    for body in [
        json!({ "origin": "a.test", "pdus": [] }),
        json!({ "pdus": (many(50)), "edus": (many(100)) }),
        json!({ "pdus": [1, null, "x", { "room_id": "!nowhere:a.test" }, { "room_id": 7 }] }),
    ] {
        let target = alloc::format!("{SEND}{}", body.to_string().len());
        let (status, answer) = ask(&mut net, "a.test", "b.test", Outgoing::put(target, body));
        assert_eq!((status, answer), (200, json!({ "pdus": {} })));
    }
}

/// A room on B that Alice of A is in, and a branch that only this test knows of.
fn world(body: Value) -> (Net, User, User, Branch) {
    let mut net = Net::new(&["a.test", "b.test"]);
    let bob = net.server("b.test").register("bob");
    let alice = net.server("a.test").register("alice");
    let room = create(&mut net, "b.test", &bob, body);
    net.ok("a.test", Method::Post, &join_path(&room, "b.test"), &alice, json!({}));
    net.advance(1000);
    let mut branch = Branch::of(net.server("b.test"), &room);
    branch.seeds.insert("a.test".to_string(), [50; 32]);
    (net, alice, bob, branch)
}

#[track_caller]
fn send(net: &mut Net, id: &str, pdus: Vec<Value>) -> Value {
    let target = alloc::format!("/_matrix/federation/v1/send/{id}");
    let (status, answer) = ask(net, "a.test", "b.test", Outgoing::put(target, json!({ "pdus": (pdus) })));
    assert_eq!(status, 200, "{answer}");
    answer.get("pdus").unwrap().clone()
}

/// The event as B has it: its content, and whether it is in the timeline.
fn found(net: &mut Net, room: &str, event_id: &str) -> Option<(String, bool)> {
    net.server("b.test").inspect(|read| {
        let event = Room::find(read, room).unwrap().unwrap().event(read, event_id).unwrap()?;
        Some((String::from_utf8(event.content_bytes().to_vec()).unwrap(), event.is_in_timeline()))
    })
}

#[test]
fn a_bad_event_fails_alone() {
    for version in ["1", "4", "11", "12"] {
        let (mut net, alice, _, mut branch) = world(json!({ "preset": "public_chat", "room_version": (version) }));
        let room = branch.room_id.to_string();
        let alice = alice.user_id.as_str();
        let good = branch.message(alice, "good");
        let fork = branch.clone();
        let mut forged = fork.clone();
        forged.seeds.clear();
        let forged = forged.message(alice, "forged");
        let changed = branch.message(alice, "changed");
        let mut changed_object = changed.to_object();
        changed_object.insert("content", Object::new().with("body", "to something else").with("msgtype", "m.text"));
        let mut malformed = fork.clone().message(alice, "malformed").to_object();
        malformed.remove("depth");
        let not_allowed = fork.clone().send(alice, "m.room.power_levels", Some(""), json!({}));
        let after = branch.message(alice, "after");
        let pdus = [
            good.to_object(),
            forged.to_object(),
            malformed,
            not_allowed.to_object(),
            changed_object,
            after.to_object(),
        ];
        let answer = send(&mut net, "1", pdus.into_iter().map(Value::from).collect());
        let failed = |event: &crate::event::Pdu| answer.get(&event.event_id).unwrap().get("error").is_some();
        assert!(!failed(&good) && !failed(&after) && !failed(&changed), "{version} {answer}");
        assert!(failed(&forged) && failed(&not_allowed), "{version} {answer}");
        assert_eq!(found(&mut net, &room, &forged.event_id), None);
        assert_eq!(found(&mut net, &room, &not_allowed.event_id).map(|found| found.1), Some(false));
        assert!(found(&mut net, &room, &after.event_id).unwrap().1);
        // What does not match its hash is redacted, and stays where it is in the graph.
        assert_eq!(found(&mut net, &room, &changed.event_id), Some(("{}".to_string(), true)), "{version}");
    }
}

#[test]
fn a_second_attempt_is_answered_as_the_first() {
    let (mut net, alice, _, mut branch) = world(everyone());
    let first = branch.message(alice.user_id.as_str(), "first");
    let answer = send(&mut net, "1", alloc::vec![first.to_object().into()]);
    let other = branch.message(alice.user_id.as_str(), "other");
    assert_eq!(send(&mut net, "1", alloc::vec![other.to_object().into()]), answer);
    assert_eq!(found(&mut net, &branch.room_id, &other.event_id), None);
    net.crash("b.test");
    assert_eq!(send(&mut net, "1", alloc::vec![other.to_object().into()]), answer);
    send(&mut net, "2", alloc::vec![other.to_object().into()]);
    assert!(found(&mut net, &branch.room_id, &other.event_id).is_some());
    // One that was held up comes once more after others.
    for id in 3..20 {
        send(&mut net, &id.to_string(), Vec::new());
    }
    let late = branch.message(alice.user_id.as_str(), "late");
    assert_eq!(send(&mut net, "1", alloc::vec![late.to_object().into()]), json!({}));
    assert_eq!(found(&mut net, &branch.room_id, &late.event_id), None);
}

#[test]
fn a_server_that_is_kept_out_is_not_listened_to() {
    let (mut net, alice, bob, mut branch) = world(everyone());
    let room = branch.room_id.to_string();
    let acl = json!({ "allow": ["*"], "deny": ["A.test"] });
    net.ok("b.test", Method::Put, &room_path(&room, "/state/m.room.server_acl/"), &bob, acl);
    let event = branch.message(alice.user_id.as_str(), "hello");
    let answer = send(&mut net, "1", alloc::vec![event.to_object().into()]);
    assert!(answer.get(&event.event_id).unwrap().get("error").is_some(), "{answer}");
    assert_eq!(found(&mut net, &room, &event.event_id), None);
}

#[test]
fn a_room_that_everybody_here_has_left_is_not_followed() {
    let (mut net, alice, bob, mut branch) = world(everyone());
    let room = branch.room_id.to_string();
    net.ok("b.test", Method::Post, &room_path(&room, "/leave"), &bob, json!({}));
    let event = branch.message(alice.user_id.as_str(), "hello");
    let answer = send(&mut net, "1", alloc::vec![event.to_object().into()]);
    assert!(answer.get(&event.event_id).unwrap().get("error").is_some(), "{answer}");
    assert_eq!(found(&mut net, &room, &event.event_id), None);
}

/// Events of one room are received in one step; one among them for which something is missing ends that step and not the others.
#[test]
fn an_event_after_a_gap_holds_up_nothing_but_itself() {
    let (mut net, alice, _, mut branch) = world(everyone());
    let room = branch.room_id.to_string();
    let alice = alice.user_id.as_str();
    let before = branch.message(alice, "before");
    let mut lost = branch.clone();
    lost.message(alice, "nobody has it");
    let after_gap = lost.message(alice, "after a gap");
    let after = branch.message(alice, "after");
    let pdus = [&before, &after_gap, &after].map(|pdu| Value::from(pdu.to_object()));
    let answer = send(&mut net, "1", pdus.to_vec());
    let failed = |event: &crate::event::Pdu| answer.get(&event.event_id).unwrap().get("error").is_some();
    assert!(!failed(&before) && failed(&after_gap) && !failed(&after), "{answer}");
    assert!(found(&mut net, &room, &before.event_id).unwrap().1 && found(&mut net, &room, &after.event_id).unwrap().1);
    assert_eq!(found(&mut net, &room, &after_gap.event_id), None);
}

/// What this server has of an event can be broken. Then what needs it cannot be received, and the rest can.
#[test]
fn an_event_that_cannot_be_stored_fails_alone() {
    let (mut net, alice, _, mut branch) = world(everyone());
    let room = branch.room_id.to_string();
    let alice = alice.user_id.as_str();
    let broken = branch.message(alice, "broken");
    let next = branch.message(alice, "next");
    send(&mut net, "1", alloc::vec![broken.to_object().into(), next.to_object().into()]);
    let (room_id, event_id) = (room.clone(), broken.event_id.clone());
    net.run("b.test", |cx| async move {
        let broken = cx.step(|step| {
            let room = Room::find(step, &room_id)?.unwrap();
            let mut event = room.event(step, &event_id)?.unwrap();
            event.json = "{".into();
            event.put(step, room.num);
            Ok(())
        });
        broken.unwrap();
    });
    let before = branch.message(alice, "before");
    let redaction = branch.clone().redact(alice, &broken.event_id);
    let after = branch.message(alice, "after");
    let pdus: Vec<Value> = [&before, &redaction, &after].map(|pdu| Value::from(pdu.to_object())).to_vec();
    let to = ServerName::parse("b.test").unwrap();
    let request = Outgoing::put("/_matrix/federation/v1/send/2", json!({ "pdus": (pdus) }));
    let answer = net.server("a.test").start_flow(|cx| async move { call(&cx, &to, request).await });
    net.settle();
    net.advance(60_000);
    let answer = answer.borrow_mut().take().unwrap().unwrap();
    let failed =
        |event: &crate::event::Pdu| answer.get("pdus").unwrap().get(&event.event_id).unwrap().get("error").is_some();
    assert!(!failed(&before) && failed(&redaction) && !failed(&after), "{answer}");
    assert!(found(&mut net, &room, &after.event_id).unwrap().1);
}
