//! What happens: requests of the other server, good and bad, requests of the local user that need others, time, and restarts.

use bytes::Bytes;
use orrery_core::canonical_json::{Object, Value};
use orrery_core::http::{Method, percent_encode};
use orrery_core::room_version::RoomVersion;

use super::answers::device_keys;
use super::peer::{ALICE, ANNA, BOB, PEER};
use super::world::World;

/// The most actions of one input.
const MOST: usize = 24;

/// What another server reads with `GET`: `R` is a room, `E` an event, `U` a user, `T` any text.
const READS: [&str; 26] = [
    "federation/v1/event/E",
    "federation/v1/state/R?event_id=E",
    "federation/v1/state_ids/R?event_id=E",
    "federation/v1/event_auth/R/E",
    "federation/v1/backfill/R?v=E&v=E&limit=T",
    "federation/v1/backfill/R?v=E&limit=100",
    "federation/v1/timestamp_to_event/R?ts=T&dir=b",
    "federation/v1/timestamp_to_event/R?ts=1700000000000&dir=T",
    "federation/v1/hierarchy/R?suggested_only=T",
    "federation/v1/publicRooms?limit=T&since=T",
    "federation/v1/query/profile?user_id=U&field=T",
    "federation/v1/query/directory?room_alias=T",
    "federation/v1/query/T",
    "federation/v1/user/devices/U",
    "federation/v1/openid/userinfo?access_token=T",
    "federation/v1/media/download/T",
    "federation/v1/media/thumbnail/T?width=T&height=1",
    "federation/v1/version",
    "key/v2/server",
    "key/v2/query/T?minimum_valid_until_ts=T",
    "federation/v1/make_join/R/U?ver=T&ver=12",
    "federation/v1/make_knock/R/U?ver=T&ver=10",
    "federation/v1/make_leave/R/U",
    "federation/v1/state/R",
    "federation/v1/T",
    "T",
];

/// What Alice does that other servers have a part in.
const WISHES: [(Method, &str); 19] = [
    (Method::Put, "rooms/R/send/m.room.message/T"),
    (Method::Post, "join/R?via=b.test&via=T"),
    (Method::Post, "knock/R?via=b.test"),
    (Method::Post, "rooms/R/invite"),
    (Method::Get, "rooms/R/messages?dir=b&limit=50"),
    (Method::Get, "rooms/R/messages?dir=f&limit=50"),
    (Method::Get, "rooms/R/timestamp_to_event?ts=1&dir=f"),
    (Method::Get, "profile/@bob%3Ab.test"),
    (Method::Get, "directory/room/%23x%3Ab.test"),
    (Method::Post, "keys/query"),
    (Method::Post, "keys/claim"),
    (Method::Get, "publicRooms?server=b.test"),
    (Method::Get, "sync?timeout=0"),
    (Method::Put, "sendToDevice/m.test/T"),
    (Method::Put, "rooms/R/typing/@alice%3Aa.test"),
    (Method::Post, "rooms/R/receipt/m.read/E"),
    (Method::Put, "presence/@alice%3Aa.test/status"),
    (Method::Get, "sync?timeout=30000&since=T"),
    (Method::Put, "rooms/R/redact/E/T"),
];

impl World<'_> {
    pub fn act(&mut self) {
        for _ in 0..MOST {
            if self.draw.is_over() {
                return;
            }
            match self.draw.below(12) {
                0..3 => self.send_transaction(),
                3 => self.send_membership(),
                4 => self.send_invite(),
                5 => self.read(),
                6 => self.post(),
                7 => self.send_raw(),
                8 | 9 => self.wish(),
                10 => {
                    let millis = self.draw.pick(&[1, 1_000, 30_000, 600_000, 3_600_000]);
                    self.advance(millis);
                }
                _ if self.draw.once_in(2) => self.host.restart(),
                _ => self.host.hang_up(),
            }
            self.check();
        }
    }

    fn send_transaction(&mut self) {
        let mut pdus = Vec::new();
        for _ in 0..self.draw.below(4) {
            let room = self.draw.below(2);
            let (event, _) = self.peer.forge(&mut self.draw, room);
            let copies = self.draw.pick(&[1, 1, 1, 1, 2, 50]);
            pdus.extend(std::iter::repeat_n(Value::from(event), copies));
        }
        let mut edus = Vec::new();
        for _ in 0..self.draw.below(4) {
            let mut edu = self.edu();
            self.draw.disturb(&mut edu);
            edus.push(edu);
        }
        let mut body = Object::new()
            .with("origin", PEER)
            .with("origin_server_ts", self.host.now)
            .with("pdus", pdus)
            .with("edus", edus)
            .into();
        if self.draw.once_in(8) {
            self.draw.disturb(&mut body);
        }
        let target = format!("/_matrix/federation/v1/send/{}", self.draw.byte());
        self.server(Method::Put, &target, Some(body));
    }

    /// What is no part of a room's history, of each kind.
    fn edu(&mut self) -> Value {
        let with_user = || Object::new().with("user_id", BOB);
        let room_id = self.peer.rooms[0].room_id.clone();
        let number = u32::from(self.draw.byte());
        let (kind, content) = match self.draw.below(8) {
            0 => ("m.typing", with_user().with("room_id", &room_id).with("typing", true)),
            1 => {
                let data = Object::new().with("ts", 1u32);
                let event_ids = vec![Value::from(&self.peer.rooms[0].last)];
                let receipt = Object::new().with("event_ids", event_ids).with("data", data);
                let read = Object::new().with("m.read", Object::new().with(BOB, receipt));
                ("m.receipt", Object::new().with(&room_id, read))
            }
            2 => {
                let item = with_user().with("presence", "online").with("last_active_ago", 1u32);
                ("m.presence", Object::new().with("push", vec![Value::from(item)]))
            }
            3 | 4 => (
                "m.device_list_update",
                with_user()
                    .with("device_id", "D")
                    .with("stream_id", number)
                    .with("prev_id", vec![Value::from(number / 2)])
                    .with("keys", device_keys(BOB)),
            ),
            5 => {
                let messages = Object::new().with(ALICE, Object::new().with("*", Object::new()));
                let id = number.to_string();
                let message = Object::new().with("sender", BOB).with("type", "m.test").with("message_id", id);
                ("m.direct_to_device", message.with("messages", messages))
            }
            6 => {
                let key = with_user()
                    .with("usage", vec![Value::from("master")])
                    .with("keys", Object::new().with("ed25519:x", "x"));
                ("m.signing_key_update", with_user().with("master_key", key))
            }
            _ => ("m.unknown", Object::new()),
        };
        Object::new().with("edu_type", kind).with("content", content).into()
    }

    /// Submits a join, a knock or a leave, honest or not, of either room.
    fn send_membership(&mut self) {
        let membership = self.draw.pick(&["join", "leave", "knock"]);
        let version = self.draw.pick(&["v2", "v1"]);
        let room = self.draw.below(2);
        let (event, event_id) = match self.draw.below(3) {
            0 => {
                let sender = self.draw.pick(&[BOB, "@new:b.test"]);
                let content = Object::new().with("membership", membership);
                let pdu = self.peer.event(room, ("m.room.member", Some(sender)), content.clone(), sender);
                let mut content = content.into();
                self.draw.disturb(&mut content);
                self.peer.with_content(room, &pdu, content)
            }
            _ => self.peer.forge(&mut self.draw, room),
        };
        let room_id = percent_encode(&self.peer.rooms[room].room_id);
        let omit = self.draw.pick(&["", "?omit_members=true", "?omit_members=x"]);
        let target =
            format!("/_matrix/federation/{version}/send_{membership}/{room_id}/{}{omit}", percent_encode(&event_id));
        self.server(Method::Put, &target, Some(event.into()));
    }

    fn send_invite(&mut self) {
        let is_v2 = self.draw.below(2) == 0;
        let room = 1 - self.draw.below(2);
        let mut said = self.peer.rooms[room].version;
        let (event, event_id) = match self.draw.below(2) {
            0 => {
                // Nobody who is not in a room knows its version but by what is said.
                let version = self.peer.rooms[room].version;
                self.peer.rooms[room].version = self.draw.pick(&[version, version, RoomVersion::V1, RoomVersion::V11]);
                let user_id = self.draw.pick(&[ALICE, ANNA]);
                let content = Object::new().with("membership", "invite");
                let pdu = self.peer.event(room, ("m.room.member", Some(user_id)), content, BOB);
                said = std::mem::replace(&mut self.peer.rooms[room].version, version);
                (pdu.to_object(), pdu.event_id.to_string())
            }
            _ => self.peer.forge(&mut self.draw, room),
        };
        let there = &self.peer.rooms[room];
        let state: Vec<Value> = there.state.iter().map(|event| Value::from(event.to_object())).collect();
        let target = format!("invite/{}/{}", percent_encode(&there.room_id), percent_encode(&event_id));
        let (target, mut body) = if is_v2 {
            let body =
                Object::new().with("room_version", said.as_str()).with("event", event).with("invite_room_state", state);
            (format!("/_matrix/federation/v2/{target}"), Value::from(body))
        } else {
            let unsigned = Object::new().with("invite_room_state", state);
            (format!("/_matrix/federation/v1/{target}"), Value::from(event.with("unsigned", unsigned)))
        };
        self.draw.disturb(&mut body);
        self.server(Method::Put, &target, Some(body));
    }

    fn read(&mut self) {
        let template = self.draw.pick(&READS);
        let target = format!("/_matrix/{}", self.filled_in(template));
        self.server(Method::Get, &target, None);
    }

    /// A target with each letter that stands for something replaced by that.
    fn filled_in(&mut self, template: &str) -> String {
        let mut target = String::new();
        for part in template.split_inclusive(['/', '=']) {
            let (word, end) = match part.strip_suffix(['/', '=']) {
                Some(word) => (word, &part[word.len()..]),
                None => (part, ""),
            };
            let (word, rest) = word.split_at(word.find(['?', '&']).unwrap_or(word.len()));
            let text = match word {
                "R" if !self.draw.once_in(8) => self.peer.rooms[self.draw.below(2)].room_id.to_string(),
                "E" if !self.draw.once_in(8) => {
                    let known: Vec<_> = self.peer.events.keys().cloned().collect();
                    self.draw.pick(&known).to_string()
                }
                "U" if !self.draw.once_in(8) => self.draw.pick(&[BOB, ALICE, "@new:b.test"]).to_owned(),
                "R" | "E" | "U" | "T" => self.draw.text(),
                _ => {
                    target.push_str(part);
                    continue;
                }
            };
            // A name as long as that never comes through a host.
            let text: String = text.chars().take(3000).collect();
            target.push_str(&percent_encode(&text));
            target.push_str(rest);
            target.push_str(end);
        }
        target
    }

    fn post(&mut self) {
        let users = |value: Value| Object::new().with(ALICE, value.clone()).with(BOB, value);
        let known: Vec<Value> = self.peer.events.keys().map(Value::from).collect();
        let (method, template, body) = match self.draw.below(7) {
            0 => {
                let body = Object::new()
                    .with("latest_events", vec![self.draw.pick(&known)])
                    .with("earliest_events", vec![self.draw.pick(&known)])
                    .with("limit", 20u32)
                    .with("min_depth", 0u32);
                (Method::Post, "federation/v1/get_missing_events/R", body)
            }
            1 => {
                let asked = users(Value::Array(Vec::new()));
                (Method::Post, "federation/v1/user/keys/query", Object::new().with("device_keys", asked))
            }
            2 => {
                let asked = users(Object::new().with("D", "signed_curve25519").into());
                (Method::Post, "federation/v1/user/keys/claim", Object::new().with("one_time_keys", asked))
            }
            3 => {
                let criteria = Object::new().with("ed25519:b", Object::new().with("minimum_valid_until_ts", 1u32));
                let servers = Object::new().with(PEER, criteria).with("a.test", Object::new());
                (Method::Post, "key/v2/query", Object::new().with("server_keys", servers))
            }
            4 => {
                let filter = Object::new().with("generic_search_term", "tea");
                (Method::Post, "federation/v1/publicRooms", Object::new().with("limit", 5u32).with("filter", filter))
            }
            5 => {
                let room = self.draw.below(2);
                let (event, _) = self.peer.forge(&mut self.draw, room);
                (Method::Put, "federation/v1/exchange_third_party_invite/R", event)
            }
            _ => {
                let signed = Object::new().with("mxid", ALICE).with("token", "token").with("signatures", Object::new());
                let invite = Object::new()
                    .with("sender", BOB)
                    .with("mxid", ALICE)
                    .with("address", "a@a.test")
                    .with("medium", "email")
                    .with("room_id", &self.peer.rooms[1].room_id)
                    .with("signed", signed);
                let body = Object::new()
                    .with("mxid", ALICE)
                    .with("medium", "email")
                    .with("address", "a@a.test")
                    .with("invites", vec![Value::from(invite)]);
                (Method::Put, "federation/v1/3pid/onbind", body)
            }
        };
        let mut body = Value::from(body);
        self.draw.disturb(&mut body);
        let target = format!("/_matrix/{}", self.filled_in(template));
        self.server(method, &target, Some(body));
    }

    /// A body of any bytes, unsigned or with a header of any text, to any path.
    fn send_raw(&mut self) {
        let method = self.draw.pick(&[Method::Put, Method::Post, Method::Get, Method::Delete, Method::Other]);
        let template = match self.draw.below(4) {
            0 => "federation/v1/send/T",
            1 => "federation/v2/send_join/R/E",
            2 => "key/v2/query",
            _ => self.draw.pick(&READS),
        };
        let target = format!("/_matrix/{}", self.filled_in(template));
        let body = Bytes::from(self.draw.raw());
        let authorization = match self.draw.below(3) {
            0 => {
                let content = orrery_core::canonical_json::parse(&body).ok();
                Some(self.peer.authorization(method, &target, content))
            }
            1 => Some(format!("X-Matrix {}", self.draw.text())),
            _ => None,
        };
        self.request(method, &target, authorization, body);
    }

    fn wish(&mut self) {
        let (method, template) = self.draw.pick(&WISHES);
        let target = format!("/_matrix/client/v3/{}", self.filled_in(template));
        let body = (method != Method::Get).then(|| {
            let devices = Object::new().with("D", "signed_curve25519");
            let messages = Object::new().with(BOB, Object::new().with("D", Object::new()));
            let body = Object::new()
                .with("msgtype", "m.text")
                .with("body", "x")
                .with("user_id", "@new:b.test")
                .with("device_keys", Object::new().with(BOB, Vec::<Value>::new()))
                .with("one_time_keys", Object::new().with(BOB, devices))
                .with("messages", messages)
                .with("typing", true)
                .with("timeout", 10_000u32)
                .with("presence", "online")
                .with("displayname", "Alice");
            Value::from(body)
        });
        self.client(method, &target, body);
    }
}
