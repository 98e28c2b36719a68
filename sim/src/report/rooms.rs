//! What every server has of every room: its events with their verdicts, its state, its ends. Read from the disks as the world left
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use orrery_core::canonical_json::{Object, Value};
use orrery_core::event::Pdu;
use orrery_core::event::content::Membership;
use orrery_core::room::{EventIndex, Reason, Room, Standing, StoredEvent};
use orrery_core::room_version::RoomVersion;
use orrery_core::store::StorageError;
use orrery_core::store::state_map::StateId;

use super::text;
use crate::checkers::stored;
use crate::storage::SimStorage;
use crate::world::server_name;

/// A room and what each server makes of it.
#[derive(Debug)]
pub struct RoomStory {
    pub version: RoomVersion,
    /// By event ID.
    pub events: BTreeMap<String, EventStory>,
    /// By server; only those that have a state of the room.
    pub views: BTreeMap<u32, View>,
}

/// An event and how it stands on each server that has it.
#[derive(Debug)]
pub struct EventStory {
    pub pdu: Pdu,
    pub seen: BTreeMap<u32, Seen>,
}

/// An event on one server.
#[derive(Debug)]
pub struct Seen {
    /// `accepted`, `soft-failed`, `rejected`, `outlier`, `rejected outlier` or `outside`.
    pub verdict: &'static str,
    /// Why it is not accepted.
    pub why: Option<String>,
    pub redacted: bool,
}

/// What one server thinks of a room.
#[derive(Debug)]
pub struct View {
    /// Somebody of its own is joined.
    pub is_in: bool,
    /// Event IDs by type and state key.
    pub state: BTreeMap<(String, String), String>,
    pub extremities: BTreeSet<String>,
}

/// Every room that any server knows, by ID.
pub type Rooms = BTreeMap<String, RoomStory>;

/// Reads all disks.
pub fn read(disks: &[SimStorage]) -> Result<Rooms, StorageError> {
    let mut rooms = Rooms::new();
    for (number, disk) in (0u32..).zip(disks) {
        for num in stored::rooms(disk)? {
            let Some(room) = Room::get(disk, num)? else { continue };
            let story = rooms.entry(room.room_id().to_string()).or_insert_with(|| RoomStory {
                version: room.info.version,
                events: BTreeMap::new(),
                views: BTreeMap::new(),
            });
            read_events(disk, number, &room, story)?;
            if room.head.state != StateId::EMPTY {
                let view = read_view(disk, number, &room)?;
                story.views.insert(number, view);
            }
        }
    }
    Ok(rooms)
}

fn read_events(disk: &SimStorage, number: u32, room: &Room, story: &mut RoomStory) -> Result<(), StorageError> {
    for index in (0..room.head.next_index).map(EventIndex) {
        let Some(event) = StoredEvent::get(disk, room.num, index)? else { continue };
        let id = &event.header.event_id;
        let is_inside = room.index_of(disk, id)? == Some(index);
        let verdict = match (is_inside, event.header.standing, event.header.outlier) {
            (false, ..) => "outside",
            (_, Standing::Accepted, false) => "accepted",
            (_, Standing::Accepted, true) => "outlier",
            (_, Standing::SoftFailed, _) => "soft-failed",
            (_, Standing::Rejected, false) => "rejected",
            (_, Standing::Rejected, true) => "rejected outlier",
        };
        let why = Reason::of(disk, room, index)?.map(|reason| reason.to_string());
        let seen = Seen { verdict, why, redacted: event.header.redacted_by.is_some() };
        let pdu = event.pdu(room.info.version)?;
        let known = story
            .events
            .entry(id.to_string())
            .or_insert_with(|| EventStory { pdu: pdu.clone(), seen: BTreeMap::new() });
        // Whoever has it whole knows more of it than who has it without its content.
        if pdu.json().len() > known.pdu.json().len() {
            known.pdu = pdu;
        }
        if is_inside || !known.seen.contains_key(&number) {
            known.seen.insert(number, seen);
        }
    }
    Ok(())
}

fn read_view(disk: &SimStorage, number: u32, room: &Room) -> Result<View, StorageError> {
    let mut indices = Vec::new();
    room.walk_state(disk, room.head.state, None, &mut |index| {
        indices.push(index);
        ControlFlow::Continue(())
    })?;
    let own = format!(":{}", server_name(number));
    let mut view = View { is_in: false, state: BTreeMap::new(), extremities: BTreeSet::new() };
    for index in indices {
        let event = StoredEvent::expect(disk, room.num, index)?;
        let state_key = event.header.state_key.clone().unwrap_or_default();
        view.is_in |= event.header.kind == "m.room.member"
            && state_key.ends_with(&own)
            && event.pdu(room.info.version)?.membership() == Some(Membership::Join);
        view.state.insert((event.header.kind.clone(), state_key), event.header.event_id.to_string());
    }
    for index in &room.head.extremities {
        view.extremities.insert(StoredEvent::expect(disk, room.num, *index)?.header.event_id.to_string());
    }
    Ok(view)
}

/// The rooms' graphs for the page.
#[must_use]
pub fn graphs(rooms: &Rooms) -> Value {
    let graph = |(id, room): (&String, &RoomStory)| {
        let mut events: Vec<(&String, &EventStory)> = room.events.iter().collect();
        events.sort_by_key(|(id, event)| (event.pdu.depth, event.pdu.origin_server_ts, (*id).clone()));
        let events: Vec<Object> = events.into_iter().map(|(id, event)| event_object(id, event, room)).collect();
        let servers: Vec<Value> = room.views.keys().map(|number| Value::from(*number)).collect();
        let members: Vec<Value> =
            room.views.iter().filter(|(_, view)| view.is_in).map(|(number, _)| Value::from(*number)).collect();
        let known = room.events.values().flat_map(|event| event.seen.keys()).collect::<BTreeSet<_>>();
        Object::new()
            .with("id", id.as_str())
            .with("version", room.version.as_str())
            .with("servers", servers)
            .with("in", members)
            .with("known", known.into_iter().map(|number| Value::from(*number)).collect::<Vec<_>>())
            .with("events", events)
    };
    rooms.iter().map(graph).collect::<Vec<_>>().into()
}

fn event_object(id: &str, event: &EventStory, room: &RoomStory) -> Object {
    let pdu = &event.pdu;
    let ids =
        |ids: &[orrery_core::identifiers::EventId]| -> Vec<String> { ids.iter().map(ToString::to_string).collect() };
    let mut seen = Object::new();
    for (number, here) in &event.seen {
        let mut of = Object::new().with("v", here.verdict);
        if let Some(why) = &here.why {
            of.insert("why", why.as_str());
        }
        if here.redacted {
            of.insert("redacted", true);
        }
        seen.insert(number.to_string(), of);
    }
    let ends: Vec<Value> = room
        .views
        .iter()
        .filter(|(_, view)| view.extremities.contains(id))
        .map(|(number, _)| Value::from(*number))
        .collect();
    let mut object = Object::new()
        .with("id", id)
        .with("type", pdu.kind.as_str())
        .with("sender", pdu.sender.as_str())
        // Depths go beyond what a page can count with.
        .with("depth", pdu.depth.to_string())
        .with("ts", pdu.origin_server_ts.to_string())
        .with("prev", ids(&pdu.prev_events))
        .with("auth", ids(&pdu.auth_events))
        .with("seen", seen)
        .with("ends", ends)
        .with("content", text::cut(pdu.content_bytes(), text::CONTENT));
    if let Some(state_key) = &pdu.state_key {
        object.insert("key", state_key.as_str());
    }
    if let Some(membership) = pdu.content.str("membership") {
        object.insert("membership", membership);
    }
    if let Some(redacts) = &pdu.redacts {
        object.insert("redacts", redacts.as_str());
    }
    object
}
