//! Rooms and events, mostly sensible and always different. What is drawn depends on the version only.

use orrery_core::auth_rules::{AuthState, Rule, authorize, select_auth_events};
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::Pdu;
use orrery_core::room_version::{RoomIdFormat, RoomVersion};
use orrery_core::signing::{SigningKey, base64, sign_json};
use orrery_oracles::random::Random;
use orrery_oracles::ruma_event::RumaEvent;
use ruma_common::room_version_rules::RoomVersionRules;

const USERS: [&str; 6] = ["@a:one", "@b:one", "@c:two", "@d:two", "@e:three", "@F\u{fc}:three"];
const TOKENS: [&str; 2] = ["t1", "t2"];
const TYPES: [&str; 6] =
    ["m.room.message", "m.room.topic", "m.room.power_levels", "m.room.redaction", "m.room.third_party_invite", "other"];

pub struct Room {
    pub version: RoomVersion,
    pub ruma: RoomVersionRules,
    pub create: Pdu,
    /// The create event too.
    pub state: Vec<Pdu>,
    pub ruma_state: Vec<RumaEvent>,
}

impl Room {
    pub fn new(random: &mut Random, version: RoomVersion) -> Room {
        let ruma = crate::ruma::rules(version);
        let create = loop {
            let content = create_content(random, version, false);
            let sender = random.pick(&USERS);
            let create = pdu(random, version, None, "m.room.create", sender, Some(""), content, &[]);
            // The state of rooms begins with an allowed create event.
            if authorize(version.rules(), &create, &create, &AuthState::<Pdu>(&[])).allowed {
                break create;
            }
        };
        let mut room = Room { version, ruma, create: create.clone(), state: vec![create], ruma_state: Vec::new() };
        for user in USERS {
            if !random.rarely(4) {
                let content = Object::new().with("membership", random.pick(room.memberships()));
                room.add(random, "m.room.member", user, content);
            }
        }
        if !random.rarely(10) {
            let content = join_rules(random);
            room.add(random, "m.room.join_rules", "", content);
        }
        if !random.rarely(5) {
            let content = room.valid_power_levels(random);
            room.add(random, "m.room.power_levels", "", content);
        }
        for token in TOKENS {
            if random.rarely(2) {
                let content = third_party_keys(random);
                room.add(random, "m.room.third_party_invite", token, content);
            }
        }
        room.ruma_state = room.state.iter().map(RumaEvent::of).collect();
        room
    }

    fn add(&mut self, random: &mut Random, kind: &str, state_key: &str, content: Object) {
        let sender = random.pick(&USERS);
        let event =
            pdu(random, self.version, Some(&self.create), kind, sender, Some(state_key), content, &["$before:x"]);
        self.state.push(event);
    }

    fn memberships(&self) -> &'static [&'static str] {
        let all = &["join", "join", "join", "join", "invite", "leave", "ban", "knock"];
        if self.version.rules().auth.knocking { all } else { &all[..7] }
    }

    fn valid_power_levels(&self, random: &mut Random) -> Object {
        loop {
            let content = power_levels(random, self.version, 150);
            let users = content.object("users").cloned().unwrap_or_default();
            let auth = &self.version.rules().auth;
            let creator = |user: &str| {
                let extra = self.create.content.array("additional_creators").unwrap_or_default();
                user == self.create.sender.as_str() || extra.iter().any(|extra| extra.as_str() == Some(user))
            };
            if auth.privileged_creators && users.iter().any(|(user, _)| creator(user)) {
                continue;
            }
            // Such as the rules let into a room where nothing else is against them.
            let creator = USERS[0];
            let created = Object::new().with("room_version", self.version.as_str()).with("creator", creator);
            let create = pdu(random, self.version, None, "m.room.create", creator, Some(""), created, &[]);
            let joined = Object::new().with("membership", "join");
            let joined = pdu(random, self.version, Some(&create), "m.room.member", creator, Some(creator), joined, &[]);
            let event =
                pdu(random, self.version, Some(&create), "m.room.power_levels", creator, Some(""), content, &[]);
            let verdict = authorize(self.version.rules(), &event, &create, &AuthState(&[joined]));
            if verdict.allowed || verdict.rule.rule() == Rule::PowerLevelsCreator {
                return event.content;
            }
        }
    }

    /// Mostly somebody who is in the room, and often has power there.
    fn sender<'a>(&'a self, random: &mut Random) -> &'a str {
        let joined = |user: &str| {
            let member = self.state.iter().find(|event| event.is_state_of("m.room.member", user));
            member.is_some_and(|member| member.content.str("membership") == Some("join"))
        };
        let creator = self.create.sender.as_str();
        if random.rarely(4) && joined(creator) {
            return creator;
        }
        let sender = random.pick(&USERS);
        if joined(sender) || random.rarely(3) { sender } else { random.pick(&USERS) }
    }

    /// An event to be judged.
    pub fn event(&self, random: &mut Random) -> Pdu {
        let sender = self.sender(random);
        let create = self.create.event_id.as_str();
        let prev_events: &[&str] = match random.below(8) {
            0 => &[create],
            1 => &[create, "$before:x"],
            _ => &["$before:x"],
        };
        let kind = match random.below(20) {
            0..=9 => "m.room.member",
            10..=13 => "m.room.power_levels",
            14 => "m.room.aliases",
            _ => random.pick(&TYPES),
        };
        let mut redacts = None;
        let (state_key, content) = match kind {
            "m.room.member" => return self.member(random, prev_events),
            "m.room.power_levels" => (Some(""), self.changed_power_levels(random)),
            "m.room.aliases" => (random.pick(&[None, Some("one"), Some("two"), Some("three")]), Object::new()),
            "m.room.third_party_invite" => (Some(random.pick(&TOKENS)), Object::new()),
            "m.room.redaction" => {
                redacts = Some(random.pick(&["$x:one", "$x:two", "$x:three"]));
                (None, Object::new())
            }
            _ => (random.pick(&[None, Some(""), Some("one"), Some("@a:one"), Some("@c:two")]), Object::new()),
        };
        let event = header(random, self.version, Some(&self.create), kind, sender, state_key, content, prev_events);
        let event = match redacts {
            Some(redacts) if !self.version.rules().redacts_in_content => event.with("redacts", redacts),
            _ => event,
        };
        Pdu::parse(event, self.version).unwrap()
    }

    fn member(&self, random: &mut Random, prev_events: &[&str]) -> Pdu {
        let sender = self.sender(random);
        let target = if random.rarely(2) { sender } else { random.pick(&USERS) };
        let membership = random.pick(&["join", "join", "invite", "invite", "leave", "leave", "ban", "knock"]);
        let mut content = Object::new().with("membership", membership);
        if random.rarely(100) {
            content.insert("membership", random.pick(&["dance", ""]));
        }
        if random.rarely(100) {
            content.remove("membership");
        }
        if random.rarely(if membership == "join" { 2 } else { 15 }) {
            let user = if random.rarely(15) { random.pick(&["@g:none", "nobody"]) } else { random.pick(&USERS) };
            content.insert("join_authorised_via_users_server", user);
        }
        if random.rarely(if membership == "invite" { 2 } else { 15 }) {
            content.insert("third_party_invite", third_party_invite(random, target));
        }
        let state_key = match random.below(60) {
            0 => None,
            1 => Some("nobody"),
            _ => Some(target),
        };
        pdu(random, self.version, Some(&self.create), "m.room.member", sender, state_key, content, prev_events)
    }

    /// The power levels of the state with some changes; sometimes others altogether.
    fn changed_power_levels(&self, random: &mut Random) -> Object {
        let fresh = power_levels(random, self.version, 40);
        let current = self.state.iter().find(|event| event.kind == "m.room.power_levels");
        let Some(current) = current.filter(|_| !random.rarely(4)) else { return fresh };
        let mut content = current.content.clone();
        for _ in 0..random.below(3) {
            let name = random.pick(&FIELDS);
            match (random.rarely(3), fresh.get(name)) {
                (true, _) => drop(content.remove(name)),
                (false, Some(value)) => drop(content.insert(name, value.clone())),
                (false, None) => {}
            }
        }
        for map in ["users", "events", "notifications"] {
            let Some(Value::Object(entries)) = content.get_mut(map) else { continue };
            if random.rarely(2) {
                let key = if map == "users" { random.pick(&USERS) } else { random.pick(&TYPES) };
                match random.rarely(3) {
                    true => drop(entries.remove(key)),
                    false => drop(entries.insert(key, level(random, self.version, 60))),
                }
            }
        }
        content
    }

    /// What `event` cites, and whether that was rejected: what it should, or nearly.
    pub fn cite(&self, random: &mut Random, event: &Pdu) -> Vec<(Pdu, bool)> {
        let selected = select_auth_events(
            self.version.rules(),
            &event.kind,
            event.state_key.as_deref(),
            &event.sender,
            &event.content,
        );
        let mut cited: Vec<(Pdu, bool)> = self
            .state
            .iter()
            .filter(|state| selected.iter().any(|(kind, state_key)| state.is_state_of(kind, state_key)))
            .map(|state| (state.clone(), false))
            .collect();
        let any = |random: &mut Random| self.state[random.below(self.state.len())].clone();
        match random.below(8) {
            0 => cited.push((any(random), false)),
            1 if !cited.is_empty() => drop(cited.remove(random.below(cited.len()))),
            2 if !cited.is_empty() => {
                let at = random.below(cited.len());
                cited[at].1 = true;
            }
            3 if !cited.is_empty() => {
                let at = random.below(cited.len());
                if cited[at].0.kind != "m.room.create" {
                    let mut other = cited[at].0.to_object();
                    other.insert("room_id", "!other:one");
                    cited[at].0 = Pdu::parse(other, self.version).unwrap();
                }
            }
            4 if !cited.is_empty() => {
                let mut twin = cited[random.below(cited.len())].0.to_object();
                twin.insert("origin_server_ts", 2i64);
                if self.version.rules().event_id_server_signs {
                    twin.insert("event_id", "$twin:one");
                }
                cited.push((Pdu::parse(twin, self.version).unwrap(), false));
            }
            _ => {}
        }
        cited
    }

    /// A create event to be judged by itself.
    pub fn other_create(&self, random: &mut Random) -> Pdu {
        let content = create_content(random, self.version, true);
        let prev_events: &[&str] = if random.rarely(8) { &["$before:x"] } else { &[] };
        let sender = random.pick(&USERS);
        let mut event = header(random, self.version, None, "m.room.create", sender, Some(""), content, prev_events);
        if random.rarely(6) {
            event.insert("room_id", random.pick(&["!room:one", "!room:two", "!room:three", "!room"]));
        }
        Pdu::parse(event, self.version).unwrap()
    }
}

pub const FIELDS: [&str; 7] = ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"];

fn create_content(random: &mut Random, version: RoomVersion, any: bool) -> Object {
    let mut content = Object::new().with("room_version", version.as_str()).with("creator", random.pick(&USERS));
    if random.rarely(if any { 8 } else { 4 }) && version >= RoomVersion::V11 {
        content.remove("creator");
    }
    if random.rarely(4) {
        content.insert("m.federate", random.rarely(2));
    }
    if random.rarely(3) {
        let creators: Vec<Value> = (0..random.below(3)).map(|_| random.pick(&USERS).into()).collect();
        content.insert("additional_creators", creators);
    }
    if any && random.rarely(6) {
        let wrong = random.pick(&["null", "[1]", "[\"nobody\"]", "\"@a:one\"", "{}"]);
        content.insert("additional_creators", parse(wrong.as_bytes()).unwrap());
    }
    if any && random.rarely(6) {
        content.remove("creator");
    }
    if any && random.rarely(6) {
        content.insert("room_version", random.pick(&["99", "1"]));
    }
    content
}

fn join_rules(random: &mut Random) -> Object {
    let rule =
        random.pick(&["public", "public", "invite", "knock", "restricted", "knock_restricted", "private", "odd"]);
    if random.rarely(40) { Object::new() } else { Object::new().with("join_rule", rule) }
}

/// A power level; one in `junk` is none.
fn level(random: &mut Random, version: RoomVersion, junk: usize) -> Value {
    let number = random.pick(&[-1i64, 0, 0, 1, 25, 49, 50, 50, 51, 60, 75, 99, 100, 100, 101, 9_007_199_254_740_991]);
    let rules = version.rules();
    if random.rarely(junk) {
        let junk = ["null", "\"x\"", "[]", "true", "\"1.5\"", "\"\"", "1.5", "1e2", "1e999"];
        let junk = if rules.strict_canonical_json { &junk[..6] } else { &junk[..] };
        return parse(random.pick(junk).as_bytes()).unwrap();
    }
    if !rules.auth.integer_power_levels && random.rarely(6) {
        let text = match random.below(4) {
            0 => format!(" {number} "),
            1 if number >= 0 => format!("+{number}"),
            2 if number >= 0 => format!("00{number}"),
            _ => number.to_string(),
        };
        return text.into();
    }
    number.into()
}

fn power_levels(random: &mut Random, version: RoomVersion, junk: usize) -> Object {
    let mut content = Object::new();
    for field in FIELDS {
        if random.rarely(3) {
            content.insert(field, level(random, version, junk));
        }
    }
    for (map, keys) in [("users", &USERS), ("events", &TYPES), ("notifications", &TYPES)] {
        if random.rarely(junk) {
            content.insert(map, random.pick(&["text", ""]));
        } else if !random.rarely(4) {
            let count = random.below(4);
            let entries: Object = (0..count).map(|_| (random.pick(keys), level(random, version, junk))).collect();
            content.insert(map, entries);
        }
    }
    if random.rarely(junk) {
        content.insert("users", Object::new().with("nobody", 1i64));
    }
    content
}

fn identity_key(which: usize) -> SigningKey {
    SigningKey::from_seed("0", &[u8::try_from(which).unwrap(); 32]).unwrap()
}

fn third_party_keys(random: &mut Random) -> Object {
    let mut key = || Value::from(base64::encode_unpadded(&identity_key(random.below(2)).public_key()));
    let (one, more) = (key(), key());
    match random.below(4) {
        0 => Object::new(),
        1 => Object::new().with("public_key", one),
        2 => Object::new().with("public_keys", vec![Object::new().with("public_key", one)]),
        _ => {
            let more = vec![Object::new().with("public_key", more)];
            Object::new().with("public_key", one).with("public_keys", more)
        }
    }
}

fn third_party_invite(random: &mut Random, target: &str) -> Value {
    let mxid = if random.rarely(6) { random.pick(&USERS) } else { target };
    let mut signed = Object::new().with("mxid", mxid).with("token", random.pick(&TOKENS));
    if !random.rarely(6) {
        sign_json(&mut signed, "identity.example", &identity_key(random.below(2))).unwrap();
    }
    if random.rarely(12) {
        signed.remove(random.pick(&["mxid", "token", "signatures"]));
    }
    match random.below(25) {
        0 => Value::Null,
        1 => Object::new().into(),
        _ => Object::new().with("display_name", "x").with("signed", signed).into(),
    }
}

#[allow(clippy::too_many_arguments)] // an event has that many parts
fn pdu(
    random: &mut Random,
    version: RoomVersion,
    create: Option<&Pdu>,
    kind: &str,
    sender: &str,
    state_key: Option<&str>,
    content: Object,
    prev_events: &[&str],
) -> Pdu {
    Pdu::parse(header(random, version, create, kind, sender, state_key, content, prev_events), version).unwrap()
}

#[allow(clippy::too_many_arguments)] // an event has that many parts
fn header(
    random: &mut Random,
    version: RoomVersion,
    create: Option<&Pdu>,
    kind: &str,
    sender: &str,
    state_key: Option<&str>,
    content: Object,
    prev_events: &[&str],
) -> Object {
    let rules = version.rules();
    let reference = |id: &&str| match rules.references_have_hashes {
        true => Value::Array(vec![Value::from(*id), Object::new().into()]),
        false => Value::from(*id),
    };
    let server = sender.split_once(':').unwrap().1;
    let mut event = Object::new()
        .with("auth_events", Vec::<Value>::new())
        .with("content", content)
        .with("depth", 1i64)
        .with("hashes", Object::new().with("sha256", random.below(1_000_000_000).to_string()))
        .with("origin_server_ts", 1i64)
        .with("prev_events", prev_events.iter().map(reference).collect::<Vec<_>>())
        .with("sender", sender)
        .with("signatures", Object::new())
        .with("type", kind);
    if let Some(state_key) = state_key {
        event.insert("state_key", state_key);
    }
    if rules.event_id_server_signs {
        event.insert("event_id", format!("${}:{server}", random.below(1_000_000_000)));
    }
    match create {
        Some(create) => drop(event.insert("room_id", &create.room_id)),
        None if rules.room_ids == RoomIdFormat::Stated => drop(event.insert("room_id", format!("!room:{server}"))),
        None => {}
    }
    event
}
