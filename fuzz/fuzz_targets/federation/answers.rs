//! What the other server answers when it is asked: the truth, or something else.

use orrery_core::canonical_json::{Object, Value};
use orrery_core::effect::Fetch;
use orrery_core::event::Pdu;
use orrery_core::http::{Response, percent_decode};
use orrery_core::identifiers::EventId;
use orrery_core::input::Outcome;

use super::draw::Draw;
use super::peer::{PEER, Peer};

/// The most events of one answer.
const MOST: usize = 100;

impl Peer {
    /// `None` if it never answers.
    pub fn answer(&mut self, fetch: &Fetch, draw: &mut Draw<'_>) -> Option<Outcome> {
        if fetch.tls_name != PEER {
            return Some(Outcome::Failed("nothing answers there".to_owned()));
        }
        let (status, mut answer) = self.honest(fetch, draw);
        let mut response = Response::json(status, &answer);
        match draw.below(16) {
            0..8 => {}
            8..12 => {
                draw.disturb(&mut answer);
                response = Response::json(status, &answer);
            }
            12 => {
                let status = draw.pick(&[400, 401, 403, 404, 429, 500, 502, 200, 302, 999]);
                let errcode =
                    draw.pick(&["M_UNKNOWN", "M_FORBIDDEN", "M_NOT_FOUND", "M_LIMIT_EXCEEDED", "M_UNRECOGNIZED"]);
                let mut error = Object::new().with("errcode", errcode).with("error", "no").into();
                draw.disturb(&mut error);
                response = Response::json(status, &error);
            }
            13 => response.body.truncate(response.body.len() * draw.below(256) / 256),
            14 => return Some(Outcome::Failed("the connection broke".to_owned())),
            _ => return None,
        }
        if response.body.len() > fetch.max_body as usize {
            return Some(Outcome::Failed("the answer is too long".to_owned()));
        }
        Some(Outcome::Fetched(response))
    }

    fn honest(&mut self, fetch: &Fetch, draw: &mut Draw<'_>) -> (u16, Value) {
        let path = fetch.target.split_once('?').map_or(fetch.target.as_str(), |(path, _)| path);
        let parts: Vec<String> = path.split('/').map(|part| percent_decode(part, false).unwrap_or_default()).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let room = |id: &str| self.rooms.iter().position(|room| room.room_id.as_str() == id).unwrap_or(1);
        let sent = orrery_core::canonical_json::parse(&fetch.body).unwrap_or(Value::Null);
        let answer = match parts.as_slice() {
            ["", "_matrix", "key", "v2", "server"] => self.keys(),
            ["", "_matrix", "federation", _, "make_join" | "make_knock" | "make_leave", room_id, user_id] => {
                let membership = parts[4].trim_start_matches("make_");
                self.template(room(room_id), membership, user_id)
            }
            ["", "_matrix", "federation", _, "send_join", room_id, _] => {
                self.state_before_join(draw, room(room_id), sent)
            }
            ["", "_matrix", "federation", _, "send_knock", ..] => {
                Object::new().with("knock_room_state", Vec::<Value>::new())
            }
            ["", "_matrix", "federation", _, "invite", room_id, _] => {
                let mut event = sent.get("event").and_then(Value::as_object).cloned().unwrap_or_default();
                self.countersign(room(room_id), &mut event);
                Object::new().with("event", event)
            }
            ["", "_matrix", "federation", _, "get_missing_events", room_id] => {
                Object::new().with("events", self.known(room(room_id)))
            }
            ["", "_matrix", "federation", _, "backfill", room_id] => self.transaction(self.known(room(room_id))),
            ["", "_matrix", "federation", _, "event", event_id] => {
                let event = EventId::parse(event_id).ok().and_then(|event_id| self.events.get(&event_id));
                let Some((_, event)) = event else { return (404, refusal()) };
                self.transaction(vec![Value::from(event.clone())])
            }
            ["", "_matrix", "federation", _, "state", room_id] => {
                let state = self.state(room(room_id));
                Object::new().with("pdus", state.clone()).with("auth_chain", state)
            }
            ["", "_matrix", "federation", _, "state_ids", room_id] => {
                let state: Vec<Value> =
                    self.rooms[room(room_id)].state.iter().map(|event| Value::from(&event.event_id)).collect();
                Object::new().with("pdu_ids", state.clone()).with("auth_chain_ids", state)
            }
            ["", "_matrix", "federation", _, "event_auth", room_id, _] => {
                Object::new().with("auth_chain", self.state(room(room_id)))
            }
            ["", "_matrix", "federation", _, "timestamp_to_event", room_id] => {
                Object::new().with("event_id", &self.rooms[room(room_id)].last).with("origin_server_ts", self.now)
            }
            ["", "_matrix", "federation", _, "query", "profile"] => Object::new().with("displayname", "Bob"),
            ["", "_matrix", "federation", _, "query", "directory"] => {
                Object::new().with("room_id", &self.rooms[1].room_id).with("servers", vec![Value::from(PEER)])
            }
            ["", "_matrix", "federation", _, "user", "devices", user_id] => {
                let device = Object::new().with("device_id", "D").with("keys", device_keys(user_id));
                let devices = vec![Value::from(device)];
                Object::new().with("user_id", *user_id).with("stream_id", 5u32).with("devices", devices)
            }
            ["", "_matrix", "federation", _, "user", "keys", "query"] => {
                let of_user = Object::new().with("D", device_keys(super::peer::BOB));
                Object::new().with("device_keys", Object::new().with(super::peer::BOB, of_user))
            }
            ["", "_matrix", "federation", _, "hierarchy", room_id] => {
                let summary = Object::new()
                    .with("room_id", *room_id)
                    .with("num_joined_members", 1u32)
                    .with("world_readable", false)
                    .with("guest_can_join", false)
                    .with("room_type", "m.space")
                    .with("children_state", Vec::<Value>::new());
                let none = Vec::<Value>::new();
                Object::new().with("room", summary).with("children", none.clone()).with("inaccessible_children", none)
            }
            ["", "_matrix", "federation", _, "publicRooms"] => Object::new().with("chunk", Vec::<Value>::new()),
            ["", "_matrix", "federation", _, "send", _] => Object::new().with("pdus", Object::new()),
            ["", "_matrix", "federation", ..] => Object::new(),
            _ => return (404, refusal()),
        };
        (200, answer.into())
    }

    fn template(&self, room: usize, membership: &str, user_id: &str) -> Object {
        let content = Object::new().with("membership", membership);
        let Ok(sender) = orrery_core::identifiers::UserId::parse(user_id) else { return Object::new() };
        let pdu = self.event(room, ("m.room.member", Some(user_id)), content, &sender);
        let mut event = pdu.to_object();
        event.retain(|name, _| !["hashes", "signatures", "event_id"].contains(&name));
        Object::new().with("room_version", self.rooms[room].version.as_str()).with("event", event)
    }

    fn state_before_join(&mut self, draw: &mut Draw<'_>, room: usize, sent: Value) -> Object {
        let (mut state, mut chain) = (self.state(room), self.state(room));
        for list in [&mut state, &mut chain] {
            if draw.once_in(4) {
                list.push(self.forge(draw, room).0.into());
            }
        }
        let mut event = sent.as_object().cloned().unwrap_or_default();
        self.countersign(room, &mut event);
        Object::new()
            .with("event", event)
            .with("state", state)
            .with("auth_chain", chain)
            .with("origin", PEER)
            .with("members_omitted", false)
    }

    fn state(&self, room: usize) -> Vec<Value> {
        self.rooms[room].state.iter().map(Pdu::to_object).map(Value::from).collect()
    }

    /// Events of a room, whatever they are.
    fn known(&self, room: usize) -> Vec<Value> {
        let of_room = self.events.values().filter(|(other, _)| *other == room);
        of_room.map(|(_, event)| Value::from(event.clone())).take(MOST).collect()
    }

    fn transaction(&self, pdus: Vec<Value>) -> Object {
        Object::new().with("origin", PEER).with("origin_server_ts", self.now).with("pdus", pdus)
    }
}

fn refusal() -> Value {
    Object::new().with("errcode", "M_NOT_FOUND").with("error", "no").into()
}

pub fn device_keys(user_id: &str) -> Object {
    Object::new()
        .with("user_id", user_id)
        .with("device_id", "D")
        .with("algorithms", vec![Value::from("m.olm.v1.curve25519-aes-sha2")])
        .with("keys", Object::new().with("curve25519:D", "x").with("ed25519:D", "x"))
        .with("signatures", Object::new().with(user_id, Object::new().with("ed25519:D", "x")))
}
