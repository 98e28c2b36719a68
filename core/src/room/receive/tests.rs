//! A room of this server, and the events that other servers send into it.

mod clients;
mod forks;
mod outliers;
mod redactions;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Outcome, receive, store_outliers};
use crate::canonical_json::Value;
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::Step;
use crate::http::Method;
use crate::room::{EventIndex, Reason, Room, Standing, StoredEvent, servers};
use crate::testing::branch::Branch;
use crate::testing::{Server, User, json};

const EVE: &str = "@eve:remote.test";
const BOB: &str = "@bob:other.test";

/// A public room of Alice, with a server under test.
struct World {
    server: Server,
    alice: User,
    room_id: String,
}

impl World {
    fn new(version: &str) -> World {
        let mut server = Server::new();
        let alice = server.register("alice");
        let body = json!({ "preset": "public_chat", "room_version": version });
        let room = server.ok(Method::Post, "/_matrix/client/v3/createRoom", &alice, body);
        let room_id = room.get("room_id").and_then(Value::as_str).unwrap().to_string();
        World { server, alice, room_id }
    }

    /// The same, with Eve and Bob in it; the branch that all of them know.
    fn with_guests(version: &str) -> (World, Branch) {
        let mut world = World::new(version);
        let mut branch = world.branch();
        for user in [EVE, BOB] {
            let join = branch.member(user, user, "join");
            world.accepts(&join);
        }
        (world, branch)
    }

    fn branch(&mut self) -> Branch {
        Branch::of(&mut self.server, &self.room_id)
    }

    fn step<T: 'static>(
        &mut self,
        run: impl FnOnce(&mut Step<'_>, &mut Room) -> Result<T, ApiError> + 'static,
    ) -> Result<T, ApiError> {
        let room_id = self.room_id.clone();
        let result = self.server.start_flow(|cx| async move {
            cx.step(|step| {
                let mut room = Room::find(step, &room_id)?.unwrap();
                run(step, &mut room)
            })
        });
        result.borrow_mut().take().expect("a step is done at once")
    }

    fn receive(&mut self, pdu: &Pdu) -> Outcome {
        let pdu = pdu.clone();
        self.step(move |step, room| receive(step, room, &pdu, &[])).unwrap()
    }

    #[track_caller]
    fn expect(&mut self, pdu: &Pdu, expected: Standing) {
        let outcome = self.receive(pdu);
        let Outcome::Stored { standing, .. } = outcome else { panic!("{} {}: {outcome:?}", pdu.kind, pdu.event_id) };
        assert_eq!(standing, expected, "{} {}: {:?}", pdu.kind, pdu.event_id, self.reason(pdu));
    }

    #[track_caller]
    fn accepts(&mut self, pdu: &Pdu) {
        self.expect(pdu, Standing::Accepted);
    }

    fn reason(&mut self, pdu: &Pdu) -> Option<String> {
        let (room_id, event_id) = (self.room_id.clone(), pdu.event_id.clone());
        self.server.inspect(|read| {
            let room = Room::find(read, &room_id).unwrap().unwrap();
            let index = room.index_of(read, &event_id).unwrap()?;
            Reason::of(read, &room, index).unwrap().map(|reason| reason.to_string())
        })
    }

    fn room(&mut self) -> Room {
        let room_id = self.room_id.clone();
        self.server.inspect(|read| Room::find(read, &room_id).unwrap().unwrap())
    }

    fn stored(&mut self, pdu: &Pdu) -> StoredEvent {
        let room = self.room();
        self.server.inspect(|read| room.event(read, &pdu.event_id).unwrap().unwrap())
    }

    /// Alice sends a message.
    fn say(&mut self, text: &str) -> String {
        let path = alloc::format!("/_matrix/client/v3/rooms/{}/send/m.room.message/{text}", self.room_id);
        let answer = self.server.ok(Method::Put, &path, &self.alice, json!({ "msgtype": "m.text", "body": text }));
        answer.get("event_id").and_then(Value::as_str).unwrap().to_string()
    }

    /// The IDs of the forward extremities.
    fn extremities(&mut self) -> Vec<String> {
        let room = self.room();
        self.server.inspect(|read| {
            let id =
                |index: &EventIndex| StoredEvent::expect(read, room.num, *index).unwrap().header.event_id.to_string();
            room.head.extremities.iter().map(id).collect()
        })
    }

    /// The ID of the current state event under a key.
    fn state(&mut self, kind: &str, state_key: &str) -> Option<String> {
        let room = self.room();
        self.server.inspect(|read| {
            let event = room.state_event(read, room.head.state, kind, state_key).unwrap()?;
            Some(event.header.event_id.to_string())
        })
    }

    fn servers(&mut self) -> Vec<String> {
        let room = self.room();
        self.server.inspect(|read| servers::servers_in(read, &room).unwrap().iter().map(ToString::to_string).collect())
    }
}
