//! While the others answer.

use super::*;
use crate::federation::destination::{Destination, Due};
use crate::room::EventIndex;
use crate::store::tables::{Position, RoomNum};

#[test]
fn a_message_is_sent_at_once_and_only_to_those_in_the_room() {
    let mut world = World::new();
    let (alice, shared) = world.room_with(&["b.test", "c.test"]);
    let (bob, local) = world.room_with(&[]);
    world.settle();
    world.say(&bob, &local, "nobody");
    assert!(world.server.fetches.is_empty());
    world.say(&alice, &shared, "m1");
    world.settle();
    assert_eq!(world.messages("b.test"), ["m1"]);
    assert_eq!(world.messages("c.test"), ["m1"]);
    world.set_member(&shared, "c.test", false);
    world.say(&alice, &shared, "m2");
    world.settle();
    assert_eq!(world.messages("b.test"), ["m1", "m2"]);
    assert_eq!(world.messages("c.test"), ["m1"]);
    assert!(world.server.report().is_empty());
}

#[test]
fn what_comes_meanwhile_is_one_transaction_and_in_order() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test"]);
    world.settle();
    world.slow.insert("b.test".to_string());
    for word in words(0..121) {
        world.say(&alice, &room, &word);
        world.settle();
    }
    assert_eq!(world.waiting.len(), 1);
    for _ in 0..4 {
        world.answer_slow();
    }
    assert_eq!(world.messages("b.test"), words(0..121));
    let transactions: Vec<usize> =
        world.got.iter().map(|got| got.2.get("pdus").and_then(Value::as_array).unwrap().len()).collect();
    assert_eq!(transactions[transactions.len() - 4..], [1, 50, 50, 20]);
    let ids: BTreeSet<&String> = world.got.iter().map(|got| &got.1).collect();
    assert_eq!(ids.len(), world.got.len());
}

#[test]
fn one_that_takes_its_time_does_not_keep_the_others_waiting() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test", "slow.test"]);
    world.settle();
    world.slow.insert("slow.test".to_string());
    for word in words(0..10) {
        world.say(&alice, &room, &word);
        world.settle();
    }
    assert_eq!(world.messages("b.test"), words(0..10));
    assert_eq!(world.messages("slow.test"), Vec::<String>::new());
    world.answer_slow();
    world.answer_slow();
    assert_eq!(world.messages("slow.test"), words(0..10));
}

/// More waits than is kept in memory: nothing of it is lost, and a server that answers is sent all of it.
#[test]
fn one_that_cannot_keep_up_gets_everything() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test"]);
    world.settle();
    world.slow.insert("b.test".to_string());
    for word in words(0..2300) {
        world.say(&alice, &room, &word);
    }
    world.settle();
    world.slow.clear();
    world.answer_slow();
    let messages = world.messages("b.test");
    let counts = counted(&messages);
    assert!(words(0..2300).iter().all(|word| counts.contains_key(word.as_str())));
    // What was under way when the queue became rows is sent twice, which the other server does not mind.
    assert!(messages.len() <= 2300 + 50, "{}", messages.len());
    world.say(&alice, &room, "last");
    world.settle();
    assert_eq!(world.messages("b.test").len(), messages.len() + 1);
}

#[test]
fn a_server_that_is_put_out_gets_to_know() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&[]);
    let path = alloc::format!("/_matrix/client/v3/rooms/{room}/ban");
    world.server.ok(Method::Post, &path, &alice, json!({ "user_id": "@mallory:b.test" }));
    world.settle();
    let [(to, _, body)] = world.got.as_slice() else { panic!("{:?}", world.got) };
    assert_eq!(to, "b.test");
    let pdus = body.get("pdus").and_then(Value::as_array).unwrap();
    assert_eq!(pdus.iter().map(|pdu| pdu.get("type")).collect::<Vec<_>>(), [Some(&Value::from("m.room.member"))]);
}

#[test]
fn receipts_go_to_the_other_servers() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test"]);
    let path = alloc::format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1");
    let event = world.server.ok(Method::Put, &path, &alice, json!({ "body": "hello" }));
    let event_id = event.get("event_id").and_then(Value::as_str).unwrap().to_string();
    for (kind, body) in
        [("m.read.private", json!({})), ("m.read", json!({})), ("m.read", json!({ "thread_id": "main" }))]
    {
        let path = alloc::format!("/_matrix/client/v3/rooms/{room}/receipt/{kind}/{event_id}");
        world.server.ok(Method::Post, &path, &alice, body);
    }
    world.settle();
    let receipts = world.edus("b.test", "m.receipt");
    let thread = |edu: &Object| {
        let of_user = edu.object(&room).unwrap().object("m.read").unwrap().object(&alice.user_id).unwrap();
        assert_eq!(of_user.get("event_ids"), Some(&json!([(event_id.as_str())])));
        of_user.object("data").unwrap().get("thread_id").cloned()
    };
    assert_eq!(receipts.iter().map(thread).collect::<Vec<_>>(), [None, Some(Value::from("main"))]);
}

/// The log is looked through again from where that began if the storage could not be read in between.
#[test]
fn what_is_found_again_in_the_log_is_due_once() {
    let mut world = World::new();
    world.server.start_flow(|cx| async move {
        let added = cx.step(|step| {
            let due = |position, event| Due {
                position: Position(position),
                room: RoomNum(1),
                event: Some(EventIndex(event)),
                is_last: false,
            };
            let log = [due(1, 1), due(2, 2), due(2, 3), due(3, 4)];
            let mut destination = Destination::load(step, &ServerName::parse("b.test").unwrap(), step.now)?;
            for found in [&log[..2], &log[..3], &log[..], &log[..]] {
                for due in found {
                    destination.add(step, *due)?;
                }
            }
            assert_eq!(destination.queued(), log.len());
            Ok(())
        });
        added.unwrap();
    });
}
