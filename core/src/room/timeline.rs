//! The timeline of a room: its events in the order in which clients see them.

use core::ops::ControlFlow;

use super::state::Room;
use super::stored_event::StoredEvent;
use super::tables::{EventIndex, TIMELINE, TimelineKey};
use crate::store::state_map::StateId;
use crate::store::tables::Position;
use crate::store::{Order, Read, StorageError};

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

/// The room's state at a place: after everything that comes before it.
pub fn state_at(read: &(impl Read + ?Sized), room: &Room, place: Place) -> Result<StateId, StorageError> {
    let mut state = StateId::EMPTY;
    backward::<StorageError>(read, room, Some(place), Place::START, |_, event| {
        state = room.state_after(read, &event)?;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(state)
}

/// Visits the events after `from`, up to and including `to` (`None`: the newest), oldest first.
pub fn forward<E: From<StorageError>>(
    read: &(impl Read + ?Sized),
    room: &Room,
    from: Place,
    to: Option<Place>,
    mut visit: impl FnMut(i64, StoredEvent) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    scan(read, room, (from, to), Order::Ascending, &mut |order, index| {
        visit(order, StoredEvent::expect(read, room.num, index)?)
    })
}

/// Visits the events up to and including `from` (`None`: the newest), back to but not including `to`, newest first.
pub fn backward<E: From<StorageError>>(
    read: &(impl Read + ?Sized),
    room: &Room,
    from: Option<Place>,
    to: Place,
    mut visit: impl FnMut(i64, StoredEvent) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    scan(read, room, (to, from), Order::Descending, &mut |order, index| {
        visit(order, StoredEvent::expect(read, room.num, index)?)
    })
}

/// Visits `low < order <= high`.
fn scan<E: From<StorageError>>(
    read: &(impl Read + ?Sized),
    room: &Room,
    (low, high): (Place, Option<Place>),
    order: Order,
    visit: &mut dyn FnMut(i64, EventIndex) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let high = high.unwrap_or(Place(i64::MAX));
    if high <= low {
        return Ok(());
    }
    // The keys run the other way, and the end of a range is not part of it.
    let order = match order {
        Order::Ascending => Order::Descending,
        Order::Descending => Order::Ascending,
    };
    let range = (TimelineKey(high.0), Some(TimelineKey(low.0)));
    TIMELINE.scan_range(read, room.num, range, order, |key, index| visit(key.0, index))
}
