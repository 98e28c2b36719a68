//! Reading back: what was acknowledged must be there, whoever asks and whenever.

use orrery_core::canonical_json::{Object, Value};

use super::Device;
use super::call::{Call, Reply};
use super::operations::Done;
use crate::checkers::ledger::Register;
use crate::failure::Failure;
use crate::path;
use crate::workload::PlannedOp;
use crate::world::server_name;

impl Device {
    /// Reads one thing that the ledger knows and this user may see.
    pub async fn read(&self, op: PlannedOp) -> Option<Done> {
        if op.picks[0].is_multiple_of(2) {
            let known = {
                let ledger = self.ledger.borrow();
                let readable: Vec<&Register> = ledger
                    .registers()
                    .map(|(register, _)| register)
                    .filter(|register| self.may_read(register))
                    .collect();
                pick(&readable, op.picks[1]).map(|register| (*register).clone())
            };
            self.read_register(&known?).await;
        } else {
            let known = {
                let ledger = self.ledger.borrow();
                let mine: Vec<(String, String)> = ledger
                    .acknowledged()
                    .filter(|(_, sent, _)| self.may_see_own(sent.sender, &sent.room))
                    .map(|(_, sent, event_id)| (sent.room.clone(), event_id.to_owned()))
                    .collect();
                pick(&mine, op.picks[1]).cloned()
            };
            let (room, event_id) = known?;
            self.read_event(&room, &event_id).await;
        }
        Some(Done::Acknowledged)
    }

    /// Whether the register is the user's own, or of a room that the user seems to be in.
    #[must_use]
    pub fn may_read(&self, register: &Register) -> bool {
        match register {
            Register::AccountData { user, .. }
            | Register::RoomAccountData { user, .. }
            | Register::Tag { user, .. } => *user == self.user,
            // Another server may be out of reach, or not have heard.
            Register::DisplayName { user } => self.shares_server_with(&self.population.borrow().user(*user).id),
            Register::Alias { alias } => self.shares_server_with(alias),
            Register::Membership { room, .. } | Register::State { room, .. } => {
                self.population.borrow().user(self.user).joined.contains(room)
            }
            // Syncs tell of markers.
            Register::Marker { .. } => false,
        }
    }

    fn shares_server_with(&self, id: &str) -> bool {
        id.ends_with(&format!(":{}", server_name(self.server)))
    }

    /// Whether `sender` is this user, who still has the room.
    #[must_use]
    pub fn may_see_own(&self, sender: u32, room: &str) -> bool {
        sender == self.user && !self.population.borrow().user(sender).forgotten.contains(room)
    }

    /// Reads a register and compares.
    pub async fn read_register(&self, register: &Register) {
        let call = match register {
            Register::AccountData { kind, .. } => {
                Call::get(path!["user", self.user_id(), "account_data", kind.as_str()])
            }
            Register::RoomAccountData { room, kind, .. } => {
                Call::get(path!["user", self.user_id(), "rooms", room.as_str(), "account_data", kind.as_str()])
            }
            Register::Tag { room, .. } => Call::get(path!["user", self.user_id(), "rooms", room.as_str(), "tags"]),
            Register::Membership { user, room } => {
                let user = self.population.borrow().user(*user).id.clone();
                Call::get(path!["rooms", room.as_str(), "state", "m.room.member", user])
            }
            Register::State { room, kind, state_key } => {
                Call::get(path!["rooms", room.as_str(), "state", kind.as_str(), state_key.as_str()])
            }
            Register::DisplayName { user } => {
                let user = self.population.borrow().user(*user).id.clone();
                Call::get(path!["profile", user, "displayname"])
            }
            Register::Alias { alias } => Call::get(path!["directory", "room", alias.as_str()]),
            Register::Marker { .. } => return,
        };
        let reply = self.call(call).await;
        if reply.status != 200 && reply.status != 404 || reply.unrecognized() {
            // Not in the room any more.
            return;
        }
        if let Register::Membership { room, .. } | Register::State { room, .. } = register
            && !self.ledger.borrow().certainly_joined(self.user, room, reply.sent, reply.came)
        {
            // Who is out of a room sees its state as it was then.
            return;
        }
        let value = value_of(register, &reply);
        let result = self.ledger.borrow().check(register, value.as_deref(), reply.sent, reply.came);
        self.hub.check(result);
    }

    /// Reads an event that its sender must be able to see.
    pub async fn read_event(&self, room: &str, event_id: &str) {
        let reply = self.call(Call::get(path!["rooms", room, "event", event_id])).await;
        if reply.unrecognized() || reply.status == 401 {
            return;
        }
        // It may have been lost meanwhile.
        let is_kept = self.ledger.borrow().acknowledged().any(|(_, _, id)| id == event_id);
        if !reply.ok() && !is_kept {
            return;
        }
        if !reply.ok() {
            let evidence = format!(
                "event {event_id} of {room} was acknowledged, and {} reads {} {:?}",
                self.who(),
                reply.status,
                reply.body
            );
            self.hub.fail(Failure::safety("durability", evidence));
            return;
        }
        let result = self.ledger.borrow().check_event(&reply.body, reply.sent);
        self.hub.check(result);
    }
}

/// What an answer says of a register.
fn value_of(register: &Register, reply: &Reply) -> Option<String> {
    if !reply.ok() {
        return None;
    }
    match register {
        Register::AccountData { .. } | Register::RoomAccountData { .. } => Some(json(&reply.body)),
        Register::Tag { tag, .. } => reply.body.object("tags")?.object(tag).map(json),
        Register::Membership { .. } => membership(reply.body.str("membership")),
        Register::State { .. } => {
            let op = reply.body.integer(crate::checkers::ledger::OP)?;
            Some(op.to_string())
        }
        Register::DisplayName { .. } => reply.body.str("displayname").map(str::to_owned),
        Register::Alias { .. } => reply.body.str("room_id").map(str::to_owned),
        Register::Marker { .. } => None,
    }
}

/// A membership as the ledger has it.
#[must_use]
pub fn membership(text: Option<&str>) -> Option<String> {
    text.filter(|text| ["join", "invite", "knock"].contains(text)).map(str::to_owned)
}

fn json(object: &Object) -> String {
    String::from_utf8_lossy(&Value::Object(object.clone()).to_bytes()).into_owned()
}

fn pick<T>(from: &[T], pick: u32) -> Option<&T> {
    if from.is_empty() { None } else { from.get(pick as usize % from.len()) }
}
