//! Operations of governance: who may do what in rooms, who may come in, and what becomes of them.

use orrery_core::canonical_json::{Object, Value};

use super::Device;
use super::call::{Call, Reply};
use super::operations::{Done, KINDS, choose, done};
use crate::checkers::ledger::Register;
use crate::path;
use crate::workload::PlannedOp;
use crate::world::server_name;

const LEVELS: [i64; 5] = [0, 25, 50, 100, 101];
const PRESETS: [&str; 3] = ["public_chat", "private_chat", "trusted_private_chat"];
/// What takes a level of its own.
const POWERS: [&str; 7] = ["invite", "kick", "ban", "redact", "state_default", "events_default", "users_default"];

impl Device {
    /// A room of which more is said at its creation: a space, one that no other server may come into, with other levels.
    pub async fn found_room(&self, op: PlannedOp) -> Option<Done> {
        let [first, second, third] = op.picks;
        let mut creation = Object::new();
        if first.is_multiple_of(4) {
            creation.insert("type", "m.space");
        }
        if first.is_multiple_of(7) {
            creation.insert("m.federate", false);
        }
        let levels = Object::new()
            .with("events_default", choose(&LEVELS[..2], second))
            .with("invite", choose(&LEVELS[..3], second / 5));
        let state = Object::new()
            .with("type", choose(&KINDS, third))
            .with("state_key", "founded")
            .with("content", Object::new().with("by", self.user_id()));
        let body = Object::new()
            .with("preset", choose(&PRESETS, second / 3))
            .with("power_level_content_override", levels)
            .with("initial_state", vec![Value::from(state)]);
        let body = if third.is_multiple_of(2) { body.with("topic", format!("topic {}", op.number)) } else { body };
        let any = (third / 2 % 12 + 1).to_string();
        let version = self.options.room_version.map_or(any.as_str(), |version| version.as_str());
        Some(done(&self.make_room(body, creation, version).await))
    }

    /// `createRoom`, and what everybody learns of it.
    async fn make_room(&self, body: Object, creation: Object, version: &str) -> Reply {
        let body = body.with("creation_content", creation).with("room_version", version);
        let reply = self.call(Call::post(path!["createRoom"], body)).await;
        if let Some(room) = reply.body.str("room_id").filter(|_| reply.ok()) {
            self.ledger.borrow_mut().room_made(room);
            self.record_membership(room, self.user, Some("join"), &reply);
            self.population.borrow_mut().joined(self.user, room);
        }
        reply
    }

    /// Gives power to somebody or takes it away, perhaps from oneself, or changes what something takes.
    pub async fn struggle(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let path = path!["rooms", room.as_str(), "state", "m.room.power_levels"];
        let reply = self.call(Call::get(path.clone())).await;
        let mut content = reply.ok().then_some(reply.body)?;
        let level = choose(&LEVELS, op.picks[1]);
        let other = {
            let population = self.population.borrow();
            let other = population.pick_member(self.user, &room, op.picks[2])?;
            population.user(other).id.clone()
        };
        match op.picks[1] / 5 % 5 {
            0 => content.insert(choose(&POWERS, op.picks[2]), level),
            1 => {
                let mut events = content.object("events").cloned().unwrap_or_default();
                events.insert(choose(&["m.room.message", "m.room.power_levels", KINDS[0]], op.picks[2]), level);
                content.insert("events", events)
            }
            who => {
                let mut users = content.object("users").cloned().unwrap_or_default();
                users.insert(if who == 2 { self.user_id() } else { other }, level);
                content.insert("users", users)
            }
        };
        Some(done(&self.call(Call::put(path, content)).await))
    }

    /// Whoever is in another of the rooms may come into this one, or knock.
    pub async fn restrict(&self, op: PlannedOp) -> Option<Done> {
        let (room, other) = {
            let population = self.population.borrow();
            (population.pick_joined(self.user, op.picks[0])?, population.pick_joined(self.user, op.picks[1])?)
        };
        let allow = Object::new().with("type", "m.room_membership").with("room_id", other);
        let content = Object::new()
            .with("join_rule", choose(&["restricted", "knock_restricted"], op.picks[2]))
            .with("allow", vec![Value::from(allow)]);
        let reply = self.call(Call::put(path!["rooms", room, "state", "m.room.join_rules"], content)).await;
        Some(done(&reply))
    }

    pub async fn add_to_space(&self, op: PlannedOp) -> Option<Done> {
        let (space, room) = {
            let population = self.population.borrow();
            (population.pick_joined(self.user, op.picks[0])?, population.pick_joined(self.user, op.picks[1])?)
        };
        let content = match op.picks[2].is_multiple_of(4) {
            true => Object::new(),
            false => Object::new().with("via", vec![server_name(self.server)]),
        };
        let reply = self.call(Call::put(path!["rooms", space, "state", "m.space.child", room], content)).await;
        Some(done(&reply))
    }

    /// Another room in place of one, now and then with other creators beside oneself.
    pub async fn upgrade(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let mut body = Object::new().with("new_version", self.options.room_version(op.picks[1]));
        if op.picks[2].is_multiple_of(3) {
            let population = self.population.borrow();
            let other = population.pick_member(self.user, &room, op.picks[2] / 3)?;
            body.insert("additional_creators", vec![population.user(other).id.as_str()]);
        }
        self.ledger.borrow_mut().upgrades(&room);
        let reply = self.call(Call::post(path!["rooms", room.as_str(), "upgrade"], body)).await;
        if let Some(next) = reply.body.str("replacement_room").filter(|_| reply.ok()) {
            self.ledger.borrow_mut().room_made(next);
            self.ledger.borrow_mut().replaces(next, &room);
            self.record_membership(next, self.user, Some("join"), &reply);
            self.population.borrow_mut().joined(self.user, next);
        }
        Some(done(&reply))
    }

    pub async fn move_on(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let tombstone = self.call(Call::get(path!["rooms", room.as_str(), "state", "m.room.tombstone"])).await;
        let next = tombstone.body.str("replacement_room").filter(|_| tombstone.ok())?.to_owned();
        self.ledger.borrow_mut().replaces(&next, &room);
        let mut call = Call::post(path!["join", next.as_str()], Object::new());
        for server in self.population.borrow().servers_of(&room) {
            call = call.query("via", server);
        }
        let register = Register::Membership { user: self.user, room: next.clone() };
        let reply = self.write(call, &[(register, Some("join"))]).await;
        if reply.ok() {
            self.population.borrow_mut().joined(self.user, &next);
        }
        Some(done(&reply))
    }

    pub async fn reject(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_invited(self.user, op.picks[0])?;
        let register = Register::Membership { user: self.user, room: room.clone() };
        let body = Object::new().with("reason", "no, thank you");
        let reply = self.write(Call::post(path!["rooms", room.as_str(), "leave"], body), &[(register, None)]).await;
        if reply.ok() {
            self.population.borrow_mut().out(self.user, &room);
        }
        Some(done(&reply))
    }

    /// Redacts something that the room has as state, of which less is left then, or nothing.
    pub async fn redact_state(&self, op: PlannedOp) -> Option<Done> {
        let room = self.population.borrow().pick_joined(self.user, op.picks[0])?;
        let (kind, state_key) = match op.picks[1] % 8 {
            0 => ("m.room.join_rules", String::new()),
            1 => ("m.room.name", String::new()),
            2 => ("m.room.tombstone", String::new()),
            _ => (choose(&KINDS, op.picks[1] / 8), format!("k{}", op.picks[2] % 2)),
        };
        let path = path!["rooms", room.as_str(), "state", kind, state_key.as_str()];
        let event = self.call(Call::get(path).query("format", "event")).await;
        let target = event.body.str("event_id").filter(|_| event.ok())?.to_owned();
        // From now on its content may be gone; whether it is, others decide who replace it meanwhile.
        let register = Register::State { room: room.clone(), kind: kind.to_owned(), state_key };
        self.ledger.borrow_mut().begin(&register, None, self.hub.now());
        self.redact_event(op, &room, &target).await
    }
}
