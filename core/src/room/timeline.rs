//! The timeline of a room: its events in the order in which clients see them.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::state::Room;
use super::stored_event::StoredEvent;
use super::tables::{EventIndex, MILESTONES, TIMELINE, TimelineKey};
use crate::flow::Step;
use crate::limits::UNREAD_STRETCH;
use crate::store::state_map::StateId;
use crate::store::tables::Position;
use crate::store::{Order, Read, StorageError};

/// The most events that are read at once.
const MAX_BATCH: usize = 128;

/// A place between events: the order of the event before it. `Place::after(position)` comes after everything that was
/// added up to that position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub i64);

impl Place {
    #[must_use]
    pub fn after(position: Position) -> Place {
        Place(position.order())
    }
    /// Before every event.
    pub const START: Place = Place(i64::MIN);
}

/// The room's current state at a place: when everything before it had come.
pub fn state_at(read: &(impl Read + ?Sized), room: &Room, place: Place) -> Result<StateId, StorageError> {
    let mut state = StateId::EMPTY;
    backward::<StorageError>(read, room, Some(place), Place::START, 1, |_, event| {
        state = room.current_after(read, &event)?;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(state)
}

/// Visits the events after `from`, up to and including `to` (`None`: the newest), oldest first. They are read so many at a
/// time as the caller expects to need.
pub fn forward<E: From<StorageError>>(
    read: &(impl Read + ?Sized),
    room: &Room,
    from: Place,
    to: Option<Place>,
    expected: usize,
    visit: impl FnMut(i64, StoredEvent) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    scan(read, room, (from, to), Order::Ascending, expected, visit)
}

/// Visits the events up to and including `from` (`None`: the newest), back to but not including `to`, newest first.
pub fn backward<E: From<StorageError>>(
    read: &(impl Read + ?Sized),
    room: &Room,
    from: Option<Place>,
    to: Place,
    expected: usize,
    visit: impl FnMut(i64, StoredEvent) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    scan(read, room, (to, from), Order::Descending, expected, visit)
}

/// Notes the place of every [`UNREAD_STRETCH`]th event or so, of an event that comes now. The newest that came before it is a forward
/// extremity until then, so the indices between them are those that were taken since.
pub(super) fn note_milestone(step: &mut Step<'_>, room: &Room, index: EventIndex, order: i64) {
    let newest = room.head.extremities.iter().map(|end| end.0).max().unwrap_or_default();
    if index.0 / UNREAD_STRETCH > newest / UNREAD_STRETCH {
        MILESTONES.put(step, room.num, TimelineKey(order), &());
    }
}

/// The orders of the two events that were noted last, the newest first.
pub fn milestones(read: &(impl Read + ?Sized), room: &Room) -> Result<[Option<i64>; 2], StorageError> {
    let mut found = [None; 2];
    let mut count = 0;
    MILESTONES.scan::<StorageError>(read, room.num, (), Order::Ascending, |key, ()| {
        found[count] = Some(key.0);
        count += 1;
        Ok(if count < found.len() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(found)
}

/// Whether there are more than `many` events with `low < order <= high`.
pub fn has_more_than(
    read: &(impl Read + ?Sized),
    room: &Room,
    range: (Place, Place),
    many: usize,
) -> Result<bool, StorageError> {
    let mut found = Vec::new();
    places(read, room, range, Order::Ascending, many + 1, &mut found)?;
    Ok(found.len() > many)
}

/// Visits `low < order <= high`.
fn scan<E: From<StorageError>>(
    read: &(impl Read + ?Sized),
    room: &Room,
    (low, high): (Place, Option<Place>),
    order: Order,
    expected: usize,
    mut visit: impl FnMut(i64, StoredEvent) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let batch = expected.clamp(1, MAX_BATCH);
    let (mut low, mut high) = (low, high.unwrap_or(Place(i64::MAX)));
    let mut found = Vec::with_capacity(batch);
    loop {
        found.clear();
        places(read, room, (low, high), order, batch, &mut found)?;
        let mut indices: Vec<EventIndex> = found.iter().map(|(_, index)| *index).collect();
        indices.sort_unstable();
        let mut events: Vec<Option<StoredEvent>> =
            StoredEvent::expect_all(read, room.num, &indices)?.into_iter().map(Some).collect();
        for (place, index) in &found {
            let at = indices.binary_search(index).expect("the indices are those that were found");
            let Some(event) = events[at].take() else { continue };
            if visit(*place, event)?.is_break() {
                return Ok(());
            }
        }
        match found.last() {
            Some((last, _)) if found.len() == batch => match order {
                Order::Ascending => low = Place(*last),
                Order::Descending => high = Place(last.saturating_sub(1)),
            },
            _ => return Ok(()),
        }
    }
}

/// The first `limit` of `low < order <= high`.
fn places(
    read: &(impl Read + ?Sized),
    room: &Room,
    (low, high): (Place, Place),
    order: Order,
    limit: usize,
    found: &mut Vec<(i64, EventIndex)>,
) -> Result<(), StorageError> {
    if high <= low {
        return Ok(());
    }
    // The keys run the other way, and the end of a range is not part of it.
    let order = match order {
        Order::Ascending => Order::Descending,
        Order::Descending => Order::Ascending,
    };
    let range = (TimelineKey(high.0), Some(TimelineKey(low.0)));
    TIMELINE.scan_range(read, room.num, range, order, |key, index| {
        found.push((key.0, index));
        Ok(if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })
}
