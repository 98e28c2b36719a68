//! What a destination has missed that did not answer or could not keep up: by room, from which position on.

use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::destination::Due;
use super::relay;
use super::transaction::Contents;
use crate::flow::Step;
use crate::identifiers::ServerName;
use crate::limits::{MAX_CATCH_UP_EVENTS, MAX_CATCH_UP_RECEIPTS, MAX_CATCH_UP_ROOMS, MAX_CATCH_UP_SCAN};
use crate::room::timeline::{self, Place};
use crate::room::{Room, StoredEvent, receipts, servers};
use crate::store::tables::{Position, RoomNum, Table, tags};
use crate::store::{Order, StorageError};

const MISSED: Table<(ServerName, RoomNum), Range> = Table::new(tags::MISSED_ROOM);

/// What was not sent of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    /// The first position that is due.
    from: Position,
    /// The event that put the destination out of the room.
    last: Option<Position>,
}

/// What a destination has missed in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    room: RoomNum,
    range: Range,
}

impl Missed {
    /// Stores how far the destination now has what it missed.
    pub fn advance(&self, step: &mut Step<'_>, destination: &ServerName) -> Result<(), StorageError> {
        // It may have been put out of the room meanwhile.
        let last = MISSED.get(step, (destination, self.room))?.and_then(|range| range.last);
        MISSED.put(step, (destination, self.room), &Range { last, ..self.range });
        Ok(())
    }
}

/// The destination has missed something in a room. One row a room, however much it is.
pub(super) fn miss(step: &mut Step<'_>, destination: &ServerName, due: &Due) -> Result<(), StorageError> {
    let Due { position, room, is_last, .. } = *due;
    let before = MISSED.get(step, (destination, room))?;
    let last = is_last.then_some(position).max(before.and_then(|range| range.last.filter(|last| *last >= position)));
    let range = Range { from: before.map_or(position, |range| range.from.min(position)), last };
    if before != Some(range) {
        MISSED.put(step, (destination, room), &range);
    }
    Ok(())
}

/// A look through what a destination has missed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub destination: &'a ServerName,
    /// How far the log has been looked through for what is due.
    pub routed: Position,
    /// Of what was missed up to here in a room with more than [`MAX_CATCH_UP_EVENTS`], only the last event is sent: the other
    /// server asks for what it wants of the rest.
    pub absent_until: Option<Position>,
}

impl Look<'_> {
    /// Fills a transaction, and returns from where on each room is due after it; `None` if nothing is missed any more. Rooms have
    /// their turns one after the other: `resume_after` is the one that had the last.
    pub fn through(
        &self,
        step: &mut Step<'_>,
        contents: &mut Contents,
        resume_after: &mut Option<RoomNum>,
    ) -> Result<Option<Vec<Missed>>, StorageError> {
        let mut rooms = self.rooms(step, *resume_after)?;
        if rooms.is_empty() && resume_after.take().is_some() {
            rooms = self.rooms(step, None)?;
        }
        if rooms.is_empty() {
            return Ok(None);
        }
        let mut left = MAX_CATCH_UP_SCAN;
        let mut due = Vec::new();
        for missed in rooms {
            if left == 0 || !contents.has_room_for_pdu() || contents.room_for_edus() == 0 {
                break;
            }
            *resume_after = Some(missed.room);
            match self.look_at(step, contents, missed, &mut left)? {
                Some(after) => due.push(after),
                None => MISSED.delete(step, (self.destination, missed.room)),
            }
        }
        Ok(Some(due))
    }

    fn rooms(&self, step: &Step<'_>, after: Option<RoomNum>) -> Result<Vec<Missed>, StorageError> {
        let mut rooms = Vec::new();
        let from = (self.destination, RoomNum(after.map_or(0, |after| after.0.saturating_add(1))));
        MISSED.scan_range::<StorageError>(step, from, None::<()>, Order::Ascending, |(destination, room), range| {
            if destination != *self.destination {
                return Ok(ControlFlow::Break(()));
            }
            rooms.push(Missed { room, range });
            Ok(if rooms.len() < MAX_CATCH_UP_ROOMS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(rooms)
    }

    /// Adds what fits of a room; `None` if there is nothing left of it.
    fn look_at(
        &self,
        step: &Step<'_>,
        contents: &mut Contents,
        missed: Missed,
        left: &mut usize,
    ) -> Result<Option<Missed>, StorageError> {
        let Some(room) = Room::get(step, missed.room)? else { return Ok(None) };
        let Range { from, last } = missed.range;
        let since = servers::since(step, &room, self.destination)?;
        let is_in = since.is_some();
        // A server that is back in the room is not sent what was said while it was out; one that is out, what it was in for.
        let first = since.map_or(from, |since| from.max(Position(since.0 + 1)));
        let to = last.filter(|_| !is_in).map_or(self.routed, |last| last.min(self.routed));
        let is_everything_due = is_in || last.is_some();
        let mut found = false;
        let mut start = first;
        if let Some(until) = self.absent_until.filter(|until| is_in && *until >= start) {
            let gap = (place_before(start), Place::after(until));
            if timeline::has_more_than(step, &room, gap, MAX_CATCH_UP_EVENTS)? {
                if let Some(event) = self.last_of(step, &room, gap)? {
                    contents.add_pdu(&event)?;
                    found = true;
                }
                start = Position(until.0 + 1);
            }
        }
        let mut end = Position(to.0 + 1);
        if start < end {
            let to = Some(Place::after(to));
            timeline::forward::<StorageError>(step, &room, place_before(start), to, 64, |order, event| {
                if *left == 0 || !contents.has_room_for_pdu() {
                    end = Position(order.cast_unsigned());
                    return Ok(ControlFlow::Break(()));
                }
                *left -= 1;
                if self.is_due(step, &room, &event, is_everything_due)? {
                    contents.add_pdu(&event)?;
                    found = true;
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        if is_in {
            let range = (first, end);
            let own = &step.config.server_name;
            for receipt in receipts::public_of_server(step, room.num, range, own, MAX_CATCH_UP_RECEIPTS)? {
                contents.add_receipt(room.room_id(), &receipt);
                found = true;
            }
        }
        let is_over = !found && end > to;
        Ok((!is_over).then_some(Missed { room: room.num, range: Range { from: end, last } }))
    }

    /// The last event of a part of the timeline that is due.
    fn last_of(
        &self,
        step: &Step<'_>,
        room: &Room,
        (low, high): (Place, Place),
    ) -> Result<Option<StoredEvent>, StorageError> {
        let mut last = None;
        let mut left = MAX_CATCH_UP_EVENTS;
        timeline::backward::<StorageError>(step, room, Some(high), low, 8, |_, event| {
            left -= 1;
            if self.is_due(step, room, &event, true)? {
                last = Some(event);
            }
            Ok(if last.is_none() && left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(last)
    }

    /// Whether the destination is to be sent an event of the timeline. A server that is no longer in the room is told how its
    /// users went out.
    fn is_due(
        &self,
        step: &Step<'_>,
        room: &Room,
        event: &StoredEvent,
        is_everything_due: bool,
    ) -> Result<bool, StorageError> {
        Ok(relay::is_ours(step, room.num, event)?
            && event.header.sender.server_str() != self.destination.as_str()
            && (is_everything_due || relay::puts_out_user_of(event).as_ref() == Some(self.destination)))
    }
}

fn place_before(position: Position) -> Place {
    Place(position.order() - 1)
}
