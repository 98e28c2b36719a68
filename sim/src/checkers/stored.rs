//! Rooms as a server has them stored, read as a whole by those who look from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use orrery_core::event::Pdu;
use orrery_core::room::tables::ROOM_BY_ID;
use orrery_core::room::{EventIndex, Room, StoredEvent};
use orrery_core::store::log::{self, LogEntry};
use orrery_core::store::state_map::StateId;
use orrery_core::store::tables::{Position, RoomNum};
use orrery_core::store::{Order, StorageError};

use crate::storage::SimStorage;

/// Every room that a server knows of.
pub fn rooms(read: &SimStorage) -> Result<Vec<RoomNum>, StorageError> {
    let mut rooms = Vec::new();
    ROOM_BY_ID.scan::<StorageError>(read, (), Order::Ascending, |_, num| {
        rooms.push(num);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(rooms)
}

/// The events that came into the timelines of a server's rooms when they were new, rather than with history that was fetched.
pub(super) fn arrived_live(read: &SimStorage) -> Result<BTreeSet<(RoomNum, EventIndex)>, StorageError> {
    let mut live = BTreeSet::new();
    log::scan::<StorageError>(read, Position(0), log::last_position(read)?, |_, entry| {
        if let LogEntry::Event { room, index } = entry {
            live.insert((room, EventIndex(index)));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(live)
}

/// A room, read as a whole.
#[derive(Debug)]
pub(super) struct Stored<'r> {
    read: &'r SimStorage,
    pub room: Room,
    pub events: BTreeMap<EventIndex, (StoredEvent, Pdu)>,
    pub by_id: BTreeMap<String, EventIndex>,
}

impl Stored<'_> {
    pub fn read(read: &SimStorage, room: Room) -> Result<Stored<'_>, StorageError> {
        let (mut events, mut by_id) = (BTreeMap::new(), BTreeMap::new());
        for index in (0..room.head.next_index).map(EventIndex) {
            let Some(event) = StoredEvent::get(read, room.num, index)? else { continue };
            let pdu = event.pdu(room.info.version)?;
            let id = &event.header.event_id;
            if room.index_of(read, id)? == Some(index) {
                by_id.insert(id.to_string(), index);
            }
            events.insert(index, (event, pdu));
        }
        Ok(Stored { read, room, events, by_id })
    }

    /// The event with this ID, if it is in the graph.
    pub fn in_graph(&self, event_id: &str) -> Option<&StoredEvent> {
        let (event, _) = self.events.get(self.by_id.get(event_id)?)?;
        (!event.header.outlier).then_some(event)
    }

    /// Whether an event has a place in the room. What was told of it from outside (an invite) has none.
    pub fn is_in_room(&self, event: &StoredEvent) -> bool {
        self.by_id.get(event.header.event_id.as_str()) == Some(&event.index)
    }

    /// The event under a key in a state.
    pub fn state_event(
        &self,
        at: StateId,
        kind: &str,
        state_key: &str,
    ) -> Result<Option<&(StoredEvent, Pdu)>, StorageError> {
        let index = self.room.state_index(self.read, at, kind, state_key)?;
        Ok(index.and_then(|index| self.events.get(&index)))
    }

    /// The events of a state.
    pub fn state(&self, at: StateId) -> Result<Vec<EventIndex>, StorageError> {
        let mut state = Vec::new();
        self.room.walk_state(self.read, at, None, &mut |index| {
            state.push(index);
            ControlFlow::Continue(())
        })?;
        Ok(state)
    }

    /// The state after an event.
    pub fn state_after(&self, event: &StoredEvent) -> Result<StateId, StorageError> {
        self.room.state_after(self.read, event)
    }
}
