//! Holes in the state that this server was told when it came into a room: events that could not be checked then, mostly because
//! the keys of their servers could not be had. Once such an event is here it takes its place, in the state before every event that
//! comes from then on; `federation::fill_holes` sees to it that it gets here.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::state::Room;
use super::super::stored_event::StoredEvent;
use super::super::tables::{EventIndex, FILLED, FILLINGS, HOLES};
use crate::flow::Step;
use crate::identifiers::EventId;
use crate::limits::{FILLED_MEMORY, HOLE_PATIENCE};
use crate::store::codec::Record;
use crate::store::state_map::{StateId, StateKeyHash};
use crate::store::tables::{RoomNum, RoomTable};
use crate::store::{Order, Read, StorageError};
use crate::time::Timestamp;

/// Forgets what is noted of an earlier stay in the room.
pub fn forget_holes(step: &mut Step<'_>, room: RoomNum) -> Result<(), StorageError> {
    for event_id in holes(step, room, usize::MAX)? {
        HOLES.delete(step, (room, &event_id));
    }
    for (index, ()) in rows(&FILLINGS, step, room)? {
        FILLINGS.delete(step, room, index);
    }
    for (index, _) in rows(&FILLED, step, room)? {
        FILLED.delete(step, room, index);
    }
    Ok(())
}

/// Notes which events the state that was told has and the state here has not.
pub fn note_holes(step: &mut Step<'_>, room: &Room, left_out: &[EventId]) {
    let now = step.now;
    for event_id in left_out {
        HOLES.put(step, (room.num, event_id), &now);
    }
}

/// Whether events are missing that were not long ago, and are likely to come. Whoever is told the state meanwhile does not learn that it
/// is not whole.
pub fn is_being_filled(read: &(impl Read + ?Sized), room: RoomNum, now: Timestamp) -> Result<bool, StorageError> {
    let mut found = false;
    HOLES.scan::<StorageError>(read, room, Order::Ascending, |_, noted| {
        // All of them were noted when this server came in.
        found = now < noted + HOLE_PATIENCE;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// The events that are still missing, at most so many.
pub fn holes(read: &(impl Read + ?Sized), room: RoomNum, at_most: usize) -> Result<Vec<EventId>, StorageError> {
    let mut holes = Vec::new();
    HOLES.scan::<StorageError>(read, room, Order::Ascending, |(_, event_id), _| {
        if holes.len() == at_most {
            return Ok(ControlFlow::Break(()));
        }
        holes.push(event_id);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(holes)
}

/// The rooms in whose state events are missing.
pub fn rooms_with_holes(read: &(impl Read + ?Sized)) -> Result<Vec<RoomNum>, StorageError> {
    let mut rooms = Vec::new();
    HOLES.scan::<StorageError>(read, (), Order::Ascending, |(room, _), _| {
        if rooms.last() != Some(&room) {
            rooms.push(room);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(rooms)
}

/// Events are stored, whatever was thought of them: those that belong into holes take their places, if they are good.
pub fn found<'e>(
    step: &mut Step<'_>,
    room: &Room,
    event_ids: impl IntoIterator<Item = &'e EventId>,
) -> Result<(), StorageError> {
    for event_id in event_ids {
        if !HOLES.contains(step, (room.num, event_id))? {
            continue;
        }
        let Some(event) = room.event(step, event_id)? else { continue };
        HOLES.delete(step, (room.num, event_id));
        if event.header.state_key.is_some() && !event.is_rejected() {
            FILLINGS.put(step, room.num, event.index, &());
        }
    }
    Ok(())
}

fn rows<V: Record>(
    table: &RoomTable<EventIndex, V>,
    read: &(impl Read + ?Sized),
    room: RoomNum,
) -> Result<Vec<(EventIndex, V)>, StorageError> {
    let mut rows = Vec::new();
    table.scan::<StorageError>(read, room, (), Order::Ascending, |index, row| {
        rows.push((index, row));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(rows)
}

/// Events that have come late and are not in the room's state yet: their keys, and their indices.
#[derive(Clone, Debug, Default)]
pub struct Fillings(Rc<[(StateKeyHash, EventIndex)]>);

impl Fillings {
    pub fn of(read: &(impl Read + ?Sized), room: &Room) -> Result<Fillings, StorageError> {
        Fillings::of_rows(read, room, &rows(&FILLINGS, read, room.num)?)
    }

    fn of_rows<V>(
        read: &(impl Read + ?Sized),
        room: &Room,
        rows: &[(EventIndex, V)],
    ) -> Result<Fillings, StorageError> {
        if rows.is_empty() {
            return Ok(Fillings::default());
        }
        let keyed = |event: StoredEvent| {
            let state_key = event.header.state_key.as_deref()?;
            Some((StateKeyHash::new(&event.header.kind, state_key), event.index))
        };
        let indices: Vec<EventIndex> = rows.iter().map(|(index, _)| *index).collect();
        let events = StoredEvent::expect_all(read, room.num, &indices)?;
        Ok(Fillings(events.into_iter().filter_map(keyed).collect()))
    }

    /// [`Fillings::fill`] of states that meet. What one of them has a hole for is no conflict; and all but the current one may be older
    /// than what fills theirs.
    pub fn fill_each(&self, step: &mut Step<'_>, room: &Room, states: &mut [StateId]) -> Result<(), StorageError> {
        let older = match states.iter().all(|state| *state == room.head.state) {
            true => Fillings::default(),
            false => Fillings::of_rows(step, room, &rows(&FILLED, step, room.num)?)?,
        };
        for state in states {
            for fillings in [self, &older] {
                *state = fillings.fill(step, room, *state)?;
            }
        }
        Ok(())
    }

    /// The state with what fits into its holes. Where something has come into their place since, it stays.
    pub fn fill(&self, step: &mut Step<'_>, room: &Room, state: StateId) -> Result<StateId, StorageError> {
        let mut entries = Vec::new();
        for (key, index) in self.0.iter() {
            if room.index_at(step, state, key)?.is_none() {
                entries.push((*key, Some(index.0)));
            }
        }
        if entries.is_empty() { Ok(state) } else { room.apply_entries(step, state, &entries) }
    }

    /// Once one event is after all others, and the state after it has no hole any more, what follows it has none either.
    pub fn settle(&mut self, step: &mut Step<'_>, room: &Room) -> Result<(), StorageError> {
        if self.0.is_empty() || room.head.extremities.len() > 1 || room.head.unresolved {
            return Ok(());
        }
        for (key, _) in self.0.iter() {
            if room.index_at(step, room.head.state, key)?.is_none() {
                return Ok(());
            }
        }
        for (index, since) in rows(&FILLED, step, room.num)? {
            if since + FILLED_MEMORY < step.now {
                FILLED.delete(step, room.num, index);
            }
        }
        let now = step.now;
        for (_, index) in self.0.iter() {
            FILLINGS.delete(step, room.num, *index);
            FILLED.put(step, room.num, *index, &now);
        }
        *self = Fillings::default();
        Ok(())
    }
}
