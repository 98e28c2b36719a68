//! State resolution over the stored events of a room.

use alloc::sync::Arc;

use super::state::{NewNodes, Room, write_nodes};
use super::stored_event::StoredEvent;
use super::tables::EventIndex;
use crate::flow::Step;
use crate::state_res::{self, Events, RoomEvent};
use crate::store::auth_chain::RoomAuthChains;
use crate::store::state_map::{StateId, StateKeyHash};
use crate::store::{Read, StorageError};

struct StoredEvents<'a, R: ?Sized> {
    read: &'a R,
    room: &'a Room,
}

impl<R: Read + ?Sized> Events for StoredEvents<'_, R> {
    fn event(&self, index: u32) -> Result<RoomEvent, StorageError> {
        let event = StoredEvent::expect(self.read, self.room.num, EventIndex(index))?;
        Ok(RoomEvent { pdu: Arc::new(event.pdu(self.room.info.version)?), rejected: event.is_rejected() })
    }
}

/// The state where `sets` meet. `None` if too much of them is in conflict (see [`state_res`]).
pub(super) fn resolve(step: &mut Step<'_>, room: &Room, sets: &[StateId]) -> Result<Option<StateId>, StorageError> {
    let Some((first, rest)) = sets.split_first() else { return Ok(Some(StateId::EMPTY)) };
    if rest.iter().all(|set| set == first) {
        return Ok(Some(*first));
    }
    let create = create_event(step, room, sets)?;
    let (resolved, made) = {
        let read = &*step;
        let events = StoredEvents { read, room };
        let chains = RoomAuthChains { read, room: room.num };
        let law =
            state_res::Room { rules: room.info.version.rules(), create: create.0, events: &events, chains: &chains };
        let mut nodes = NewNodes::new(read, room.num);
        let resolved = state_res::resolve(&law, &mut nodes, sets);
        (resolved, nodes.into_made())
    };
    match resolved {
        Ok(resolved) => {
            write_nodes(step, room.num, made);
            step.resolutions.note(&resolved);
            Ok(Some(resolved.state))
        }
        Err(state_res::Error::TooMuch) => Ok(None),
        Err(state_res::Error::Storage(error)) => Err(error),
    }
}

/// Why the state where `sets` meet has what it has under `key`.
pub(super) fn explain(
    read: &(impl Read + ?Sized),
    room: &Room,
    sets: &[StateId],
    key: &StateKeyHash,
) -> Result<state_res::Explanation, state_res::Error> {
    let create = create_event(read, room, sets)?;
    let events = StoredEvents { read, room };
    let chains = RoomAuthChains { read, room: room.num };
    let law = state_res::Room { rules: room.info.version.rules(), create: create.0, events: &events, chains: &chains };
    state_res::explain(&law, &NewNodes::new(read, room.num), sets, key)
}

fn create_event(read: &(impl Read + ?Sized), room: &Room, sets: &[StateId]) -> Result<EventIndex, StorageError> {
    for set in [&room.head.state].into_iter().chain(sets) {
        if let Some(create) = room.state_index(read, *set, "m.room.create", "")? {
            return Ok(create);
        }
    }
    Err(StorageError(alloc::format!("the states of {} have no create event", room.info.room_id)))
}
