use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::event::Pdu;
use crate::http::Method;
use crate::room::receive::receive;
use crate::room::timeline::{self, Place};
use crate::testing::branch::Branch;
use crate::testing::{Server, User, json};

const EVE: &str = "@eve:remote.test";
const BOB: &str = "@bob:other.test";

/// A public room of Alice in which Bob is, with a history visibility.
struct World {
    server: Server,
    alice: User,
    room_id: String,
}

impl World {
    fn new(visibility: &str) -> World {
        let mut server = Server::new();
        let alice = server.register("alice");
        let body = json!({
            "preset": "public_chat", "room_version": "10",
            "power_level_content_override": { "users": { "@alice:example.org": 100, "@bob:other.test": 50 } },
            "initial_state": [{
                "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": visibility }
            }]
        });
        let room = server.ok(Method::Post, "/_matrix/client/v3/createRoom", &alice, body);
        let room_id = room.get("room_id").and_then(Value::as_str).unwrap().to_string();
        let mut world = World { server, alice, room_id };
        world.member(BOB, BOB, "join");
        world
    }

    fn member(&mut self, sender: &str, target: &str, membership: &str) {
        let pdu = Branch::of(&mut self.server, &self.room_id).member(sender, target, membership);
        self.receive(pdu);
    }

    fn receive(&mut self, pdu: Pdu) {
        let room_id = self.room_id.clone();
        let result = self.server.start_flow(|cx| async move {
            cx.step(|step| {
                let mut room = Room::find(step, &room_id)?.unwrap();
                receive(step, &mut room, &pdu, &[])
            })
        });
        result.borrow_mut().take().expect("a step is done at once").unwrap();
    }

    fn say(&mut self, words: &str) {
        let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{words}", self.room_id);
        self.server.ok(Method::Put, &path, &self.alice, json!({ "msgtype": "m.text", "body": words }));
    }

    fn set_visibility(&mut self, visibility: &str) {
        let path = format!("/_matrix/client/v3/rooms/{}/state/m.room.history_visibility", self.room_id);
        self.server.ok(Method::Put, &path, &self.alice, json!({ "history_visibility": visibility }));
    }

    /// What `server` sees of the timeline since Bob came: messages by their words, memberships, visibilities. Looked at in both
    /// directions, because the viewer goes from state to state.
    fn seen_by(&mut self, server: &str) -> Vec<String> {
        let server = ServerName::parse(server).unwrap();
        let room_id = self.room_id.clone();
        self.server.inspect(|read| {
            let room = Room::find(read, &room_id).unwrap().unwrap();
            let mut events = Vec::new();
            timeline::forward::<StorageError>(read, &room, Place::START, None, 100, |_, event| {
                events.push(event);
                Ok(core::ops::ControlFlow::Continue(()))
            })
            .unwrap();
            let from = events.iter().position(|event| event.header.sender.as_str() == BOB).unwrap() + 1;
            let mut viewer = ServerViewer::new(&server);
            let mut seen: Vec<String> = Vec::new();
            for event in &events[from..] {
                if viewer.sees(read, &room, event).unwrap() {
                    let content = canonical_json::parse(event.content_bytes()).unwrap();
                    let words =
                        ["body", "membership", "history_visibility"].into_iter().find_map(|name| content.get(name));
                    seen.push(words.and_then(Value::as_str).unwrap().to_string());
                }
            }
            let mut viewer = ServerViewer::new(&server);
            let back = events[from..].iter().rev().filter(|event| viewer.sees(read, &room, event).unwrap()).count();
            assert_eq!(back, seen.len());
            seen
        })
    }
}

#[test]
fn what_a_server_sees_of_the_time_before_during_and_after_its_visit() {
    for (visibility, expected) in [
        ("joined", &["invite", "join", "3", "leave"][..]),
        ("invited", &["invite", "2", "join", "3", "leave"]),
        ("shared", &["1", "invite", "2", "join", "3", "leave", "4"]),
        ("world_readable", &["1", "invite", "2", "join", "3", "leave", "4"]),
    ] {
        let mut world = World::new(visibility);
        world.say("1");
        world.member(BOB, EVE, "invite");
        world.say("2");
        world.member(EVE, EVE, "join");
        world.say("3");
        world.member(EVE, EVE, "leave");
        world.say("4");
        assert_eq!(world.seen_by("remote.test"), expected, "{visibility}");
        assert_eq!(world.seen_by("other.test"), ["1", "invite", "2", "join", "3", "leave", "4"], "{visibility}");
        assert_eq!(world.seen_by("remote.test:8448").len(), if visibility >= "shared" { 7 } else { 0 });
    }
}

#[test]
fn the_visibility_at_the_event_counts() {
    let mut world = World::new("joined");
    world.say("1");
    world.set_visibility("shared");
    world.say("2");
    world.set_visibility("joined");
    world.say("3");
    world.member(EVE, EVE, "join");
    // A change of it is seen if it can be before or after it.
    assert_eq!(world.seen_by("remote.test"), ["shared", "2", "joined", "join"]);
    let branch = Branch::of(&mut world.server, &world.room_id).message(EVE, "4");
    world.receive(branch);
    world.member(BOB, EVE, "ban");
    world.say("5");
    assert_eq!(world.seen_by("remote.test"), ["shared", "2", "joined", "join", "4", "ban"]);
}
