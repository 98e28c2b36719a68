//! Random histories: what clients add up from their syncs, one by one, waiting or not, through crashes, is what a first sync
//! tells at the end.

use alloc::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::random::Random;

/// How a client asks for state.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Before,
    After,
    Lazy,
}

/// A client with what it has added up.
struct Model {
    client: Client,
    style: Style,
    pending: Option<RequestId>,
    rooms: BTreeMap<String, RoomModel>,
    invites: BTreeSet<String>,
    account_data: BTreeMap<String, Value>,
}

#[derive(Default)]
struct RoomModel {
    /// By type and state key: the event ID.
    state: BTreeMap<(String, String), String>,
    /// Since the last gap.
    timeline: Vec<String>,
    account_data: BTreeMap<String, Value>,
    /// By thread, type and user: the event.
    receipts: BTreeMap<(String, String, String), String>,
    joined: Value,
}

impl Model {
    fn new(user: &User, style: Style, limit: i32) -> Model {
        let lazy = style == Style::Lazy;
        let filter = json!({ "room": { "timeline": { "limit": limit }, "state": { "lazy_load_members": lazy } } });
        let client = Client::new(user).with_filter(&filter);
        let client = if style == Style::After { client.with("&use_state_after=true") } else { client };
        Model {
            client,
            style,
            pending: None,
            rooms: BTreeMap::new(),
            invites: BTreeSet::new(),
            account_data: BTreeMap::new(),
        }
    }

    fn sync(&mut self, server: &mut Server) {
        let answer = self.client.sync(server);
        self.add(&answer);
    }

    fn add(&mut self, answer: &Value) {
        collect(at(answer, &["account_data"]), &mut self.account_data);
        let section = |name: &str| at(answer, &["rooms", name]).as_object().cloned().unwrap_or_default();
        for (room, body) in section("join") {
            self.invites.remove(&room);
            let style = self.style;
            self.rooms.entry(room).or_default().add(&body, style);
        }
        for (room, _) in section("invite") {
            self.rooms.remove(&room);
            self.invites.insert(room);
        }
        for (room, _) in section("leave") {
            self.invites.remove(&room);
            self.rooms.remove(&room);
        }
    }
}

impl RoomModel {
    fn add(&mut self, body: &Value, style: Style) {
        let events = |name: &str| at(body, &[name, "events"]).as_array().unwrap_or_default();
        let timeline = events("timeline");
        if at(body, &["timeline", "limited"]) == &json!(true) {
            self.timeline.clear();
        }
        let told: Vec<&Value> = match style {
            Style::After => events("state_after").iter().collect(),
            Style::Before | Style::Lazy => events("state").iter().chain(timeline).collect(),
        };
        for event in told {
            if let Some(key) = event.get("state_key").and_then(Value::as_str) {
                let key = (text(event, "type").to_string(), key.to_string());
                self.state.insert(key, text(event, "event_id").to_string());
            }
        }
        for event in timeline {
            let event_id = text(event, "event_id").to_string();
            assert!(!self.timeline.contains(&event_id), "{event_id} is told twice");
            self.timeline.push(event_id);
            if style == Style::Lazy {
                let key = ("m.room.member".to_string(), text(event, "sender").to_string());
                assert!(self.state.contains_key(&key), "who is {}?", key.1);
            }
        }
        collect(at(body, &["account_data"]), &mut self.account_data);
        for receipt in events("ephemeral").iter().filter(|event| text(event, "type") == "m.receipt") {
            for (event_id, kinds) in receipt.get("content").unwrap().as_object().unwrap().iter() {
                for (kind, users) in kinds.as_object().unwrap().iter() {
                    for (user, details) in users.as_object().unwrap().iter() {
                        let thread = details.get("thread_id").and_then(Value::as_str).unwrap_or_default().to_string();
                        self.receipts.insert((thread, kind.to_string(), user.to_string()), event_id.to_string());
                    }
                }
            }
        }
        if let Some(count) = at(body, &["summary"]).get("m.joined_member_count") {
            self.joined = count.clone();
        }
    }
}

fn collect(section: &Value, into: &mut BTreeMap<String, Value>) {
    for event in at(section, &["events"]).as_array().unwrap_or_default() {
        into.insert(text(event, "type").to_string(), event.get("content").unwrap().clone());
    }
}

struct Walk {
    server: Server,
    random: Random,
    users: Vec<User>,
    rooms: Vec<String>,
    models: Vec<Model>,
    events: Vec<(String, String)>,
}

impl Walk {
    fn new(seed: u8) -> Walk {
        let mut server = Server::with(|config| config.presence = seed.is_multiple_of(2));
        let users: Vec<User> = ["alice", "bob", "carol", "dave"].iter().map(|name| server.register(name)).collect();
        let rooms: Vec<String> = (0..3).map(|i| public_room(&mut server, &users[i])).collect();
        let mut models = Vec::new();
        for user in &users {
            for (style, limit) in [(Style::Before, 3), (Style::After, 4), (Style::Lazy, 2), (Style::Before, 100)] {
                models.push(Model::new(user, style, limit));
            }
        }
        Walk { server, random: Random::new(&[seed; 32], "walk"), users, rooms, models, events: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    /// Does something, which the room's rules may refuse.
    fn act(&mut self) {
        let user = self.users[self.random.below(4) as usize].clone();
        let other = self.users[self.random.below(4) as usize].user_id.clone();
        let room = self.rooms[self.random.below(3) as usize].clone();
        let number = self.random.below(3);
        let nonce = self.random.u64() >> 12;
        let base = alloc::format!("/_matrix/client/v3/rooms/{}", encode(&room));
        let target = json!({ "user_id": (&other) });
        let (method, path, body) = match self.below(20) {
            0..7 => (Method::Put, alloc::format!("{base}/send/m.room.message/{nonce}"), json!({ "body": (nonce) })),
            7..9 => (Method::Put, alloc::format!("{base}/state/org.example.{number}/"), json!({ "n": (nonce) })),
            9 => {
                let content = json!({ "membership": "join", "displayname": (alloc::format!("{nonce}")) });
                (Method::Put, alloc::format!("{base}/state/m.room.member/{}", encode(&user.user_id)), content)
            }
            10..12 => (Method::Post, alloc::format!("{base}/join"), json!({})),
            12 => (Method::Post, alloc::format!("{base}/leave"), json!({})),
            13 => (Method::Post, alloc::format!("{base}/invite"), target),
            14 => (Method::Post, alloc::format!("{base}/kick"), target),
            15 => (Method::Post, alloc::format!("{base}/ban"), target),
            16 => (Method::Post, alloc::format!("{base}/unban"), target),
            17 => {
                let path = alloc::format!("/_matrix/client/v3/user/{}/account_data/n.{number}", encode(&user.user_id));
                (Method::Put, path, json!({ "n": (nonce) }))
            }
            18 => {
                let own = alloc::format!("/_matrix/client/v3/user/{}/rooms", encode(&user.user_id));
                (
                    Method::Put,
                    alloc::format!("{own}/{}/account_data/n.{number}", encode(&room)),
                    json!({ "n": (nonce) }),
                )
            }
            _ => {
                if self.events.is_empty() {
                    return;
                }
                let at = self.below(self.events.len());
                let (room, event) = self.events[at].clone();
                let kind = if number == 0 { "m.read.private" } else { "m.read" };
                let path =
                    alloc::format!("/_matrix/client/v3/rooms/{}/receipt/{kind}/{}", encode(&room), encode(&event));
                (Method::Post, path, json!({}))
            }
        };
        let (status, answer) = self.server.call(method, &path, &user, body);
        assert!(matches!(status, 200 | 403), "{path}: {answer}");
        if let Some(event) = answer.get("event_id").and_then(Value::as_str) {
            self.events.push((room, event.to_string()));
        }
    }

    fn step(&mut self) {
        match self.below(10) {
            0..6 => self.act(),
            6..9 => {
                let at = self.below(self.models.len());
                let model = &mut self.models[at];
                if model.pending.is_none() && model.client.since.is_some() && self.random.below(2) == 0 {
                    model.pending = Some(model.client.poll(&mut self.server, 5_000));
                } else if model.pending.is_none() {
                    model.sync(&mut self.server);
                }
            }
            _ => self.server.advance(1_500),
        }
        for model in &mut self.models {
            if let Some(answer) = model.pending.and_then(|id| model.client.polled(&mut self.server, id)) {
                model.pending = None;
                model.add(&answer);
            }
        }
    }

    fn crash(mut self) -> Walk {
        self.models.iter_mut().for_each(|model| model.pending = None);
        Walk { server: self.server.crash(), ..self }
    }

    /// Compares what each client has added up with a first sync now.
    fn check(&mut self) {
        for model in &mut self.models {
            if let Some(id) = model.pending.take() {
                self.server.hangup(id);
            }
            model.sync(&mut self.server);
            let mut fresh = Model::new(&model.client.user, Style::Before, 100);
            fresh.sync(&mut self.server);
            assert_eq!(model.invites, fresh.invites);
            assert_eq!(model.account_data, fresh.account_data);
            assert_eq!(model.rooms.keys().collect::<Vec<_>>(), fresh.rooms.keys().collect::<Vec<_>>());
            for ((room, model_room), fresh_room) in model.rooms.iter().zip(fresh.rooms.values()) {
                let mut state = fresh_room.state.clone();
                if model.style == Style::Lazy {
                    // Not every member, but none that is out of date.
                    state.retain(|key, _| key.0 != "m.room.member" || model_room.state.contains_key(key));
                }
                assert_eq!(model_room.state, state, "{room} of {}", model.client.user.user_id);
                assert_eq!(model_room.account_data, fresh_room.account_data);
                assert_eq!(model_room.receipts, fresh_room.receipts);
                assert_eq!(model_room.joined, fresh_room.joined);
                let common = model_room.timeline.len().min(fresh_room.timeline.len());
                let newest = |timeline: &[String]| timeline[timeline.len() - common..].to_vec();
                assert_eq!(newest(&model_room.timeline), newest(&fresh_room.timeline), "{room}");
            }
        }
    }
}

fn walk(seed: u8) {
    let mut walk = Walk::new(seed);
    for i in 1..=240 {
        walk.step();
        if i % 60 == 0 {
            walk.check();
        }
        if i % 100 == 0 {
            walk = walk.crash();
        }
    }
}

#[test]
fn syncs_add_up() {
    (0..12).for_each(walk);
}
