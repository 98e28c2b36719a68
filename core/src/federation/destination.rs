//! One destination: what is due to another server, and what is being done about it (Server-Server API, "Transactions").
//!
//! A destination is a cursor into the log. While it answers, what is due is a short queue in memory. When it does not, or falls
//! behind, the queue becomes a row for each room that says from where on the destination has missed something; what that is, is
//! read from the rooms' timelines once it answers again. So nothing that is due grows with the time that a server is away.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use super::catch_up::{self, Missed};
use super::edus::{self, Ephemeral};
use super::outgoing::{Outgoing, RemoteError};
use super::remote_server::{self, Backoff};
use super::transaction::Contents;
use crate::canonical_json::Value;
use crate::flow::Step;
use crate::identifiers::ServerName;
use crate::limits::{
    FIRST_FEDERATION_BACKOFF, LEAST_RETRY_AFTER, LONG_OUTAGE, MAX_DUE, MAX_FEDERATION_BACKOFF, MAX_TRANSACTION_SIZE,
    QUEUED_EDUS_AT_ONCE, STORAGE_RETRY,
};
use crate::room::receipts;
use crate::room::{EventIndex, Room, StoredEvent};
use crate::store::tables::{Position, RoomNum, Table, tags};
use crate::store::{Order, Read, StorageError};
use crate::time::Timestamp;

/// What is done about a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is due.
    Idle,
    /// Something is due, and a flow that sends it is about to start.
    Ready,
    /// A flow sends.
    Sending,
    /// It did not answer. It is tried again at this time, or when it shows that it is there.
    BackingOff { until: Timestamp },
}

/// What of the log is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backlog {
    /// These, in the order of the log. At most [`MAX_DUE`].
    Queue(VecDeque<Due>),
    /// What the rows of missed rooms say ([`catch_up`]).
    CatchingUp,
}

/// Something that a destination is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub position: Position,
    pub room: RoomNum,
    /// The event; otherwise it is a receipt.
    pub event: Option<EventIndex>,
    /// It puts the destination out of the room.
    pub is_last: bool,
}

/// What is stored of a destination that was ever sent anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything up to here is delivered, or told by the rows of missed rooms.
    pub delivered: Position,
    pub catching_up: bool,
    /// Since when nothing has been delivered although something was due.
    down_since: Option<Timestamp>,
    /// Until when a long absence lasted: what was missed up to here need not be sent in full.
    pub absent_until: Option<Position>,
    /// It answers, and refuses.
    refused: Backoff,
}

const CURSORS: Table<ServerName, Cursor> = Table::new(tags::DESTINATION);

/// A destination for which something is due.
#[derive(Debug)]
pub struct Destination {
    name: ServerName,
    pub phase: Phase,
    pub backlog: Backlog,
    pub cursor: Cursor,
    /// EDUs may be stored for it.
    pub has_queued_edus: bool,
    pub ephemeral: Ephemeral,
    in_flight: Option<InFlight>,
    /// Where the last look at the missed rooms ended, so that each has its turn.
    resume_after: Option<RoomNum>,
}

/// What is under way.
#[derive(Debug, Default)]
struct InFlight {
    started: Timestamp,
    queue: Vec<Due>,
    missed: Vec<Missed>,
    queued_edus: Vec<u64>,
}

/// What comes next for a destination.
#[derive(Debug)]
pub enum Next {
    Send(Outgoing),
    /// Nothing was found so far, and there is more to look through.
    LookOn,
    Nothing,
}

/// Every destination that has missed something.
pub(super) fn catching_up(read: &(impl Read + ?Sized)) -> Result<Vec<ServerName>, StorageError> {
    let mut found = Vec::new();
    CURSORS.scan::<StorageError>(read, (), Order::Ascending, |name, cursor| {
        if cursor.catching_up {
            found.push(name);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

impl Destination {
    /// As it was stored.
    pub fn load(read: &(impl Read + ?Sized), name: &ServerName, now: Timestamp) -> Result<Destination, StorageError> {
        let cursor = CURSORS.get(read, name)?.unwrap_or_default();
        let (backlog, until) = if cursor.catching_up {
            let reaching = remote_server::get(read, name)?.reaching;
            (Backlog::CatchingUp, reaching.waits(now).max(cursor.refused.waits(now)))
        } else {
            (Backlog::Queue(VecDeque::new()), None)
        };
        Ok(Destination {
            name: name.clone(),
            phase: until.map_or(Phase::Idle, |until| Phase::BackingOff { until }),
            backlog,
            cursor,
            has_queued_edus: false,
            ephemeral: Ephemeral::default(),
            in_flight: None,
            resume_after: None,
        })
    }

    /// Whether there is anything to send, or to look for.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let backlog = match &self.backlog {
            Backlog::Queue(queue) => !queue.is_empty(),
            Backlog::CatchingUp => true,
        };
        backlog || self.has_queued_edus || !self.ephemeral.is_empty()
    }

    /// How many events and receipts are in memory for it: in the queue, and under way.
    #[must_use]
    pub fn queued(&self) -> usize {
        let queue = match &self.backlog {
            Backlog::Queue(queue) => queue.len(),
            Backlog::CatchingUp => 0,
        };
        queue + self.in_flight.as_ref().map_or(0, |in_flight| in_flight.queue.len() + in_flight.queued_edus.len())
    }

    /// The first position that is only known in memory to be due.
    #[must_use]
    pub fn first_in_memory(&self) -> Option<Position> {
        let in_flight = self.in_flight.as_ref().and_then(|in_flight| in_flight.queue.first());
        let queue = match &self.backlog {
            Backlog::Queue(queue) => queue.front(),
            Backlog::CatchingUp => None,
        };
        in_flight.or(queue).map(|due| due.position)
    }

    /// The log has something for it.
    pub fn add(&mut self, step: &mut Step<'_>, due: Due) -> Result<(), StorageError> {
        if let Backlog::Queue(queue) = &mut self.backlog {
            // After a restart the log is looked through from before what was delivered.
            if due.position <= self.cursor.delivered {
                return Ok(());
            }
            // Where the log could not be read to its end, it is looked through again from where that began.
            let known = self.in_flight.iter().flat_map(|in_flight| &in_flight.queue).chain(&*queue).rev();
            let mut not_before = known.take_while(|known| known.position >= due.position);
            if not_before.any(|known| known.position > due.position || *known == due) {
                return Ok(());
            }
            if queue.len() < MAX_DUE {
                queue.push_back(due);
                return Ok(());
            }
            self.fall_behind(step)?;
        }
        catch_up::miss(step, &self.name, &due)
    }

    /// After a restart, from which on the log is looked through from `first` on: the destination has been put out of a room. What
    /// came before that, when it was still in the room, is due too.
    pub fn add_last(&mut self, step: &mut Step<'_>, due: Due, first: Position) -> Result<(), StorageError> {
        if due.position <= self.cursor.delivered && self.backlog != Backlog::CatchingUp {
            return Ok(());
        }
        self.fall_behind(step)?;
        let first = first.max(Position(self.cursor.delivered.0 + 1)).min(due.position);
        catch_up::miss(step, &self.name, &Due { position: first, is_last: false, ..due })?;
        catch_up::miss(step, &self.name, &due)
    }

    /// Turns the queue into rows, and what is under way too: if that arrives, it is sent twice, which does no harm.
    fn fall_behind(&mut self, step: &mut Step<'_>) -> Result<(), StorageError> {
        if let Backlog::Queue(queue) = &self.backlog {
            let in_flight = self.in_flight.iter().flat_map(|in_flight| &in_flight.queue);
            for due in in_flight.chain(queue) {
                catch_up::miss(step, &self.name, due)?;
            }
            self.backlog = Backlog::CatchingUp;
            self.cursor.catching_up = true;
            CURSORS.put(step, &self.name, &self.cursor);
        }
        Ok(())
    }

    /// What to send next. `routed` is how far the log has been looked through for what is due; `serial` and `boot` make
    /// transactions unique that hold what is told of the moment only.
    pub fn next(
        &mut self,
        step: &mut Step<'_>,
        routed: Position,
        (boot, serial): (u32, u64),
    ) -> Result<Next, StorageError> {
        let mut contents = Contents::default();
        let mut in_flight = InFlight { started: step.now, ..InFlight::default() };
        if self.has_queued_edus {
            let most = (QUEUED_EDUS_AT_ONCE, MAX_TRANSACTION_SIZE / 2);
            for (number, edu) in edus::queued(step, &self.name, most)? {
                in_flight.queued_edus.push(number);
                contents.add_edu(edu);
            }
            self.has_queued_edus = !in_flight.queued_edus.is_empty();
        }
        match &self.backlog {
            Backlog::Queue(queue) => {
                for due in queue {
                    if !contents.has_room_for_pdu() || contents.room_for_edus() == 0 {
                        break;
                    }
                    add_due(step, &mut contents, *due)?;
                    in_flight.queue.push(*due);
                }
            }
            Backlog::CatchingUp => {
                if self.cursor.down_since.is_some_and(|since| step.now.since(since) >= LONG_OUTAGE) {
                    self.cursor.absent_until = Some(routed);
                }
                let absent_until = self.cursor.absent_until;
                let look = catch_up::Look { destination: &self.name, routed, absent_until };
                let found = look.through(step, &mut contents, &mut self.resume_after)?;
                let Some(missed) = found else {
                    self.caught_up(step, routed);
                    return self.finish(step, contents, in_flight, (boot, serial));
                };
                if contents.is_empty() {
                    missed.iter().try_for_each(|missed| missed.advance(step, &self.name))?;
                    return Ok(Next::LookOn);
                }
                in_flight.missed = missed;
            }
        }
        self.finish(step, contents, in_flight, (boot, serial))
    }

    fn finish(
        &mut self,
        step: &mut Step<'_>,
        mut contents: Contents,
        in_flight: InFlight,
        salt: (u32, u64),
    ) -> Result<Next, StorageError> {
        if let Backlog::Queue(queue) = &mut self.backlog {
            queue.drain(..in_flight.queue.len());
        }
        let said_now = self.ephemeral.take(contents.room_for_edus());
        let salt = (!said_now.is_empty()).then_some(salt);
        said_now.into_iter().for_each(|edu| contents.add_edu(edu));
        if contents.is_empty() {
            // All that was due has been overtaken, such as receipts that moved on.
            return Ok(if self.is_due() { Next::LookOn } else { Next::Nothing });
        }
        self.in_flight = Some(in_flight);
        Ok(Next::Send(contents.request(&step.config.server_name, step.now, salt)))
    }

    fn caught_up(&mut self, step: &mut Step<'_>, routed: Position) {
        self.backlog = Backlog::Queue(VecDeque::new());
        self.cursor = Cursor {
            delivered: routed,
            catching_up: false,
            absent_until: None,
            down_since: self.cursor.down_since,
            refused: self.cursor.refused,
        };
        CURSORS.put(step, &self.name, &self.cursor);
    }

    /// The other server has answered, or has not. `true` if it may be sent the next transaction.
    pub fn answered(
        &mut self,
        step: &mut Step<'_>,
        routed: Position,
        answer: &Result<Value, RemoteError>,
    ) -> Result<bool, StorageError> {
        let until = match answer {
            // Whatever it thinks of single events, it has them.
            Ok(_) => None,
            Err(RemoteError::Disabled) => Some(step.now + MAX_FEDERATION_BACKOFF),
            Err(RemoteError::BackingOff { until }) => Some(*until),
            Err(RemoteError::Unreachable(_)) => remote_server::get(step, &self.name)?.reaching.waits(step.now),
            Err(RemoteError::Internal(_)) => Some(step.now + STORAGE_RETRY),
            // It has too much to do, and says until when.
            Err(RemoteError::Refused { status: 429, body, .. }) if retry_after(body).is_some() => {
                retry_after(body).map(|pause| step.now + pause)
            }
            Err(RemoteError::Refused { .. } | RemoteError::BadAnswer(_)) => {
                let started = self.in_flight.as_ref().map_or(step.now, |in_flight| in_flight.started);
                let pauses = (FIRST_FEDERATION_BACKOFF, MAX_FEDERATION_BACKOFF);
                self.cursor.refused.failed((started, step.now), pauses, step.random);
                self.cursor.refused.waits(step.now)
            }
        };
        if answer.is_ok() {
            self.delivered(step, routed)?;
            return Ok(true);
        }
        self.failed(step)?;
        self.phase = Phase::BackingOff { until: until.unwrap_or(step.now + FIRST_FEDERATION_BACKOFF) };
        Ok(false)
    }

    fn delivered(&mut self, step: &mut Step<'_>, routed: Position) -> Result<(), StorageError> {
        let Some(in_flight) = self.in_flight.take() else { return Ok(()) };
        in_flight.missed.iter().try_for_each(|missed| missed.advance(step, &self.name))?;
        edus::forget(step, &self.name, &in_flight.queued_edus);
        self.cursor.delivered = self.first_in_memory().map_or(routed, |first| Position(first.0 - 1));
        self.cursor.down_since = None;
        self.cursor.refused = Backoff::default();
        CURSORS.put(step, &self.name, &self.cursor);
        Ok(())
    }

    fn failed(&mut self, step: &mut Step<'_>) -> Result<(), StorageError> {
        self.take_back();
        self.fall_behind(step)?;
        self.ephemeral = Ephemeral::default();
        self.cursor.down_since.get_or_insert(step.now);
        CURSORS.put(step, &self.name, &self.cursor);
        Ok(())
    }

    /// What was under way is due again.
    fn take_back(&mut self) {
        let Some(in_flight) = self.in_flight.take() else { return };
        self.has_queued_edus |= !in_flight.queued_edus.is_empty();
        if let Backlog::Queue(queue) = &mut self.backlog {
            in_flight.queue.into_iter().rev().for_each(|due| queue.push_front(due));
        }
    }

    /// The storage could not be read. Nothing is lost: what was under way is due again.
    pub fn stumbled(&mut self, now: Timestamp) {
        self.take_back();
        self.phase = Phase::BackingOff { until: now + STORAGE_RETRY };
    }
}

/// `retry_after_ms`, if it is no longer than the longest pause; at least [`LEAST_RETRY_AFTER`].
fn retry_after(body: &Value) -> Option<Duration> {
    let millis = u64::try_from(body.get("retry_after_ms")?.as_integer()?).ok()?;
    let pause = Duration::from_millis(millis).max(LEAST_RETRY_AFTER);
    (pause <= MAX_FEDERATION_BACKOFF).then_some(pause)
}

/// Adds the event, or the receipt if nothing has taken its place.
fn add_due(step: &Step<'_>, contents: &mut Contents, due: Due) -> Result<(), StorageError> {
    match due.event {
        Some(index) => contents.add_pdu(&StoredEvent::expect(step, due.room, index)?),
        None => {
            if let Some(receipt) = receipts::at(step, due.room, due.position)? {
                contents.add_receipt(Room::expect(step, due.room)?.room_id(), &receipt);
            }
            Ok(())
        }
    }
}
