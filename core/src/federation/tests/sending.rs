//! What is said in rooms that servers share.

use super::*;
use crate::federation::receive_pdu::{PduError, receive_pdu};
use crate::room::{Room, Standing, StoredEvent};

const A: &str = "a.test";
const B: &str = "b.test";
const C: &str = "c.test";

/// Alice and Bob, of two servers, in a room.
struct World {
    net: Net,
    alice: User,
    bob: User,
    room: String,
}

impl World {
    fn new(servers: &[&str]) -> World {
        let mut net = Net::new(servers);
        let alice = net.server(A).register("alice");
        let bob = net.server(B).register("bob");
        let room = create(&mut net, A, &alice, json!({ "preset": "public_chat" }));
        net.ok(B, Method::Post, &join_path(&room, A), &bob, json!({}));
        World { net, alice, bob, room }
    }

    fn say(&mut self, server: &str, words: &str) {
        let user = if server == A { &self.alice } else { &self.bob };
        let target = room_path(&self.room, &alloc::format!("/send/m.room.message/{words}"));
        self.net.ok(server, Method::Put, &target, user, json!({ "msgtype": "m.text", "body": words }));
    }

    /// What a user reads in the room, in order.
    fn read(&mut self, server: &str) -> Vec<String> {
        let user = if server == A { &self.alice } else { &self.bob };
        let target = room_path(&self.room, "/messages?dir=b&limit=1000");
        let answer = self.net.ok(server, Method::Get, &target, user, ());
        let events = answer.get("chunk").and_then(Value::as_array).unwrap();
        let said = |event: &Value| Some(event.get("content")?.get("body")?.as_str()?.to_string());
        events.iter().rev().filter_map(said).collect()
    }

    /// A member of the room in Bob's sync.
    fn bobs_sync(&mut self, section: &str) -> Vec<Value> {
        let answer = self.net.ok(B, Method::Get, "/_matrix/client/v3/sync", &self.bob, ());
        let room = answer.get("rooms").and_then(|rooms| rooms.get("join")?.get(&self.room)).unwrap();
        room.get(section).and_then(|section| section.get("events")?.as_array()).unwrap_or_default().to_vec()
    }

    fn bobs_ephemeral(&mut self, kind: &str) -> Option<Value> {
        let events = self.bobs_sync("ephemeral");
        events.into_iter().find(|event| event.get("type") == Some(&Value::from(kind)))?.get("content").cloned()
    }
}

fn words(range: core::ops::Range<u32>) -> Vec<String> {
    range.map(|number| alloc::format!("m{number}")).collect()
}

#[test]
fn what_is_said_arrives_both_ways() {
    let mut world = World::new(&[A, B]);
    world.say(A, "m0");
    world.say(B, "m1");
    world.say(A, "m2");
    assert_eq!(world.read(A), words(0..3));
    assert_eq!(world.read(B), words(0..3));
}

#[test]
fn a_cut_delays_and_loses_nothing() {
    let mut world = World::new(&[A, B]);
    world.net.cut(A, B);
    for word in words(0..60) {
        world.say(A, &word);
    }
    world.net.advance(20_000);
    assert_eq!(world.read(B), Vec::<String>::new());
    world.net.heal();
    world.net.advance(120_000);
    assert_eq!(world.read(B), words(0..60));
    world.say(A, "m60");
    assert_eq!(world.read(B), words(0..61));
}

#[test]
fn both_sides_of_a_cut_come_together() {
    let mut world = World::new(&[A, B]);
    world.net.cut(A, B);
    for word in words(0..5) {
        world.say(A, &word);
        world.say(B, &word.replace('m', "n"));
    }
    world.net.heal();
    world.net.advance(120_000);
    let (mut at_a, mut at_b) = (world.read(A), world.read(B));
    at_a.sort();
    at_b.sort();
    assert_eq!(at_a.len(), 10);
    assert_eq!(at_a, at_b);
}

#[test]
fn crashes_lose_nothing_and_repeat_nothing() {
    let mut world = World::new(&[A, B]);
    world.say(A, "m0");
    // The other server crashes before it has stored what it got.
    world.net.server(B).hold_commits = true;
    world.say(A, "m1");
    world.net.crash(B);
    world.say(A, "m2");
    world.net.advance(60_000);
    assert_eq!(world.read(B), words(0..3));
    // This one crashes while the other does not answer.
    world.net.server(B).hold_commits = true;
    world.say(A, "m3");
    world.net.crash(A);
    world.net.server(B).release_commits();
    world.net.settle();
    world.net.advance(60_000);
    world.say(A, "m4");
    assert_eq!(world.read(B), words(0..5));
}

#[test]
fn who_comes_in_through_one_server_is_known_to_all() {
    let mut world = World::new(&[A, B, C]);
    let carol = world.net.server(C).register("carol");
    world.net.ok(C, Method::Post, &join_path(&world.room, A), &carol, json!({}));
    let room = world.room.clone();
    assert_eq!(membership(&mut world.net, B, &world.bob, &room, &carol), "join");
    world.net.ok(C, Method::Post, &room_path(&room, "/leave"), &carol, json!({}));
    assert_eq!(membership(&mut world.net, B, &world.bob, &room, &carol), "leave");
}

#[test]
fn typing_receipts_and_presence_are_seen_on_the_other_server() {
    let mut world = World::new(&[A, B]);
    world.say(B, "m0");
    let alice = world.alice.clone();
    let typing = room_path(&world.room, &alloc::format!("/typing/{}", percent_encode(&alice.user_id)));
    world.net.ok(A, Method::Put, &typing, &alice, json!({ "typing": true, "timeout": 90000 }));
    let content = world.bobs_ephemeral("m.typing").unwrap();
    assert_eq!(content, json!({ "user_ids": [(alice.user_id.as_str())] }));
    // It is said again while it lasts, and it ends.
    world.net.advance(80_000);
    assert!(world.bobs_ephemeral("m.typing").unwrap().get("user_ids").unwrap().as_array().unwrap().len() == 1);
    world.net.advance(12_000);
    assert!(world.bobs_ephemeral("m.typing").is_none());

    let timeline = world.bobs_sync("timeline");
    let event_id = timeline.last().unwrap().get("event_id").and_then(Value::as_str).unwrap().to_string();
    let receipt = room_path(&world.room, &alloc::format!("/receipt/m.read/{}", percent_encode(&event_id)));
    world.net.ok(A, Method::Post, &receipt, &alice, json!({ "thread_id": "main" }));
    let content = world.bobs_ephemeral("m.receipt").unwrap();
    let of_alice = content.get(&event_id).and_then(|kinds| kinds.get("m.read")?.get(&alice.user_id)).unwrap();
    assert_eq!(of_alice.get("thread_id"), Some(&Value::from("main")));

    let status = alloc::format!("/_matrix/client/v3/presence/{}/status", percent_encode(&alice.user_id));
    world.net.ok(A, Method::Put, &status, &alice, json!({ "presence": "unavailable", "status_msg": "tea" }));
    let found = world.net.ok(B, Method::Get, &status, &world.bob, ());
    assert_eq!((found.get("presence"), found.get("status_msg")), (Some(&json!("unavailable")), Some(&json!("tea"))));
}

/// A server that is put out while it does not answer gets what it was still in for, without which it cannot make sense of its
/// being put out.
#[test]
fn who_is_put_out_during_a_cut_gets_to_know() {
    for crashes in [false, true] {
        let mut world = World::new(&[A, B]);
        world.say(A, "m0");
        if crashes {
            // The first stays under way, and what is due after it is known from the log only.
            world.net.server(B).hold_commits = true;
        } else {
            world.net.cut(A, B);
        }
        for word in words(1..4) {
            world.say(A, &word);
        }
        let kick = room_path(&world.room, "/kick");
        world.net.ok(A, Method::Post, &kick, &world.alice.clone(), json!({ "user_id": (world.bob.user_id.as_str()) }));
        world.say(A, "m4");
        if crashes {
            world.net.crash(A);
            world.net.server(B).release_commits();
        }
        world.net.heal();
        world.net.advance(120_000);
        let left = in_sync(&mut world.net, B, &world.bob.clone(), "leave", &world.room.clone());
        assert!(left.is_some());
        assert_eq!(world.read(B), words(0..4));
    }
}

/// The kick of Bob reaches B, which has not heard of what came before it, and for a minute cannot ask: what it makes of the kick.
fn kicked_out_of_the_blue(world: &mut World) -> Result<Standing, PduError> {
    let kick = room_path(&world.room, "/kick");
    world.net.ok(A, Method::Post, &kick, &world.alice.clone(), json!({ "user_id": (world.bob.user_id.as_str()) }));
    let room_id = RoomId::parse(&world.room).unwrap();
    let kick = world.net.server(A).inspect(|read| {
        let room = Room::find(read, &room_id).unwrap().unwrap();
        let kick = StoredEvent::expect(read, room.num, room.head.extremities[0]).unwrap();
        kick.pdu(room.info.version).unwrap()
    });
    let from = ServerName::parse(A).unwrap();
    let received = world.net.server(B).start_flow(|cx| async move { receive_pdu(&cx, &from, &room_id, kick).await });
    world.net.advance(70_000);
    received.take().expect("it does not wait for ever")
}

/// Nobody sends it again, and what comes after it is not for a server that is out.
#[test]
fn who_is_put_out_and_cannot_learn_what_came_before_is_out() {
    let mut world = World::new(&[A, B]);
    world.net.cut(A, B);
    world.say(A, "unheard");
    assert_eq!(kicked_out_of_the_blue(&mut world), Ok(Standing::Accepted));
    let left = in_sync(&mut world.net, B, &world.bob.clone(), "leave", &world.room.clone());
    assert!(left.is_some());
}

/// Bob has changed his name meanwhile, which state resolution takes for coming back. A room that B stays in is not to be continued from
/// a state that lacks what B has not heard of.
#[test]
fn who_is_put_out_and_stays_in_waits_for_what_came_before() {
    let mut world = World::new(&[A, B]);
    world.net.cut(A, B);
    world.say(A, "unheard");
    let name = alloc::format!("/_matrix/client/v3/profile/{}/displayname", world.bob.user_id);
    world.net.ok(B, Method::Put, &name, &world.bob.clone(), json!({ "displayname": "Robert" }));
    assert!(matches!(kicked_out_of_the_blue(&mut world), Err(PduError::Missing(_))));
    assert!(in_sync(&mut world.net, B, &world.bob.clone(), "join", &world.room.clone()).is_some());
}
