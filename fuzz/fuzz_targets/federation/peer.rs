//! The other server: its key, its rooms, and events that it makes, good and bad.

use std::collections::BTreeMap;

use orrery_core::auth_rules::select_auth_events;
use orrery_core::canonical_json::{Object, Value};
use orrery_core::event::redaction::redact;
use orrery_core::event::{BuildError, NewEvent, Pdu};
use orrery_core::federation::x_matrix;
use orrery_core::http::Method;
use orrery_core::identifiers::{EventId, RoomId, ServerName, UserId};
use orrery_core::room_version::{RoomIdFormat, RoomVersion};
use orrery_core::signing::{SigningKey, add_signature, base64, set_content_hash, sign_json, signature_of};
use orrery_core::time::Timestamp;

use super::draw::Draw;

/// The server that is tested, the other one, and one that nobody can reach.
pub const LOCAL: &str = "a.test";
pub const PEER: &str = "b.test";
pub const NOBODY: &str = "c.test";
pub const ALICE: &str = "@alice:a.test";
pub const ANNA: &str = "@anna:a.test";
pub const BOB: &str = "@bob:b.test";
pub const CAROL: &str = "@carol:c.test";

/// A room as the peer knows it.
#[derive(Clone)]
pub struct Room {
    pub version: RoomVersion,
    pub room_id: RoomId,
    pub state: Vec<Pdu>,
    /// The last honest event.
    pub last: EventId,
    pub depth: i64,
}

#[derive(Clone)]
pub struct Peer {
    pub key: SigningKey,
    /// Alice's room, in which Bob is, and Bob's own.
    pub rooms: Vec<Room>,
    /// Every event that was made, good or bad, by its ID, with its room.
    pub events: BTreeMap<EventId, (usize, Object)>,
    pub now: Timestamp,
}

pub fn user(user_id: &str) -> UserId {
    UserId::parse(user_id).expect("it is a user ID")
}

pub fn server(name: &str) -> ServerName {
    ServerName::parse(name).expect("it is a server name")
}

impl Peer {
    pub fn new(now: Timestamp) -> Peer {
        let key = SigningKey::from_seed("b", &[2; 32]).expect("it is a key ID");
        Peer { key, rooms: Vec::new(), events: BTreeMap::new(), now }
    }

    /// A room of Bob's own, which everybody may join.
    pub fn create_room(&mut self, version: RoomVersion) {
        let rules = version.rules();
        let room_id =
            (rules.room_ids == RoomIdFormat::Stated).then(|| RoomId::parse("!bobs:b.test").expect("it is one"));
        let content = Object::new().with("creator", BOB).with("room_version", version.as_str());
        let create = self.build(version, room_id.as_ref(), ("m.room.create", Some("")), content, BOB, (&[], &[], 1));
        let create = create.expect("it is small and well-formed");
        let mut room = Room {
            version,
            room_id: create.room_id.clone(),
            last: create.event_id.clone(),
            state: vec![create.clone()],
            depth: 1,
        };
        self.rooms.push(room.clone());
        self.events.insert(create.event_id.clone(), (1, create.to_object()));
        let levels = match rules.auth.privileged_creators {
            true => Object::new(),
            false => Object::new().with("users", Object::new().with(BOB, 100u32)),
        };
        for (kind, state_key, content) in [
            ("m.room.member", BOB, Object::new().with("membership", "join")),
            ("m.room.power_levels", "", levels),
            ("m.room.join_rules", "", Object::new().with("join_rule", "public")),
            ("m.room.history_visibility", "", Object::new().with("history_visibility", "shared")),
        ] {
            let pdu = self.event(1, (kind, Some(state_key)), content, BOB);
            room.state.push(pdu.clone());
            self.rooms[1].state = room.state.clone();
            self.follow(1, &pdu);
        }
        let message = Object::new().with("msgtype", "m.text").with("body", "hello");
        let pdu = self.event(1, ("m.room.message", None), message, BOB);
        self.follow(1, &pdu);
    }

    /// An honest event is the room's newest.
    pub fn follow(&mut self, room: usize, pdu: &Pdu) {
        self.events.insert(pdu.event_id.clone(), (room, pdu.to_object()));
        self.rooms[room].last = pdu.event_id.clone();
        self.rooms[room].depth = pdu.depth;
    }

    /// An event as an honest server makes it, after the room's newest event.
    pub fn event(&self, room: usize, kind: (&str, Option<&str>), content: Object, sender: &str) -> Pdu {
        self.event_after(room, kind, content, sender, None).expect("it is small and well-formed")
    }

    /// [`Peer::event`] after `prev_events`, if there are any. It may be larger than an event can be.
    fn event_after(
        &self,
        room: usize,
        (kind, state_key): (&str, Option<&str>),
        content: Object,
        sender: &str,
        prev_events: Option<&[EventId]>,
    ) -> Result<Pdu, BuildError> {
        let room = &self.rooms[room];
        let user_id = user(sender);
        let selected = select_auth_events(room.version.rules(), kind, state_key, &user_id, &content);
        let cited =
            |(kind, state_key): &(&str, &str)| room.state.iter().find(|event| event.is_state_of(kind, state_key));
        let cited: Vec<EventId> = selected.iter().filter_map(cited).map(|event| event.event_id.clone()).collect();
        let last = [room.last.clone()];
        let graph = (prev_events.unwrap_or(&last), cited.as_slice(), room.depth + 1);
        self.build(room.version, Some(&room.room_id), (kind, state_key), content, sender, graph)
    }

    /// A join of a room of which only the template is known.
    pub fn join(&self, user_id: &str, prev_event: &EventId, auth_events: &[EventId]) -> Pdu {
        let room = &self.rooms[0];
        let content = Object::new().with("membership", "join");
        let graph = (std::slice::from_ref(prev_event), auth_events, room.depth + 1);
        let built =
            self.build(room.version, Some(&room.room_id), ("m.room.member", Some(user_id)), content, user_id, graph);
        built.expect("it is small and well-formed")
    }

    fn build(
        &self,
        version: RoomVersion,
        room_id: Option<&RoomId>,
        (kind, state_key): (&str, Option<&str>),
        content: Object,
        sender: &str,
        (prev_events, auth_events, depth): (&[EventId], &[EventId], i64),
    ) -> Result<Pdu, BuildError> {
        let event = NewEvent {
            version,
            room_id,
            sender: &user(sender),
            kind,
            state_key,
            content,
            prev_events,
            auth_events,
            depth,
            origin_server_ts: self.now,
            redacts: None,
            reference_hash: &|_| Ok(None),
        };
        event.build(&server(PEER), &self.key)
    }

    /// An event of one of the rooms, mostly with something wrong about it, and its ID, if it can have one.
    pub fn forge(&mut self, draw: &mut Draw<'_>, room: usize) -> (Object, String) {
        let sender = draw.pick(&[BOB, BOB, BOB, ALICE, CAROL]);
        let prev_events = self.pick_events(draw);
        let target = draw.pick(&[BOB, ALICE, CAROL, "@new:b.test"]);
        let (kind, state_key, content) = draw_event(draw, sender, target);
        let built = self.event_after(room, (kind, state_key), content, sender, prev_events.as_deref());
        let Ok(pdu) = built else { return (Object::new(), draw.text()) };
        let mut event = Value::Object(pdu.to_object());
        draw.disturb(&mut event);
        let Value::Object(event) = event else { return (Object::new(), draw.text()) };
        let event = self.sign(draw, room, event);
        match Pdu::parse(event.clone(), self.rooms[room].version) {
            Ok(pdu) => {
                self.events.insert(pdu.event_id.clone(), (room, event.clone()));
                draw.names.push(pdu.event_id.to_string());
                (event, pdu.event_id.to_string())
            }
            Err(_) => (event, draw.text()),
        }
    }

    /// Events to come after; `None` for the newest.
    fn pick_events(&self, draw: &mut Draw<'_>) -> Option<Vec<EventId>> {
        let known: Vec<EventId> = self.events.keys().cloned().collect();
        match draw.below(4) {
            0 | 1 => None,
            2 => Some((0..=draw.below(20)).map(|_| draw.pick(&known)).collect()),
            _ => EventId::parse(&format!("${}:b.test", draw.byte())).ok().map(|unknown| vec![unknown]),
        }
    }

    /// Hashes and signs, mostly as it should be.
    fn sign(&self, draw: &mut Draw<'_>, room: usize, mut event: Object) -> Object {
        if !draw.once_in(8) {
            set_content_hash(&mut event);
        }
        let how = draw.below(12);
        if how != 11 {
            event.remove("signatures");
        }
        let other = SigningKey::from_seed("b", &[3; 32]).expect("it is a key ID");
        let (key, names): (_, &[&str]) = match how {
            0..8 => (&self.key, &[PEER]),
            8 => (&other, &[PEER]),
            9 => (&self.key, &[PEER, LOCAL, NOBODY]),
            10 => (&self.key, &[LOCAL]),
            _ => (&self.key, &[]),
        };
        self.add_signatures(room, &mut event, key, names);
        event
    }

    fn add_signatures(&self, room: usize, event: &mut Object, key: &SigningKey, names: &[&str]) {
        let signature = signature_of(&redact(event, self.rooms[room].version.rules()), key);
        for name in names {
            // What is no object stays what it is.
            let _ = add_signature(event, name, key.key_id(), &signature);
        }
    }

    /// Adds the peer's signature.
    pub fn countersign(&self, room: usize, event: &mut Object) {
        self.add_signatures(room, event, &self.key, &[PEER]);
    }

    /// Changes an event's content, and hashes and signs it as it should be. Also gives its ID, if it can have one.
    pub fn with_content(&self, room: usize, pdu: &Pdu, content: Value) -> (Object, String) {
        let mut event = pdu.to_object().with("content", content);
        event.remove("signatures");
        set_content_hash(&mut event);
        self.countersign(room, &mut event);
        let event_id = Pdu::parse(event.clone(), self.rooms[room].version).map(|pdu| pdu.event_id);
        (event, event_id.unwrap_or_else(|_| pdu.event_id.clone()).to_string())
    }

    /// The list of its keys.
    pub fn keys(&self) -> Object {
        let key = Object::new().with("key", base64::encode_unpadded(&self.key.public_key()));
        let mut keys = Object::new()
            .with("server_name", PEER)
            .with("verify_keys", Object::new().with(self.key.key_id(), key))
            .with("old_verify_keys", Object::new())
            .with("valid_until_ts", Timestamp(self.now.0 + 86_400_000));
        sign_json(&mut keys, PEER, &self.key).expect("it has no signatures yet");
        keys
    }

    /// The header of a request to the tested server.
    pub fn authorization(&self, method: Method, target: &str, content: Option<Value>) -> String {
        let names = (&server(PEER), &server(LOCAL));
        x_matrix::authorization(&self.key, names, method, target, content)
    }
}

/// Type, state key and content.
fn draw_event(
    draw: &mut Draw<'_>,
    sender: &'static str,
    target: &'static str,
) -> (&'static str, Option<&'static str>, Object) {
    let member = |membership: &str| Object::new().with("membership", membership);
    let with = |name: &str, value: &str| Object::new().with(name, value);
    match draw.below(20) {
        0..4 => ("m.room.message", None, with("body", "x").with("msgtype", "m.text")),
        4 => ("m.room.member", Some(sender), member("leave")),
        5 => ("m.room.member", Some(sender), member("join")),
        6 => ("m.room.member", Some(target), member(draw.pick(&["invite", "ban", "leave", "knock", "join"]))),
        7 => ("m.room.power_levels", Some(""), Object::new().with("users", Object::new().with(target, 100u32))),
        8 => {
            ("m.room.join_rules", Some(""), with("join_rule", draw.pick(&["invite", "public", "restricted", "knock"])))
        }
        9 => ("m.room.create", Some(""), with("room_version", "1").with("creator", sender)),
        10 => {
            let redacts = draw.text();
            ("m.room.redaction", None, with("redacts", &redacts))
        }
        11 => ("m.room.server_acl", Some(""), Object::new().with("allow", vec![Value::from("*")])),
        12 => ("m.room.tombstone", Some(""), with("replacement_room", "!new:b.test").with("body", "")),
        13 => ("m.room.history_visibility", Some(""), with("history_visibility", "joined")),
        14 => (
            "m.room.third_party_invite",
            Some("token"),
            with("display_name", "x").with("public_key", "x").with("key_validity_url", "x"),
        ),
        15 => {
            let signed = with("mxid", target).with("token", "token").with("signatures", Object::new());
            let invite = with("display_name", "x").with("signed", signed);
            ("m.room.member", Some(target), member("invite").with("third_party_invite", invite))
        }
        16 => ("m.room.member", Some(sender), member("join").with("join_authorised_via_users_server", target)),
        17 => ("m.room.policy", Some(""), with("via", PEER).with("public_key", "x")),
        18 => ("m.room.aliases", Some(PEER), Object::new()),
        _ => ("m.space.child", Some("!bobs:b.test"), Object::new().with("via", vec![Value::from(PEER)])),
    }
}
