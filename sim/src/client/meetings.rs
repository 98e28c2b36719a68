//! Meetings: rooms in which everybody is from the beginning.

use orrery_core::canonical_json::Object;

use super::Device;
use super::call::Call;
use super::operations::done;
use crate::checkers::ledger::Register;
use crate::client::operations::Done;
use crate::clock::Span;
use crate::path;

/// How often somebody tries to make a meeting or to come to it.
const ATTEMPTS: u32 = 20;

impl Device {
    /// Makes a room for everybody. Its ID, if that could be done.
    pub async fn call_a_meeting(&self, number: u32) -> Option<String> {
        for _ in 0..ATTEMPTS {
            let body = Object::new()
                .with("room_version", self.options.room_version(number))
                .with("preset", "public_chat")
                .with("name", format!("meeting {number}"));
            let reply = self.call(Call::post(path!["createRoom"], body)).await;
            if let Some(room) = reply.body.str("room_id").filter(|_| reply.ok()) {
                self.ledger.borrow_mut().room_made(room);
                self.record_membership(room, self.user, Some("join"), &reply);
                self.population.borrow_mut().joined(self.user, room);
                return Some(room.to_owned());
            }
            self.hub.sleep(Span::secs(1)).await;
        }
        None
    }

    /// Joins a room that somebody else has made.
    pub async fn come_to_the_meeting(&self, room: &str) {
        for _ in 0..ATTEMPTS {
            let mut call = Call::post(path!["join", room], Object::new());
            for server in self.population.borrow().servers_of(room) {
                call = call.query("via", server);
            }
            let register = Register::Membership { user: self.user, room: room.to_owned() };
            let reply = self.write(call, &[(register, Some("join"))]).await;
            if done(&reply) == Done::Acknowledged {
                self.population.borrow_mut().joined(self.user, room);
                return;
            }
            self.hub.sleep(Span::secs(1)).await;
        }
    }
}
