//! Where two servers that differ about a room's state parted: the event before which their states are different, although those
//! after its previous events are the same or are not known to both.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::identifiers::EventId;
use orrery_core::room::{EventIndex, Room, StoredEvent};
use orrery_core::store::state_map::StateId;
use orrery_core::store::{Read, StorageError};

/// The event of least depth in whose previous events nothing shows yet that they differ about the key. `None` if there is none that
/// both have in their graphs.
pub fn find(
    (a, b): (&dyn Read, &dyn Read),
    room: &str,
    key: &(String, String),
) -> Result<Option<EventId>, StorageError> {
    let (Some(room_a), Some(room_b)) = (Room::find(a, room)?, Room::find(b, room)?) else { return Ok(None) };
    let (a, b) = (Side { read: a, room: room_a, key }, Side { read: b, room: room_b, key });
    let mut ahead: Vec<EventId> = a.ends()?.into_iter().chain(b.ends()?).collect();
    let mut seen: BTreeSet<EventId> = BTreeSet::new();
    let mut differing: BTreeMap<EventId, (i64, Vec<EventId>)> = BTreeMap::new();
    while let Some(event_id) = ahead.pop() {
        if !seen.insert(event_id.clone()) {
            continue;
        }
        let (in_a, in_b) = (a.event(&event_id)?, b.event(&event_id)?);
        let Some(known) = in_a.as_ref().or(in_b.as_ref()) else { continue };
        let pdu = known.pdu(a.room.info.version)?;
        if let (Some(in_a), Some(in_b)) = (&in_a, &in_b) {
            if a.value(in_a.header.state_before)? == b.value(in_b.header.state_before)? {
                continue;
            }
            differing.insert(event_id, (pdu.depth, pdu.prev_events.clone()));
        }
        ahead.extend(pdu.prev_events);
    }
    let begins =
        differing.iter().filter(|(_, (_, prev_events))| !prev_events.iter().any(|id| differing.contains_key(id)));
    Ok(begins.min_by_key(|(_, (depth, _))| *depth).map(|(event_id, _)| event_id.clone()))
}

/// One of the servers.
struct Side<'r> {
    read: &'r dyn Read,
    room: Room,
    key: &'r (String, String),
}

impl Side<'_> {
    fn ends(&self) -> Result<Vec<EventId>, StorageError> {
        let id = |index: &EventIndex| Ok(StoredEvent::expect(self.read, self.room.num, *index)?.header.event_id);
        self.room.head.extremities.iter().map(id).collect()
    }

    fn event(&self, event_id: &EventId) -> Result<Option<StoredEvent>, StorageError> {
        Ok(self.room.event(self.read, event_id)?.filter(|event| !event.header.outlier))
    }

    /// What a state has under the key.
    fn value(&self, state: StateId) -> Result<Option<EventId>, StorageError> {
        let event = self.room.state_event(self.read, state, &self.key.0, &self.key.1)?;
        Ok(event.map(|event| event.header.event_id))
    }
}
