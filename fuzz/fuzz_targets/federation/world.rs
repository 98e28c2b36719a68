//! A homeserver with a local user, a room of theirs in which a user of another server is, and that other server.

use std::sync::OnceLock;

use bytes::Bytes;
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::config::{Config, RateLimits, RegistrationConfig, SigningKeyConfig};
use orrery_core::effect::PasswordCost;
use orrery_core::event::Pdu;
use orrery_core::http::{Method, Request, Response, percent_encode};
use orrery_core::identifiers::{EventId, RoomId};
use orrery_core::input::{Outcome, RequestId};
use orrery_core::room::{EventIndex, Room};
use orrery_core::room_version::RoomVersion;
use orrery_core::time::Timestamp;

use super::check::{self, Untouched};
use super::draw::Draw;
use super::host::{Host, Memory};
use super::peer::{self, ALICE, ANNA, BOB, CAROL, LOCAL, NOBODY, PEER, Peer};

const START: Timestamp = Timestamp(1_700_000_000_000);

/// What each input begins with, made once for each room version.
struct Base {
    storage: Memory,
    now: Timestamp,
    peer: Peer,
    tokens: [String; 2],
    untouched: Untouched,
    events: u32,
}

pub struct World<'i> {
    pub host: Host,
    pub peer: Peer,
    pub draw: Draw<'i>,
    /// The access tokens of Alice, whose room it is, and of Anna, who is in none.
    tokens: [String; 2],
    /// Nothing before Alice's room is there.
    untouched: Option<Untouched>,
    /// The events of her room that were there at first.
    events: u32,
    /// The bytes that came from outside.
    received: usize,
}

fn config() -> Config {
    let signing_key = SigningKeyConfig { version: "a".to_owned(), seed: [1; 32] };
    Config {
        registration: RegistrationConfig { open: true, ..RegistrationConfig::default() },
        password_cost: PasswordCost { memory_kib: 8, passes: 1, lanes: 1 },
        rate_limits: RateLimits { enabled: false, ..RateLimits::default() },
        presence: true,
        ..Config::new(peer::server(LOCAL), signing_key)
    }
}

impl World<'_> {
    pub fn new<'i>(version: RoomVersion, input: &'i [u8]) -> World<'i> {
        static BASES: [OnceLock<Base>; RoomVersion::ALL.len()] = [const { OnceLock::new() }; RoomVersion::ALL.len()];
        let at = RoomVersion::ALL.iter().position(|other| *other == version).expect("it is one of all");
        let base = BASES[at].get_or_init(|| Base::new(version));
        let mut names: Vec<String> =
            [BOB, ALICE, ANNA, CAROL, PEER, LOCAL, NOBODY, "#tea:a.test", "$none:b.test", "!none:b.test"]
                .map(str::to_owned)
                .to_vec();
        names.extend(RoomVersion::ALL.map(|version| version.as_str().to_owned()));
        names.extend(base.peer.rooms.iter().map(|room| room.room_id.to_string()));
        names.extend(base.peer.events.keys().map(EventId::to_string));
        World {
            host: Host::start(config(), base.storage.clone(), base.now),
            peer: base.peer.clone(),
            draw: Draw::new(input, names),
            tokens: base.tokens.clone(),
            untouched: Some(base.untouched.clone()),
            events: base.events,
            received: 0,
        }
    }

    /// A request of Alice.
    pub fn client(&mut self, method: Method, target: &str, body: Option<Value>) -> RequestId {
        self.client_of(0, method, target, body)
    }

    /// A request of Alice or Anna.
    fn client_of(&mut self, who: usize, method: Method, target: &str, body: Option<Value>) -> RequestId {
        let authorization = Some(format!("Bearer {}", self.tokens[who]));
        self.request(method, target, authorization, body.map_or_else(Bytes::new, |body| body.to_bytes().into()))
    }

    /// A request of the other server.
    pub fn server(&mut self, method: Method, target: &str, body: Option<Value>) -> RequestId {
        let bytes = body.as_ref().map_or_else(Vec::new, Value::to_bytes);
        let authorization = match self.draw.below(16) {
            0..14 => Some(self.peer.authorization(method, target, body)),
            14 => Some(self.peer.authorization(method, "/elsewhere", body)),
            _ => Some(self.draw.text()).filter(|text| !text.is_empty()),
        };
        self.request(method, target, authorization, bytes.into())
    }

    pub fn request(&mut self, method: Method, target: &str, authorization: Option<String>, body: Bytes) -> RequestId {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        self.received += target.len() + body.len();
        trace(|| format!("> {} {target} {}", method.as_str(), String::from_utf8_lossy(&body)));
        let id =
            self.host.request(Request { method, path, query, authorization, user_agent: None, remote: None, body });
        self.answer_fetches();
        id
    }

    /// The other server answers, or not, whatever it is asked.
    fn answer_fetches(&mut self) {
        while let Some((call, fetch)) = self.host.fetches.pop_front() {
            self.peer.now = self.host.now;
            let answer = self.peer.answer(&fetch, &mut self.draw);
            trace(|| format!("  asks {} {}: {}", fetch.tls_name, fetch.target, told(answer.as_ref())));
            match answer {
                Some(outcome) => {
                    if let Outcome::Fetched(response) = &outcome {
                        self.received += response.body.len();
                    }
                    self.host.resolve(call, outcome);
                }
                None => self.host.leave_hanging(call, &fetch),
            }
        }
    }

    pub fn advance(&mut self, millis: u64) {
        let end = Timestamp(self.host.now.0 + millis);
        self.answer_fetches();
        while self.host.pass_time(end) {
            self.answer_fetches();
        }
    }

    /// What must hold after everything that comes from outside.
    pub fn check(&mut self) {
        let written = std::mem::take(&mut self.host.written);
        let received = std::mem::take(&mut self.received);
        check::cost(written, received);
        let untouched = self.untouched.as_ref();
        self.host.storage(|storage| untouched.map(|untouched| untouched.check(storage)));
    }

    /// What must hold in the end: nothing waits, nothing is forged, Alice can talk in her room, and everybody can sync.
    pub fn finish(mut self) {
        // Longer than anything waits.
        self.advance(2 * 3_600_000);
        self.host.assert_quiet();
        self.check();
        let room_id = self.peer.rooms[0].room_id.clone();
        let first = EventIndex(self.events);
        self.host.storage(|storage| check::signatures(storage, &room_id, first));
        let room = percent_encode(&room_id);
        let body = Object::new().with("msgtype", "m.text").with("body", "still here");
        let target = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/last");
        let id = self.client(Method::Put, &target, Some(body.into()));
        self.advance(600_000);
        let answer = self.host.answer(id).expect("it is answered by now");
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        for who in 0..2 {
            let id = self.client_of(who, Method::Get, "/_matrix/client/v3/sync?full_state=true", None);
            let answer = self.host.answer(id).expect("it is answered at once");
            assert_eq!(answer.status, 200, "{:?}", answer.body);
        }
    }
}

/// Says what happens, on standard error, if `ORRERY_FUZZ_TRACE` is set.
pub fn trace(what: impl FnOnce() -> String) {
    static IS_ON: OnceLock<bool> = OnceLock::new();
    if *IS_ON.get_or_init(|| std::env::var_os("ORRERY_FUZZ_TRACE").is_some()) {
        eprintln!("{}", what());
    }
}

fn told(outcome: Option<&Outcome>) -> String {
    match outcome {
        Some(Outcome::Fetched(response)) => format!("{} {}", response.status, String::from_utf8_lossy(&response.body)),
        Some(other) => format!("{other:?}"),
        None => "nothing".to_owned(),
    }
}

impl Base {
    fn new(version: RoomVersion) -> Base {
        let mut world = World {
            host: Host::start(config(), Memory::default(), START),
            peer: Peer::new(START),
            draw: Draw::new(&[], vec![String::new()]),
            tokens: Default::default(),
            untouched: None,
            events: 0,
            received: 0,
        };
        for (who, name) in ["alice", "anna"].into_iter().enumerate() {
            let auth = Object::new().with("type", "m.login.dummy");
            let body = Object::new().with("username", name).with("password", "correct horse").with("auth", auth);
            let answer = world.ok(|world| world.client(Method::Post, "/_matrix/client/v3/register", Some(body.into())));
            world.tokens[who] = answer.get("access_token").and_then(Value::as_str).expect("it has one").to_owned();
        }
        let body = Object::new()
            .with("preset", "public_chat")
            .with("room_alias_name", "tea")
            .with("room_version", version.as_str());
        let answer = world.ok(|world| world.client(Method::Post, "/_matrix/client/v3/createRoom", Some(body.into())));
        let room_id = answer.get("room_id").and_then(Value::as_str).expect("it has one");
        let room_id = RoomId::parse(room_id).expect("it is one");
        world.join_bob(version, &room_id);
        world.peer.create_room(version);
        world.advance(60_000);
        let (untouched, events) = world.host.storage(|storage| {
            let room = Room::find(storage, &room_id).expect("it is readable").expect("it is there");
            (Untouched::read(storage, room_id.clone()), room.head.next_index)
        });
        let storage = world.host.storage(Clone::clone);
        Base { storage, now: world.host.now, peer: world.peer, tokens: world.tokens, untouched, events }
    }
}

impl World<'_> {
    fn ok(&mut self, ask: impl FnOnce(&mut Self) -> RequestId) -> Value {
        let id = ask(self);
        let Response { status, body, .. } = self.host.answer(id).expect("it is answered at once");
        assert_eq!(status, 200, "{body:?}");
        parse(&body).expect("answers are JSON")
    }

    fn join_bob(&mut self, version: RoomVersion, room_id: &RoomId) {
        let room = percent_encode(room_id);
        let bob = percent_encode(BOB);
        let target = format!("/_matrix/federation/v1/make_join/{room}/{bob}?ver={}", version.as_str());
        let template = self.ok(|world| world.server(Method::Get, &target, None));
        let event = template.get("event").and_then(Value::as_object).expect("it has one");
        let ids = |name: &str| -> Vec<EventId> {
            let references = event.array(name).unwrap_or_default().iter();
            let ids =
                references.map(|item| item.as_str().or_else(|| item.as_array()?.first()?.as_str()).unwrap_or_default());
            ids.map(|id| EventId::parse(id).expect("it is one")).collect()
        };
        let depth = event.integer("depth").expect("it has one");
        let last = ids("prev_events").remove(0);
        self.peer.rooms.push(peer::Room {
            version,
            room_id: room_id.clone(),
            state: Vec::new(),
            last: last.clone(),
            depth: depth - 1,
        });
        let join = self.peer.join(BOB, &last, &ids("auth_events"));
        let target = format!("/_matrix/federation/v2/send_join/{room}/{}", percent_encode(&join.event_id));
        let answer = self.ok(|world| world.server(Method::Put, &target, Some(join.to_object().into())));
        for event in answer.get("state").and_then(Value::as_array).expect("it has it") {
            let event = event.as_object().expect("it is an event").clone();
            let pdu = Pdu::parse(event.clone(), version).expect("it is an event");
            self.peer.events.insert(pdu.event_id.clone(), (0, event));
            self.peer.rooms[0].state.push(pdu);
        }
        self.peer.rooms[0].state.push(join.clone());
        self.peer.follow(0, &join);
    }
}
