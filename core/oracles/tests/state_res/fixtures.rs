//! The stories of `corpora/state_res`, as its README says, told to Orrery, to the reference model and to `ruma`.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::auth_rules::select_auth_events;
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::Pdu;
use orrery_core::identifiers::{EventId, UserId};
use orrery_core::room_version::{RoomVersion, StateResolution};
use orrery_sim::measures::resets::{self, Arrival};
use orrery_sim::reference::state_res::{self, Reading, key_of};
use orrery_sim::reference::{Graph, State};

use crate::generate::header;
use crate::room::Room;
use orrery_oracles::random::Random;

struct Story<'s> {
    version: RoomVersion,
    room: Room,
    /// The events and states that have names: the state after, and the depth.
    named: BTreeMap<&'s str, (State, i64)>,
    ids: BTreeMap<&'s str, EventId>,
    /// After which events those states are.
    ends: BTreeMap<&'s str, Vec<EventId>>,
    /// What was resolved last, and to what.
    resolved: (Vec<State>, State),
    /// What the last resolution reset, and nobody has spoken of yet.
    resets: Vec<(String, String)>,
    random: Random,
}

impl<'s> Story<'s> {
    fn new(version: RoomVersion) -> Story<'s> {
        let content = Object::new().with("room_version", version.as_str()).with("creator", "@alice:a");
        let draft = ("@alice:a".to_owned(), "m.room.create".to_owned(), String::new(), content);
        let mut random = Random::new(0);
        let mut header = header(&mut random, version, None, &draft, &[], &[], 1);
        header.insert("origin_server_ts", 0i64);
        let create = Pdu::parse(header, version).unwrap();
        let state = State::from([(key_of(&create), create.event_id.clone())]);
        Story {
            version,
            ids: BTreeMap::from([("CREATE", create.event_id.clone())]),
            ends: BTreeMap::from([("CREATE", vec![create.event_id.clone()])]),
            named: BTreeMap::from([("CREATE", (state.clone(), 1))]),
            room: Room::new(version, create),
            resolved: (Vec::new(), state),
            resets: Vec::new(),
            random,
        }
    }

    fn states(&self, names: &str) -> Vec<State> {
        names.split(',').map(|name| self.named.get(name).unwrap_or_else(|| panic!("no {name}")).0.clone()).collect()
    }

    fn state_after(&mut self, names: &str) -> State {
        let sets = self.states(names);
        self.room.resolve(&sets)
    }

    fn event(&mut self, line: &'s str) {
        let (head, tail) = line.split_once(" after ").unwrap_or_else(|| panic!("{line}"));
        let [name, sender, kind, state_key, content] = head.splitn(5, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let state_key = if state_key == "''" { "" } else { state_key };
        let alice = if self.version.rules().auth.privileged_creators { "" } else { r#""@alice:a":100,"# };
        let content = content.replace("LEVELS_OF_ALICE", alice).replace(",}", "}");
        let Ok(Value::Object(content)) = parse(content.as_bytes()) else { panic!("{content}") };
        let mut words = tail.split(' ');
        let after = words.next().unwrap();
        let (mut citing, mut at) = (None, self.named.len() as i64 * 1000);
        while let Some(word) = words.next() {
            match (word, words.next().unwrap()) {
                ("citing", names) => citing = Some(names),
                ("at", seconds) => at = seconds.parse::<i64>().unwrap() * 1000,
                other => panic!("{other:?} in {line}"),
            }
        }
        let state = self.state_after(after);
        let user = UserId::parse(sender).unwrap();
        let rules = self.version.rules();
        let selected = select_auth_events(rules, kind, Some(state_key), &user, &content);
        let cited = selected.iter().filter_map(|(kind, key)| state.get(&((*kind).to_owned(), (*key).to_owned())));
        let cited: Vec<&EventId> = match citing {
            Some(names) => names.split(',').map(|name| &self.ids[name]).collect(),
            None => cited.collect(),
        };
        let prev_events: Vec<&EventId> = after.split(',').map(|name| &self.ids[name]).collect();
        let depth = 1 + after.split(',').map(|name| self.named[name].1).max().unwrap();
        let draft = (sender.to_owned(), kind.to_owned(), state_key.to_owned(), content);
        let create = self.room.graph.event(&self.room.graph.create).clone();
        let mut header = header(&mut self.random, self.version, Some(&create), &draft, &prev_events, &cited, depth);
        header.insert("origin_server_ts", at);
        let pdu = Pdu::parse(header, self.version).unwrap();
        assert!(self.room.graph.allows(&pdu, &state), "version {}: {line}", self.version);
        let mut after = state;
        after.insert(key_of(&pdu), pdu.event_id.clone());
        self.named.insert(name, (after, depth));
        self.ids.insert(name, pdu.event_id.clone());
        self.ends.insert(name, vec![pdu.event_id.clone()]);
        self.room.add(pdu, false);
    }

    fn state(&mut self, line: &'s str) {
        let words: Vec<&str> = line.split(' ').collect();
        let mut state = self.state_after(words[3]);
        match words[4..] {
            [] => {}
            ["without", kind, key] => drop(state.remove(&(kind.to_owned(), key.to_owned())).unwrap()),
            ["replacing", "by", name] => {
                let id = &self.ids[name];
                state.insert(key_of(self.room.graph.event(id)), id.clone());
            }
            _ => panic!("{line}"),
        }
        self.named.insert(words[1], (state, 0));
        self.ends.insert(words[1], words[3].split(',').map(|name| self.ids[name].clone()).collect());
    }

    fn resolve(&mut self, names: &str) {
        let sets = self.states(names);
        let ours = self.room.resolve(&sets);
        for reading in [Reading::AS_DEPLOYED, Reading::LETTER] {
            assert_eq!(ours, state_res::resolve(&self.room.graph, &sets, reading), "{names} by the reference model");
        }
        if self.version.rules().state_resolution != StateResolution::V1 {
            assert_eq!(ours, self.room.ruma.resolve(&self.room.graph, &sets), "{names} by ruma");
        }
        self.resets = self.resets(names, &sets[0], &ours);
        self.resolved = (sets, ours);
    }

    /// What a server loses without a reason that had the first of these states, and hears of the others.
    fn resets(&self, names: &str, was: &State, is: &State) -> Vec<(String, String)> {
        let (first, others) = names.split_once(',').expect("states meet");
        let keys: BTreeSet<_> = was.keys().chain(is.keys()).filter(|key| was.get(*key) != is.get(*key)).collect();
        let change = |key: &(String, String)| (key.clone(), was.get(key).cloned(), is.get(key).cloned());
        let changes: Vec<_> = keys.into_iter().map(change).collect();
        let events: Vec<EventId> = others.split(',').flat_map(|name| self.ends[name].iter().cloned()).collect();
        let arrival = Arrival { events: &events, extremities: &self.ends[first], changes: &changes };
        resets::find(&Everything(&self.room.graph), &arrival)
    }

    /// A text with names for event IDs.
    fn with_names(&self, text: String) -> String {
        self.ids.iter().fold(text, |text, (name, id)| text.replace(id.as_str(), name))
    }

    fn key(words: &[&str]) -> (String, String) {
        (words[0].to_owned(), if words[1] == "''" { String::new() } else { words[1].to_owned() })
    }
}

struct Everything<'g>(&'g Graph);

impl resets::Events for Everything<'_> {
    fn version(&self) -> RoomVersion {
        self.0.version
    }
    fn event(&self, id: &EventId) -> Option<Pdu> {
        Some(self.0.event(id).clone())
    }
    fn is_rejected(&self, id: &EventId) -> bool {
        self.0.is_rejected(id)
    }
}

/// The words after `[VERSIONS:]`, if they are for this version.
fn for_version(line: &str, version: RoomVersion) -> Option<Vec<&str>> {
    // State keys have colons, too.
    let (versions, words) = match line.split_once(": ") {
        Some((versions, words)) => (Some(versions), words),
        None => (None, line),
    };
    let here = versions.is_none_or(|versions| versions.split(' ').any(|other| other == version.as_str()));
    here.then(|| words.split(' ').collect())
}

fn tell(text: &str, version: RoomVersion) {
    let mut story = Story::new(version);
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).skip(1).peekable();
    while let Some(line) = lines.next() {
        match line.split_once(' ').unwrap() {
            ("state", _) => story.state(line),
            ("resolve", names) => {
                assert_eq!(story.resets, [], "version {version}: resets before {line}");
                story.resolve(names);
            }
            ("resets", rest) => {
                let Some(words) = for_version(rest, version) else { continue };
                let place = story.resets.iter().position(|reset| *reset == Story::key(&words));
                story.resets.remove(place.unwrap_or_else(|| panic!("version {version}: no {line}")));
            }
            ("expect", rest) => {
                let Some(words) = for_version(rest, version) else { continue };
                let found = story.resolved.1.get(&Story::key(&words)).map_or("-", EventId::as_str);
                assert_eq!(story.with_names(found.to_owned()), words[2], "version {version}: {line}");
            }
            ("explain", rest) => {
                let mut expected = Vec::new();
                while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
                    expected.push(line[2..].to_owned());
                }
                let Some(words) = for_version(rest, version) else { continue };
                let sets = story.resolved.0.clone();
                let explanation = story.room.explain(&sets, &Story::key(&words)).to_string();
                let explained: Vec<String> = story.with_names(explanation).lines().map(str::to_owned).collect();
                assert_eq!(explained, expected, "version {version}: {line}");
            }
            _ => story.event(line),
        }
    }
    assert_eq!(story.resets, [], "version {version}: resets");
}

#[test]
fn stories_end_as_told() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpora/state_res");
    let mut told = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "graph") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let versions = text.lines().find_map(|line| line.strip_prefix("versions ")).unwrap();
        for version in versions.split(' ') {
            println!("{} in version {version}", path.file_name().unwrap().display());
            tell(&text, RoomVersion::parse(version).unwrap());
            told += 1;
        }
    }
    assert!(told >= 20, "the stories are there");
}
