//! Holes in the state that this server was told when it came into a room: events that could not be checked then, mostly because
//! the keys of their servers could not be had. Once somebody cites such an event, and it can be checked, it takes its place.

use alloc::vec::Vec;

use super::super::state::Room;
use super::super::tables::HOLES;
use crate::event::Pdu;
use crate::flow::Step;
use crate::identifiers::EventId;
use crate::store::state_map::{StateId, StateKeyHash};
use crate::store::{Read, StorageError};

/// Notes which events the state that was told has and the state here has not.
pub fn note_holes(step: &mut Step<'_>, room: &Room, left_out: &[EventId]) {
    for event_id in left_out {
        HOLES.put(step, room.num, event_id, &());
    }
}

/// Whether an event belongs into such a hole.
pub fn is_hole(read: &(impl Read + ?Sized), room: &Room, event_id: &EventId) -> Result<bool, StorageError> {
    HOLES.contains(read, room.num, event_id)
}

/// The events which an event cites that belong into such holes, and are good: their keys, and their indices.
#[derive(Debug, Default)]
pub(super) struct Fillings(Vec<(StateKeyHash, u32)>);

impl Fillings {
    pub fn of(read: &(impl Read + ?Sized), room: &Room, pdu: &Pdu) -> Result<Fillings, StorageError> {
        let mut fillings = Vec::new();
        for event_id in &pdu.auth_events {
            if !is_hole(read, room, event_id)? {
                continue;
            }
            let Some(event) = room.event(read, event_id)?.filter(|event| !event.is_rejected()) else { continue };
            if let Some(state_key) = &event.header.state_key {
                fillings.push((StateKeyHash::new(&event.header.kind, state_key), event.index.0));
            }
        }
        Ok(Fillings(fillings))
    }

    /// The state with what fits into its holes. Where something has come into their place since, it stays. `None` if nothing fits.
    pub fn fill(&self, step: &mut Step<'_>, room: &Room, state: StateId) -> Result<Option<StateId>, StorageError> {
        let mut entries = Vec::new();
        for (key, index) in &self.0 {
            if room.index_at(step, state, key)?.is_none() {
                entries.push((*key, Some(*index)));
            }
        }
        if entries.is_empty() { Ok(None) } else { room.apply_entries(step, state, &entries).map(Some) }
    }
}
