//! What happens while something else is under way.

use alloc::boxed::Box;
use alloc::format;

use super::invite::invite_of_version;
use super::*;
use crate::http::RequestId;
use crate::room::Room;
use crate::room_version::RoomVersion;

const A: &str = "a.test";
const B: &str = "b.test";
const C: &str = "c.test";

/// A room of Alice on A, with Carol on C in it; Bob is on B.
struct World {
    net: Net,
    alice: User,
    bob: User,
    room: String,
}

impl World {
    fn new(body: Value) -> World {
        let mut net = Net::new(&[A, B, C]);
        let (alice, bob) = (net.server(A).register("alice"), net.server(B).register("bob"));
        let carol = net.server(C).register("carol");
        let room = create(&mut net, A, &alice, body);
        net.ok(C, Method::Post, &join_path(&room, A), &carol, json!({}));
        World { net, alice, bob, room }
    }

    fn with_bob() -> World {
        let mut world = World::new(everyone());
        world.net.ok(B, Method::Post, &join_path(&world.room, A), &world.bob, json!({}));
        world.net.advance(1000);
        world
    }

    fn start(&mut self, server: &str, path: &str, body: Value) -> RequestId {
        let user = if server == A { self.alice.clone() } else { self.bob.clone() };
        self.net.server(server).start(Method::Post, path, &user, body)
    }

    /// Lets requests and answers pass until somebody is asked for `path`, once that has arrived.
    fn until(&mut self, path: &str) {
        while !self.net.log.iter().any(|line| line.contains(path)) {
            assert!(self.net.settle_some(), "nobody asks for {path}: {:?}", self.net.log);
        }
    }

    #[track_caller]
    fn answered(&mut self, server: &str, request: RequestId) -> u16 {
        self.net.settle();
        self.net.server(server).take_reply(request).expect("the request is answered").0
    }

    fn say(&mut self, words: &str) -> String {
        let path = room_path(&self.room, &format!("/send/m.room.message/{words}"));
        let answer = self.net.ok(A, Method::Put, &path, &self.alice, json!({ "msgtype": "m.text", "body": words }));
        answer.get("event_id").and_then(Value::as_str).unwrap().to_string()
    }

    fn is_resident(&mut self, server: &str) -> bool {
        let room = self.room.clone();
        self.net.server(server).inspect(|read| Room::find(read, &room).unwrap().is_some_and(|room| room.is_resident()))
    }

    /// What A says of Bob, and what Bob's own server says.
    fn bobs_membership(&mut self) -> (String, String) {
        let there = membership(&mut self.net, A, &self.alice.clone(), &self.room.clone(), &self.bob.clone());
        let here = ["join", "leave", "invite"].into_iter().find(|section| {
            let (bob, room) = (self.bob.clone(), self.room.clone());
            in_sync(&mut self.net, B, &bob, section, &room).is_some()
        });
        (there, here.unwrap_or("nothing").to_string())
    }
}

#[test]
fn whoever_leaves_while_they_come_in_is_out() {
    let mut world = World::new(json!({ "preset": "private_chat", "invite": ["@bob:b.test", "@carol:c.test"] }));
    world.net.settle();
    let join = world.start(B, &join_path(&world.room, A), json!({}));
    world.until("b.test a.test PUT /_matrix/federation/v2/send_join/");
    let leave = world.start(B, &room_path(&world.room, "/leave"), json!({}));
    assert_eq!((world.answered(B, join), world.answered(B, leave)), (200, 200));
    world.net.advance(1000);
    assert_eq!(world.bobs_membership(), ("leave".to_string(), "leave".to_string()));
}

#[test]
fn whoever_is_put_out_while_they_come_in_is_out() {
    for invited in [false, true] {
        let mut world = World::new(everyone());
        if invited {
            let invite = json!({ "user_id": (world.bob.user_id.as_str()) });
            world.net.ok(A, Method::Post, &room_path(&world.room, "/invite"), &world.alice, invite);
        }
        let join = world.start(B, &join_path(&world.room, A), json!({}));
        world.until("b.test a.test PUT /_matrix/federation/v2/send_join/");
        let ban = json!({ "user_id": (world.bob.user_id.as_str()) });
        let ban = world.start(A, &room_path(&world.room, "/ban"), ban);
        world.until("a.test b.test PUT /_matrix/federation/v1/send/");
        assert_eq!((world.answered(A, ban), world.answered(B, join)), (200, 200));
        world.net.advance(1000);
        assert_eq!(world.bobs_membership(), ("ban".to_string(), "leave".to_string()), "invited: {invited}");
    }
}

#[test]
fn a_room_that_was_left_meanwhile_is_not_entered_by_what_was_fetched_for_it() {
    let mut world = World::with_bob();
    // C hears of two messages, and sends B only the second. Of what was before it B gets nothing but the state.
    world.net.cut(A, B);
    world.say("lost");
    let event_id = world.say("found");
    world.net.advance(1000);
    let path = format!("/_matrix/federation/v1/get_missing_events/{}", percent_encode(&world.room));
    world.net.lie(C, &path, 200, json!({ "events": [] }));
    let room = world.room.clone();
    let pdu = world.net.server(C).inspect(|read| {
        let event = Room::find(read, &room).unwrap().unwrap().event(read, &event_id).unwrap().unwrap();
        crate::canonical_json::parse(&event.json).unwrap()
    });
    let body = json!({ "origin": (C), "origin_server_ts": 1, "pdus": [(pdu)] });
    world.net.server(C).start_flow(|cx| async move {
        let transaction = Outgoing::put("/_matrix/federation/v1/send/1", body);
        call(&cx, &ServerName::parse(B).unwrap(), transaction).await
    });
    world.until("/state_ids/");
    let leave = world.start(B, &room_path(&world.room, "/leave"), json!({}));
    assert_eq!(world.answered(B, leave), 200);
    assert!(!world.is_resident(B));
    world.net.heal();
    world.net.advance(3_600_000);
    assert_eq!(world.bobs_membership(), ("leave".to_string(), "leave".to_string()));
}

#[test]
fn a_join_comes_after_the_leaving_that_nobody_had_heard_of() {
    let mut world = World::with_bob();
    world.net.ok(B, Method::Post, &room_path(&world.room, "/leave"), &world.bob, json!({}));
    let before = world.net.log.len();
    world.net.ok(B, Method::Post, &join_path(&world.room, A), &world.bob, json!({}));
    let first = |path: &str| world.net.log[before..].iter().position(|line| line.contains(path));
    let told = first("b.test a.test PUT /_matrix/federation/v1/send/").unwrap();
    assert!(told < first("make_join").unwrap(), "{:?}", &world.net.log[before..]);
    assert_eq!(world.bobs_membership(), ("join".to_string(), "join".to_string()));
}

#[test]
fn an_invite_of_another_version_changes_nothing_for_those_who_come_in() {
    for version in ["1", "11"] {
        let mut world = World::new(json!({ "preset": "public_chat", "room_version": (version) }));
        let dave = world.net.server(B).register("dave");
        // What the join brings waits for the keys of C.
        world.net.serve(C, "/_matrix/key/v2/server", Box::new(|_| None));
        let join = world.start(B, &join_path(&world.room, A), json!({}));
        world.net.settle();
        let room = world.room.clone();
        assert_eq!(invite_of_version(&mut world.net, A, &dave, &room, RoomVersion::V6).0, 200);
        assert!(!world.is_resident(B));
        let event_id = world.say("meanwhile");
        world.net.time_out();
        assert_eq!(world.answered(B, join), 200);
        let path = room_path(&room, &format!("/event/{}", percent_encode(&event_id)));
        assert_eq!(world.net.call(B, Method::Get, &path, &world.bob, ()).0, 200, "version {version}");
    }
}

/// What happens between a server's `make_join` and `send_join` is beside its join, and nobody says anything after it.
#[test]
fn whoever_comes_in_is_told_what_happened_meanwhile() {
    let mut world = World::new(everyone());
    // So that A knows B's keys, and answers at once.
    let profile = format!("/_matrix/client/v3/profile/{}", world.alice.user_id);
    world.net.ok(B, Method::Get, &profile, &world.bob.clone(), ());
    let join = world.start(B, &join_path(&world.room, A), json!({}));
    world.until("b.test a.test GET /_matrix/federation/v1/make_join/");
    let topic = room_path(&world.room, "/state/m.room.topic");
    world.net.server(A).ok(Method::Put, &topic, &world.alice.clone(), json!({ "topic": "meanwhile" }));
    assert_eq!(world.answered(B, join), 200);
    world.net.advance(1000);
    let told = world.net.ok(B, Method::Get, &topic, &world.bob.clone(), ());
    assert_eq!(told, json!({ "topic": "meanwhile" }));
}
