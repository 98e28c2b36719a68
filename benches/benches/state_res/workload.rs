//! A room of many members that forks in two, and what each side does there: a tenth changes power levels, four tenths are bans
//! on one side and renames of the same users on the other, the rest sets a topic and custom state, differently on each side.

use std::collections::BTreeMap;

use orrery_core::auth_rules::select_auth_events;
use orrery_core::canonical_json::{Object, Value};
use orrery_core::event::Pdu;
use orrery_core::identifiers::EventId;
use orrery_core::room_version::{RoomIdFormat, RoomVersion};

pub type State = BTreeMap<(String, String), EventId>;

const CREATOR: &str = "@creator:example.org";
const OTHER: &str = "@other:example.org";

pub struct Workload {
    pub version: RoomVersion,
    /// In an order in which they could have been stored.
    pub events: Vec<Pdu>,
    pub sides: [State; 2],
}

struct Side {
    state: State,
    last: EventId,
    depth: i64,
}

pub fn user(number: usize) -> String {
    format!("@user{number}:example.org")
}

fn member(membership: &str) -> Object {
    Object::new().with("membership", membership)
}

impl Workload {
    /// A common past of `members`, and `conflicts` state events on each side.
    pub fn new(version: RoomVersion, members: usize, conflicts: usize) -> Workload {
        let mut content = Object::new().with("room_version", version.as_str()).with("creator", CREATOR);
        if version.rules().auth.privileged_creators {
            content.insert("additional_creators", vec![Value::from(OTHER)]);
        }
        let create = make(version, None, CREATOR, "m.room.create", "", content, &[], &[], 1);
        let key = ("m.room.create".to_owned(), String::new());
        let mut side =
            Side { state: State::from([(key, create.event_id.clone())]), last: create.event_id.clone(), depth: 1 };
        let mut workload = Workload { version, events: vec![create], sides: [State::new(), State::new()] };
        workload.send(&mut side, CREATOR, "m.room.member", CREATOR, member("join"));
        workload.send(&mut side, CREATOR, "m.room.power_levels", "", workload.levels(0));
        let public = Object::new().with("join_rule", "public");
        workload.send(&mut side, CREATOR, "m.room.join_rules", "", public);
        workload.send(&mut side, OTHER, "m.room.member", OTHER, member("join"));
        for number in 0..members {
            let name = user(number);
            workload.send(&mut side, &name, "m.room.member", &name, member("join").with("displayname", name.as_str()));
        }
        workload.sides = [CREATOR, OTHER].map(|admin| {
            let mut side = Side { state: side.state.clone(), last: side.last.clone(), depth: side.depth };
            workload.fork(&mut side, admin, conflicts);
            side.state
        });
        workload
    }

    /// The levels after some changes.
    fn levels(&self, changes: usize) -> Object {
        let mut users = Object::new();
        if !self.version.rules().auth.privileged_creators {
            users = users.with(CREATOR, 100i64).with(OTHER, 100i64);
        }
        for number in 0..changes.min(50) {
            users.insert(format!("@moderator{number}:example.org"), 50i64);
        }
        Object::new().with("users", users).with("events_default", i64::from(changes as u32 % 2))
    }

    fn fork(&mut self, side: &mut Side, admin: &str, conflicts: usize) {
        for number in 0..conflicts {
            match number % 10 {
                0 => self.send(side, admin, "m.room.power_levels", "", self.levels(number / 10 + 1)),
                1..=4 => {
                    let name = user(number / 10 * 4 + number % 10 - 1);
                    if admin == CREATOR {
                        self.send(side, admin, "m.room.member", &name, member("ban"));
                    } else {
                        let renamed = member("join").with("displayname", format!("{name} of side {admin}"));
                        self.send(side, &name, "m.room.member", &name, renamed);
                    }
                }
                5 if number == 5 => self.send(side, admin, "m.room.topic", "", Object::new().with("topic", admin)),
                _ => self.send(side, admin, "org.example.custom", &number.to_string(), Object::new().with("by", admin)),
            }
        }
    }

    fn send(&mut self, side: &mut Side, sender: &str, kind: &str, state_key: &str, content: Object) {
        let parsed = orrery_core::identifiers::UserId::parse(sender).expect("a user ID");
        let selected = select_auth_events(self.version.rules(), kind, Some(state_key), &parsed, &content);
        let cited = selected.iter().filter_map(|(kind, key)| side.state.get(&((*kind).to_owned(), (*key).to_owned())));
        let auth_events: Vec<EventId> = cited.cloned().collect();
        side.depth += 1;
        let create = &self.events[0];
        let before = [side.last.clone()];
        let pdu = make(self.version, Some(create), sender, kind, state_key, content, &before, &auth_events, side.depth);
        side.last = pdu.event_id.clone();
        side.state.insert((kind.to_owned(), state_key.to_owned()), pdu.event_id.clone());
        self.events.push(pdu);
    }
}

#[allow(clippy::too_many_arguments)] // an event has that many parts
fn make(
    version: RoomVersion,
    create: Option<&Pdu>,
    sender: &str,
    kind: &str,
    state_key: &str,
    content: Object,
    prev_events: &[EventId],
    auth_events: &[EventId],
    depth: i64,
) -> Pdu {
    let ids = |ids: &[EventId]| ids.iter().map(|id| Value::from(id.as_str())).collect::<Vec<_>>();
    let mut event = Object::new()
        .with("auth_events", ids(auth_events))
        .with("content", content)
        .with("depth", depth)
        .with("hashes", Object::new().with("sha256", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek"))
        .with("origin_server_ts", 1_700_000_000_000 + depth)
        .with("prev_events", ids(prev_events))
        .with("sender", sender)
        .with("signatures", Object::new())
        .with("state_key", state_key)
        .with("type", kind);
    match create {
        Some(create) => drop(event.insert("room_id", &create.room_id)),
        None if version.rules().room_ids == RoomIdFormat::Stated => {
            event.insert("room_id", "!jEsUZKDJdhlrceRyVU:example.org");
        }
        None => {}
    }
    Pdu::parse(event, version).expect("an event")
}
