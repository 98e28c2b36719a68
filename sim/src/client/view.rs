//! What a device has learnt from `/sync`: the rooms as a real client would show them.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::canonical_json::{Object, Value};

/// Everything that syncs have told, put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub since: Option<String>,
    pub rooms: BTreeMap<String, RoomView>,
    pub invites: BTreeSet<String>,
    pub knocks: BTreeSet<String>,
    pub account_data: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomView {
    pub joined: bool,
    pub segments: Vec<Segment>,
    /// Every event that a timeline had.
    pub seen: BTreeSet<String>,
    /// Event IDs by type and state key.
    pub state: BTreeMap<(String, String), String>,
    /// State events that were taken from a timeline, and not told as state.
    pub by_timeline: BTreeSet<String>,
    /// Memberships by user, as far as they were told.
    pub members: BTreeMap<String, String>,
    pub account_data: BTreeMap<String, Vec<u8>>,
    /// Event IDs by receipt type, user and thread.
    pub receipts: BTreeMap<(String, String, String), String>,
    pub typing: BTreeSet<String>,
    /// The member counts of the summary.
    pub counts: BTreeMap<String, i64>,
    /// The events that give the room a name, or an alias to be called by, by their types.
    pub titles: BTreeMap<&'static str, String>,
    /// The heroes of the summary, if it had any.
    pub heroes: Option<Vec<String>>,
    pub unread: Unread,
}

/// The types of state by which a room is called, and where in the content that stands.
const TITLES: [(&str, &str); 2] = [("m.room.name", "name"), ("m.room.canonical_alias", "alias")];

/// Notifications and highlights.
pub type Counts = (i64, i64);

/// What is said to be unread in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// `unread_notifications`: of the main timeline, or of everything.
    pub counts: Option<Counts>,
    /// `unread_thread_notifications`: by the root of the thread.
    pub threads: BTreeMap<String, Counts>,
}

/// A piece of a timeline without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Where `/messages` finds what was before.
    pub prev_batch: String,
    /// The room was not joined before this piece.
    pub joins: bool,
    pub events: Vec<String>,
}

/// The part of an answer that speaks of one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Join,
    Leave,
}

impl View {
    /// Takes in an answer, which the checker has found well-formed.
    pub fn apply(&mut self, answer: &Object) {
        let empty = Object::new();
        let rooms = answer.object("rooms").unwrap_or(&empty);
        for (id, room) in members(rooms, "join") {
            self.leave_lobby(id);
            self.rooms.entry(id.to_owned()).or_default().apply(Section::Join, room);
        }
        for (id, room) in members(rooms, "leave") {
            self.leave_lobby(id);
            self.rooms.entry(id.to_owned()).or_default().apply(Section::Leave, room);
        }
        for (id, _) in members(rooms, "invite") {
            self.leave_lobby(id);
            self.leave_room(id);
            self.invites.insert(id.to_owned());
        }
        for (id, _) in members(rooms, "knock") {
            self.leave_lobby(id);
            self.leave_room(id);
            self.knocks.insert(id.to_owned());
        }
        take_account_data(&mut self.account_data, answer);
        self.since = answer.str("next_batch").map(str::to_owned);
    }

    fn leave_lobby(&mut self, room: &str) {
        self.invites.remove(room);
        self.knocks.remove(room);
    }

    fn leave_room(&mut self, room: &str) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.joined = false;
        }
    }

    /// The rooms that the device takes itself to be in.
    pub fn joined(&self) -> impl Iterator<Item = (&str, &RoomView)> {
        self.rooms.iter().filter(|(_, room)| room.joined).map(|(id, room)| (id.as_str(), room))
    }
}

impl RoomView {
    /// Who is in the room, as far as the device was told.
    pub fn joined_members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter(|(_, membership)| *membership == "join").map(|(user, _)| user.as_str())
    }

    /// Only a timeline says of a user what their membership is, and nothing says whether it has lost against another since.
    pub fn is_member_by_timeline(&self, user: &str) -> bool {
        let event_id = self.state.get(&("m.room.member".to_owned(), user.to_owned()));
        event_id.is_some_and(|event_id| self.by_timeline.contains(event_id))
    }

    /// The last that the device was told of the timeline is that there is more than it was shown.
    pub fn ends_in_a_gap(&self) -> bool {
        self.segments.last().is_some_and(|segment| segment.events.is_empty())
    }

    fn apply(&mut self, section: Section, room: &Object) {
        let empty = Object::new();
        let timeline = room.object("timeline").unwrap_or(&empty);
        let events = list(timeline, "events");
        for event in list(room, "state") {
            self.take_state(event);
        }
        // An event by which somebody is out and of which no more is known has no place in the timeline: it can get one later.
        let has_place = section == Section::Join || timeline.contains("prev_batch");
        let placed = events.clone().filter(|_| has_place);
        if timeline.bool("limited") == Some(true) || !self.joined || self.segments.is_empty() {
            let prev_batch = timeline.str("prev_batch").unwrap_or_default().to_owned();
            self.segments.push(Segment { prev_batch, joins: !self.joined, events: Vec::new() });
        }
        let segment = self.segments.last_mut().expect("one was there or was pushed");
        let ids = placed.filter_map(|event| event.str("event_id"));
        segment.events.extend(ids.clone().map(str::to_owned));
        self.seen.extend(ids.map(str::to_owned));
        if room.contains("state_after") {
            for event in list(room, "state_after") {
                self.take_state(event);
            }
        } else {
            for event in events.clone() {
                self.take_state(event);
                if let Some(event_id) = event.str("event_id") {
                    self.by_timeline.insert(event_id.to_owned());
                }
            }
        }
        for event in events {
            self.take_redaction(event);
        }
        for event in list(room, "ephemeral") {
            self.take_ephemeral(event);
        }
        take_account_data(&mut self.account_data, room);
        for (name, value) in members_of(room.object("summary").unwrap_or(&empty)) {
            if let Some(count) = value.as_integer() {
                self.counts.insert(name.to_owned(), count);
            }
            if let Some(heroes) = value.as_array().filter(|_| name == "m.heroes") {
                self.heroes = Some(heroes.iter().filter_map(Value::as_str).map(str::to_owned).collect());
            }
        }
        self.unread.apply(room);
        self.joined = section == Section::Join;
    }

    fn take_state(&mut self, event: &Object) {
        if let (Some(kind), Some(state_key), Some(id)) =
            (event.str("type"), event.str("state_key"), event.str("event_id"))
        {
            let membership = event.object("content").and_then(|content| content.str("membership"));
            if let Some(membership) = membership.filter(|_| kind == "m.room.member") {
                self.members.insert(state_key.to_owned(), membership.to_owned());
            }
            if let Some((kind, member)) = TITLES.into_iter().find(|title| (title.0, "") == (kind, state_key)) {
                let text = event.object("content").and_then(|content| content.str(member));
                self.titles.remove(kind);
                self.titles.extend(text.filter(|text| !text.is_empty()).map(|_| (kind, id.to_owned())));
            }
            self.state.insert((kind.to_owned(), state_key.to_owned()), id.to_owned());
        }
    }

    /// What a redaction takes away of what the device shows.
    fn take_redaction(&mut self, event: &Object) {
        if event.str("type") == Some("m.room.redaction") {
            let in_content = event.object("content").and_then(|content| content.str("redacts"));
            let redacted = event.str("redacts").or(in_content);
            self.titles.retain(|_, title| Some(title.as_str()) != redacted);
        }
    }

    fn take_ephemeral(&mut self, event: &Object) {
        let empty = Object::new();
        let content = event.object("content").unwrap_or(&empty);
        match event.str("type") {
            Some("m.typing") => {
                let users = content.array("user_ids").unwrap_or_default();
                self.typing = users.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            }
            Some("m.receipt") => {
                for (event_id, kinds) in objects_of(content) {
                    for (kind, users) in objects_of(kinds) {
                        for (user, receipt) in objects_of(users) {
                            let thread = receipt.str("thread_id").unwrap_or_default();
                            let key = (kind.to_owned(), user.to_owned(), thread.to_owned());
                            self.receipts.insert(key, event_id.to_owned());
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

impl Unread {
    /// Threads that are not named have nothing that is unread.
    fn apply(&mut self, room: &Object) {
        let pair = |of: &Object| Some((of.integer("notification_count")?, of.integer("highlight_count")?));
        if let Some(counts) = room.object("unread_notifications").and_then(pair) {
            self.counts = Some(counts);
        }
        let threads = members(room, "unread_thread_notifications");
        self.threads = threads.filter_map(|(root, of)| Some((root.to_owned(), pair(of)?))).collect();
    }
}

fn take_account_data(into: &mut BTreeMap<String, Vec<u8>>, from: &Object) {
    let Some(data) = from.object("account_data") else { return };
    for event in list(data, "events") {
        if let (Some(kind), Some(content)) = (event.str("type"), event.get("content")) {
            into.insert(kind.to_owned(), content.to_bytes());
        }
    }
}

/// The objects of the list `name`, which may stand as `name.events` too.
pub fn list<'o>(object: &'o Object, name: &str) -> impl Iterator<Item = &'o Object> + Clone + use<'o> {
    let items = match object.get(name) {
        Some(Value::Array(items)) => items.as_slice(),
        Some(Value::Object(inner)) => inner.array("events").unwrap_or_default(),
        _ => &[],
    };
    items.iter().filter_map(Value::as_object)
}

/// The members of the object `name` that are objects.
pub fn members<'o>(object: &'o Object, name: &str) -> impl Iterator<Item = (&'o str, &'o Object)> + use<'o> {
    object.object(name).into_iter().flat_map(objects_of)
}

fn objects_of(object: &Object) -> impl Iterator<Item = (&str, &Object)> {
    members_of(object).filter_map(|(name, value)| Some((name, value.as_object()?)))
}

fn members_of(object: &Object) -> impl Iterator<Item = (&str, &Value)> {
    object.iter()
}
