//! The state that each server has of each room, where they differ, and core's explanation of each difference.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::canonical_json::{Object, Value};
use orrery_core::room::{Room, explain};
use orrery_core::store::StorageError;

use super::rooms::{RoomStory, Rooms, View};
use crate::checkers::parting;
use crate::storage::SimStorage;

/// How many differences are explained, of all rooms.
const MOST_EXPLAINED: usize = 40;

/// To how many lines the explanation by one server is cut.
const MOST_LINES: usize = 80;

/// A type and a state key.
type Key = (String, String);

/// The rooms' states for the page; differences count between the servers of `honest` that are in the room. Adds to `cut` what was
/// left out.
pub fn states(
    rooms: &Rooms,
    disks: &[SimStorage],
    honest: &BTreeSet<u32>,
    cut: &mut Vec<String>,
) -> Result<Value, StorageError> {
    let mut left = MOST_EXPLAINED;
    let mut not_explained = 0;
    let mut states = Vec::new();
    for (id, room) in rooms {
        let sides: BTreeMap<u32, &View> = room
            .views
            .iter()
            .filter(|(number, view)| view.is_in && honest.contains(number))
            .map(|(n, v)| (*n, v))
            .collect();
        let keys: BTreeSet<&Key> = room.views.values().flat_map(|view| view.state.keys()).collect();
        let (mut rows, mut differences) = (Vec::new(), Vec::new());
        for key in keys {
            let differs = differs(&sides, key);
            rows.push(row(room, key, differs));
            if !differs {
                continue;
            }
            if left == 0 {
                not_explained += 1;
                continue;
            }
            left -= 1;
            differences.push(difference(id, room, disks, &sides, key)?);
        }
        let mut ends = Object::new();
        for (number, view) in &room.views {
            ends.insert(number.to_string(), view.extremities.iter().cloned().collect::<Vec<_>>());
        }
        let ends_differ = sides.values().any(|view| sides.values().any(|other| view.extremities != other.extremities));
        states.push(
            Object::new()
                .with("rows", rows)
                .with("differences", differences)
                .with("ends", ends)
                .with("endsDiffer", ends_differ),
        );
    }
    if not_explained > 0 {
        cut.push(format!("{not_explained} differences of state are listed and not explained"));
    }
    Ok(states.into())
}

fn differs(sides: &BTreeMap<u32, &View>, key: &Key) -> bool {
    let mut values = sides.values().map(|view| view.state.get(key));
    let first = values.next();
    values.any(|value| Some(value) != first)
}

fn row(room: &RoomStory, key: &Key, differs: bool) -> Object {
    let mut values = Object::new();
    for (number, view) in &room.views {
        if let Some(event_id) = view.state.get(key) {
            values.insert(number.to_string(), event_id.as_str());
        }
    }
    Object::new().with("type", key.0.as_str()).with("key", key.1.as_str()).with("at", values).with("differs", differs)
}

/// What each server says of a key about which they differ.
fn difference(
    id: &str,
    room: &RoomStory,
    disks: &[SimStorage],
    sides: &BTreeMap<u32, &View>,
    key: &Key,
) -> Result<Object, StorageError> {
    let mut numbers = sides.iter();
    let first = numbers.next();
    let other = first.and_then(|(_, view)| numbers.find(|(_, other)| other.state.get(key) != view.state.get(key)));
    let parted = match first.zip(other) {
        Some(((first, _), (other, _))) => parting::find((&disks[*first as usize], &disks[*other as usize]), id, key)?,
        None => None,
    };
    let mut said = Vec::new();
    for number in sides.keys() {
        let disk = &disks[*number as usize];
        let Some(here) = Room::find(disk, id)? else { continue };
        let mut lines = explain::state(disk, &here, (&key.0, &key.1), None)?.unwrap_or_default();
        if let Some(parted) = &parted {
            lines.push(format!("before {parted}, where they part:"));
            let before = explain::state(disk, &here, (&key.0, &key.1), Some(parted))?;
            lines.extend(before.unwrap_or_else(|| vec!["it is not here".to_owned()]));
        }
        let values: BTreeSet<&String> = room.views.values().filter_map(|view| view.state.get(key)).collect();
        for event_id in values {
            let known = explain::event(disk, &here, event_id)?;
            lines.extend(known.unwrap_or_else(|| vec![format!("{event_id} is not here")]));
        }
        let more = lines.len().saturating_sub(MOST_LINES);
        if more > 0 {
            lines.truncate(MOST_LINES);
            lines.push(format!("… and {more} more lines"));
        }
        said.push(Object::new().with("server", *number).with("lines", lines));
    }
    let mut object = Object::new().with("type", key.0.as_str()).with("key", key.1.as_str()).with("said", said);
    if let Some(parted) = parted {
        object.insert("parted", parted.as_str());
    }
    Ok(object)
}
