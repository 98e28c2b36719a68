//! While others do not answer, and after that; and when this server crashes.

use super::*;
use crate::federation::{edus, remote_server};
use crate::identifiers::UserId;

fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

#[test]
fn one_that_does_not_answer_is_asked_ever_more_rarely_and_then_gets_everything() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test"]);
    world.settle();
    world.down.insert("b.test".to_string());
    let before = world.requests;
    for word in words(0..10) {
        world.say(&alice, &room, &word);
        world.advance(1000);
    }
    assert!((2..=3).contains(&(world.requests - before)), "{}", world.requests - before);
    // The pause outlives a restart.
    let mut world = world.crash();
    let before = world.requests;
    world.say(&alice, &room, "m10");
    world.advance(2000);
    assert_eq!(world.requests - before, 0);
    world.advance(30_000);
    world.down.clear();
    world.advance(60_000);
    assert_eq!(world.messages("b.test"), words(0..11));
    let requests = world.requests;
    world.advance(60_000);
    assert_eq!(world.requests, requests);
    world.say(&alice, &room, "m11");
    world.settle();
    assert_eq!(world.messages("b.test"), words(0..12));
}

#[test]
fn one_that_shows_that_it_is_there_is_not_kept_waiting() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test"]);
    world.settle();
    world.down.insert("b.test".to_string());
    world.say(&alice, &room, "m0");
    world.settle();
    world.down.clear();
    world.server.start_flow(|cx| async move { remote_server::is_up(&cx, &name("b.test")).unwrap() });
    world.settle();
    assert_eq!(world.messages("b.test"), ["m0"]);
}

#[test]
fn one_that_has_too_much_to_do_says_for_how_long() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test"]);
    world.settle();
    world.slow.insert("b.test".to_string());
    world.say(&alice, &room, "m0");
    world.settle();
    let (call, _) = world.waiting.pop().unwrap();
    world.server.resolve(call, answer(429, json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500 })));
    world.slow.clear();
    world.advance(1000);
    assert_eq!(world.messages("b.test"), Vec::<String>::new());
    world.advance(1000);
    assert_eq!(world.messages("b.test"), ["m0"]);
}

#[test]
fn one_that_refuses_is_asked_again_later() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test"]);
    world.settle();
    world.slow.insert("b.test".to_string());
    world.say(&alice, &room, "m0");
    world.settle();
    let (call, _) = world.waiting.pop().unwrap();
    world.server.resolve(call, answer(500, json!({ "errcode": "M_UNKNOWN", "error": "no" })));
    world.slow.clear();
    world.settle();
    assert_eq!(world.messages("b.test"), Vec::<String>::new());
    world.advance(10_000);
    assert_eq!(world.messages("b.test"), ["m0"]);
}

#[test]
fn a_crash_loses_nothing() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test"]);
    world.settle();
    world.slow.insert("b.test".to_string());
    world.say(&alice, &room, "m0");
    world.say(&alice, &room, "m1");
    world.settle();
    assert_eq!(world.waiting.len(), 1);
    world.slow.clear();
    let mut world = world.crash();
    world.say(&alice, &room, "m2");
    world.settle();
    assert_eq!(world.messages("b.test"), words(0..3));
    // What was delivered before a crash is not sent again.
    let mut world = world.crash();
    world.advance(1000);
    world.say(&alice, &room, "m3");
    world.settle();
    assert_eq!(world.messages("b.test"), words(0..4));
}

/// The same content has the same ID, so that a server that got it before the crash takes it once.
#[test]
fn what_is_sent_again_has_the_same_id() {
    let mut world = World::new();
    let (alice, room) = world.room_with(&["b.test"]);
    world.settle();
    world.slow.insert("b.test".to_string());
    world.say(&alice, &room, "m0");
    world.settle();
    let first = world.waiting[0].1.target.clone();
    let world = world.crash();
    assert_eq!(world.waiting[0].1.target, first);
}

#[test]
fn after_a_long_absence_the_last_event_of_a_busy_room_will_do() {
    let mut world = World::new();
    let (alice, busy) = world.room_with(&["b.test"]);
    let (bob, quiet) = world.room_with(&["b.test"]);
    world.settle();
    world.down.insert("b.test".to_string());
    for word in words(0..700) {
        world.say(&alice, &busy, &word);
    }
    world.say(&bob, &quiet, "quiet");
    world.settle();
    world.advance(180_000);
    world.down.clear();
    world.advance(600_000);
    let mut messages = world.messages("b.test");
    messages.sort();
    assert_eq!(messages, ["m699", "quiet"]);
    world.say(&alice, &busy, "m700");
    world.settle();
    assert_eq!(world.messages("b.test").last().unwrap(), "m700");
}

#[test]
fn stored_edus_are_never_lost() {
    let mut world = World::new();
    world.down.insert("b.test".to_string());
    for i in 0..120u32 {
        world.server.start_flow(move |cx| async move {
            let sender = UserId::parse("@alice:example.org").unwrap();
            let messages = Object::new().with("@bob:b.test", Object::new().with("*", Object::new().with("n", i)));
            let queued = cx.step(|step| edus::queue_to_device(step, &name("b.test"), (&sender, "m.test"), messages));
            queued.unwrap();
        });
    }
    world.settle();
    let mut world = world.crash();
    world.down.clear();
    world.advance(60_000);
    let messages = world.edus("b.test", "m.direct_to_device");
    let number = |message: &Object| {
        let of_user = message.object("messages").unwrap().object("@bob:b.test").unwrap();
        of_user.object("*").unwrap().integer("n").unwrap()
    };
    assert_eq!(messages.iter().map(number).collect::<Vec<i64>>(), (0..120).collect::<Vec<i64>>());
    let ids: BTreeSet<&str> = messages.iter().map(|message| message.str("message_id").unwrap()).collect();
    assert_eq!(ids.len(), 120);
    let mut world = world.crash();
    world.advance(60_000);
    assert_eq!(world.edus("b.test", "m.direct_to_device").len(), 120);
}
