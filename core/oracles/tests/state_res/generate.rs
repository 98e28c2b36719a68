//! Rooms that branch and meet, full of quarrels: power levels against power levels, bans against joins, join rules back and
//! forth, demotions, and branches within branches. Every event obeys the rules where it is sent.

use orrery_core::auth_rules::select_auth_events;
use orrery_core::canonical_json::{Object, Value};
use orrery_core::event::Pdu;
use orrery_core::identifiers::EventId;
use orrery_core::room_version::{RoomIdFormat, RoomVersion};
use orrery_sim::reference::State;
use orrery_sim::reference::state_res::key_of;

use crate::room::Room;
use orrery_oracles::random::Random;

const USERS: [&str; 6] = ["@a:one", "@b:two", "@c:three", "@d:one", "@e:two", "@f:three"];
const LEVELS: [i64; 6] = [0, 25, 50, 50, 75, 100];

/// What is to be sent: sender, type, state key, content.
pub type Draft = (String, String, String, Object);

pub struct Generator<'r> {
    pub random: &'r mut Random,
    pub room: Room,
    /// The state after each event, by ID, with the event's depth.
    pub after: Vec<(EventId, i64, State)>,
    /// The states that met, each set of them.
    pub merges: Vec<Vec<State>>,
}

impl<'r> Generator<'r> {
    /// A room of somebody with power, some members, and a public door.
    pub fn new(random: &'r mut Random, version: RoomVersion) -> Generator<'r> {
        let mut content = Object::new().with("room_version", version.as_str()).with("creator", USERS[0]);
        if version.rules().auth.privileged_creators && random.rarely(3) {
            content.insert("additional_creators", vec![Value::from(USERS[1])]);
        }
        let draft = (USERS[0].to_owned(), "m.room.create".to_owned(), String::new(), content);
        let create = Pdu::parse(header(random, version, None, &draft, &[], &[], 1), version).unwrap();
        let state = State::from([(key_of(&create), create.event_id.clone())]);
        let after = vec![(create.event_id.clone(), 1, state)];
        let mut generator = Generator { random, room: Room::new(version, create), after, merges: Vec::new() };
        generator.begin();
        generator
    }

    fn begin(&mut self) {
        self.send_after_last(member(USERS[0], USERS[0], "join"));
        let mut users = Object::new().with(USERS[2], 50i64);
        if !self.room.version.rules().auth.privileged_creators {
            users = users.with(USERS[0], 100i64).with(USERS[1], self.random.pick(&[50i64, 100]));
        }
        let levels = Object::new().with("users", users);
        self.send_after_last((USERS[0].to_owned(), "m.room.power_levels".to_owned(), String::new(), levels));
        self.send_after_last(self.join_rules(USERS[0], "public"));
        for user in &USERS[1..] {
            if !self.random.rarely(4) {
                self.send_after_last(member(user, user, "join"));
            }
        }
    }

    fn join_rules(&self, sender: &str, rule: &str) -> Draft {
        (sender.to_owned(), "m.room.join_rules".to_owned(), String::new(), Object::new().with("join_rule", rule))
    }

    fn send_after_last(&mut self, draft: Draft) {
        let last = self.after.len() - 1;
        assert!(self.send(&[last], &draft, None), "the room begins as it may: {draft:?}");
    }

    /// Sends an event, with one, two or three others before it. What the rules do not allow is not sent.
    pub fn step(&mut self) {
        let recent = self.after.len().min(8);
        let count = self.random.pick(&[1, 1, 1, 1, 1, 2, 2, 3]);
        let mut before: Vec<usize> = Vec::new();
        for _ in 0..count {
            let back = if self.random.rarely(12) { self.after.len() } else { recent };
            before.push(self.after.len() - 1 - self.random.below(back));
        }
        before.sort_unstable();
        before.dedup();
        let sender = self.random.pick(&USERS);
        // Auth events as they are to be, or those of a state elsewhere in the room.
        let elsewhere = self.random.rarely(5).then(|| self.random.below(self.after.len()));
        for _ in 0..4 {
            let draft = self.draft(sender, &before);
            if self.send(&before, &draft, elsewhere) {
                break;
            }
        }
    }

    /// The state after some event, or as a server has it that lost something of it or was set back.
    pub fn some_state(&mut self) -> State {
        let mut state = self.after[self.random.below(self.after.len())].2.clone();
        if self.random.rarely(3) {
            let other = &self.after[self.random.below(self.after.len())].2;
            let keys: Vec<&(String, String)> = other.keys().filter(|key| key.0 != "m.room.create").collect();
            if !keys.is_empty() {
                let key = self.random.pick(&keys);
                match self.random.below(3) {
                    0 => drop(state.remove(key)),
                    _ => drop(state.insert(key.clone(), other[key].clone())),
                }
            }
        }
        state
    }

    fn draft(&mut self, sender: &str, before: &[usize]) -> Draft {
        let target = self.random.pick(&USERS);
        match self.random.below(24) {
            0..=4 => self.power_levels(sender, before),
            5..=6 => {
                let rule = self.random.pick(&["public", "invite", "knock", "restricted", "public"]);
                self.join_rules(sender, rule)
            }
            7..=9 => member(sender, target, "ban"),
            10..=11 => member(sender, target, "leave"),
            12 => member(sender, sender, "leave"),
            13..=14 => member(sender, target, "invite"),
            15 if self.room.version.rules().auth.knocking => member(sender, sender, "knock"),
            15..=18 => {
                let (.., content) = member(sender, sender, "join");
                let name = self.random.below(1000).to_string();
                (sender.to_owned(), "m.room.member".to_owned(), sender.to_owned(), content.with("displayname", name))
            }
            19..=20 => (sender.to_owned(), "m.room.topic".to_owned(), String::new(), self.numbered("topic")),
            21 => {
                (sender.to_owned(), "m.room.third_party_invite".to_owned(), "token".to_owned(), self.numbered("name"))
            }
            _ => {
                let key = self.random.pick(&["", "x", "y"]).to_string();
                (sender.to_owned(), "org.example.custom".to_owned(), key, self.numbered("value"))
            }
        }
    }

    fn numbered(&mut self, name: &str) -> Object {
        Object::new().with(name, self.random.below(1000).to_string())
    }

    /// The levels there are, with a change or two.
    fn power_levels(&mut self, sender: &str, before: &[usize]) -> Draft {
        let state = &self.after[before[0]].2;
        let current = state.get(&("m.room.power_levels".to_owned(), String::new()));
        let mut content = current.map(|id| self.room.graph.event(id).content.clone()).unwrap_or_default();
        for _ in 0..1 + self.random.below(2) {
            let level = self.random.pick(&LEVELS);
            if self.random.rarely(3) {
                let field = self.random.pick(&["ban", "kick", "invite", "state_default", "users_default"]);
                content.insert(field, level);
            } else {
                let mut users = content.object("users").cloned().unwrap_or_default();
                users.insert(self.random.pick(&USERS), level);
                content.insert("users", users);
            }
        }
        // With a state key they are not the room's.
        let state_key = if self.random.rarely(12) { "x" } else { "" };
        (sender.to_owned(), "m.room.power_levels".to_owned(), state_key.to_owned(), content)
    }

    fn send(&mut self, before: &[usize], draft: &Draft, elsewhere: Option<usize>) -> bool {
        let sets: Vec<State> = before.iter().map(|at| self.after[*at].2.clone()).collect();
        let state = match &sets[..] {
            [only] => only.clone(),
            sets => self.room.resolve(sets),
        };
        let cited_state = elsewhere.map_or(&state, |at| &self.after[at].2);
        let rules = self.room.version.rules();
        let (sender, kind, state_key, content) = draft;
        let parsed = orrery_core::identifiers::UserId::parse(sender).unwrap();
        let selected = select_auth_events(rules, kind, Some(state_key), &parsed, content);
        let cited = |(kind, key): (&str, &str)| {
            Some(((kind.to_owned(), key.to_owned()), cited_state.get(&(kind.to_owned(), key.to_owned()))?.clone()))
        };
        let cited: State = selected.into_iter().filter_map(cited).collect();
        let auth_events: Vec<&EventId> = cited.values().collect();
        let prev_events: Vec<&EventId> = before.iter().map(|at| &self.after[*at].0).collect();
        let depth = 1 + before.iter().map(|at| self.after[*at].1).max().unwrap();
        let create = self.room.graph.event(&self.room.graph.create).clone();
        let header = header(self.random, self.room.version, Some(&create), draft, &prev_events, &auth_events, depth);
        let pdu = Pdu::parse(header, self.room.version).unwrap();
        if !self.room.graph.allows(&pdu, &cited) || self.room.table.index.contains_key(&pdu.event_id) {
            return false;
        }
        let allowed = self.room.graph.allows(&pdu, &state);
        if !allowed && !self.random.rarely(20) {
            return false;
        }
        if sets.len() > 1 {
            self.merges.push(sets);
        }
        let mut after = state;
        // A rejected event is not part of the state after it, but some server may think that it is.
        if allowed || self.random.rarely(4) {
            after.insert(key_of(&pdu), pdu.event_id.clone());
        }
        self.after.push((pdu.event_id.clone(), depth, after));
        self.room.add(pdu, !allowed);
        true
    }
}

fn member(sender: &str, target: &str, membership: &str) -> Draft {
    (sender.to_owned(), "m.room.member".to_owned(), target.to_owned(), Object::new().with("membership", membership))
}

pub fn header(
    random: &mut Random,
    version: RoomVersion,
    create: Option<&Pdu>,
    (sender, kind, state_key, content): &Draft,
    prev_events: &[&EventId],
    auth_events: &[&EventId],
    depth: i64,
) -> Object {
    let rules = version.rules();
    let reference = |id: &&EventId| match rules.references_have_hashes {
        true => Value::Array(vec![Value::from(id.as_str()), Object::new().into()]),
        false => Value::from(id.as_str()),
    };
    // Clocks differ, and some events fall on one millisecond.
    let origin_server_ts = 1000 + depth * 3 + random.below(12) as i64;
    let mut event = Object::new()
        .with("auth_events", auth_events.iter().map(reference).collect::<Vec<_>>())
        .with("content", content.clone())
        .with("depth", depth)
        .with("hashes", Object::new().with("sha256", random.below(1_000_000_000).to_string()))
        .with("origin_server_ts", origin_server_ts)
        .with("prev_events", prev_events.iter().map(reference).collect::<Vec<_>>())
        .with("sender", sender.as_str())
        .with("signatures", Object::new())
        .with("state_key", state_key.as_str())
        .with("type", kind.as_str());
    let server = sender.split_once(':').unwrap().1;
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
