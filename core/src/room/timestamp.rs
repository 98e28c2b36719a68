//! The event closest to a time (Client-Server API, "Jump to date").

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::state::Room;
use super::stored_event::StoredEvent;
use super::tables::EventIndex;
use super::timeline::{self, Place};
use crate::limits::MAX_TIMESTAMP_SCAN;
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

/// How many events are asked for their time together.
const NEIGHBOURS: usize = 7;

/// Which way from a time an event is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// At the time or after it.
    Forward,
    /// At the time or before it.
    Backward,
}

impl Direction {
    /// `f` or `b`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Direction> {
        match text {
            "f" => Some(Direction::Forward),
            "b" => Some(Direction::Backward),
            _ => None,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Forward => "f",
            Direction::Backward => "b",
        }
    }

    /// How far `sent` is from `wanted`, in milliseconds; `None` if it is on the other side.
    #[must_use]
    pub fn distance(self, wanted: Timestamp, sent: Timestamp) -> Option<u64> {
        match self {
            Direction::Forward => sent.0.checked_sub(wanted.0),
            Direction::Backward => wanted.0.checked_sub(sent.0),
        }
    }
}

/// The event of the timeline whose `origin_server_ts` is closest to `wanted`, among those that `sees` lets pass. Of several the
/// first in the timeline, going forward, or the last.
///
/// A timeline is ordered by arrival, nearly as by time, but any server can claim any time. So up to [`MAX_TIMESTAMP_SCAN`] events
/// are all looked at; of a longer timeline those around the place that halving leads to.
pub fn closest<E: From<StorageError>>(
    read: &(impl Read + ?Sized),
    room: &Room,
    (wanted, direction): (Timestamp, Direction),
    mut sees: impl FnMut(&StoredEvent) -> Result<bool, E>,
) -> Result<Option<StoredEvent>, E> {
    let middle = middle(read, room, wanted)?;
    let mut found: Vec<((u64, i64), EventIndex)> = Vec::new();
    for forward in [true, false] {
        let mut left = MAX_TIMESTAMP_SCAN;
        let mut look = |order: i64, event: StoredEvent| {
            if let Some(distance) = direction.distance(wanted, event.header.origin_server_ts) {
                let order = if direction == Direction::Forward { order } else { -order };
                found.push(((distance, order), event.index));
            }
            left -= 1;
            Ok::<_, StorageError>(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        if forward {
            timeline::forward(read, room, middle, None, MAX_TIMESTAMP_SCAN, &mut look)?;
        } else {
            timeline::backward(read, room, Some(middle), Place::START, MAX_TIMESTAMP_SCAN, &mut look)?;
        }
    }
    found.sort_unstable_by_key(|(place, _)| *place);
    for (_, index) in found {
        let event = StoredEvent::expect(read, room.num, index)?;
        if sees(&event)? {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// A place in the timeline before which most events are older than `wanted`, and after which most are not.
fn middle(read: &(impl Read + ?Sized), room: &Room, wanted: Timestamp) -> Result<Place, StorageError> {
    let (mut low, mut high) = (i64::MIN, room.head.last.order());
    timeline::forward::<StorageError>(read, room, Place::START, None, 1, |order, _| {
        low = order - 1;
        Ok(ControlFlow::Break(()))
    })?;
    if usize::try_from(room.head.next_index).unwrap_or(usize::MAX) <= MAX_TIMESTAMP_SCAN {
        return Ok(Place(low));
    }
    while low < high {
        let half = low + (high - low) / 2;
        // A few neighbours, so that one false time does not lead astray.
        let mut times = Vec::with_capacity(NEIGHBOURS);
        timeline::forward::<StorageError>(read, room, Place(half), Some(Place(high)), NEIGHBOURS, |_, event| {
            times.push(event.header.origin_server_ts);
            Ok(if times.len() == NEIGHBOURS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        times.sort_unstable();
        match times.get(times.len() / 2) {
            Some(time) if *time < wanted => low = half + 1,
            _ => high = half,
        }
    }
    Ok(Place(low))
}

#[cfg(test)]
mod tests;
