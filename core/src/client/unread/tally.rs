//! Counting what is unread: from a user's receipts on, event after event.

use alloc::collections::BTreeMap;
use core::ops::ControlFlow;

use super::super::push_rules::condition::Candidate;
use super::super::push_rules::judge::PushRule;
use super::around::{Around, Relied};
use super::read_marks::ReadMarks;
use super::{Counts, Reader, Unread};
use crate::canonical_json::{self, Object, Value};
use crate::identifiers::EventId;
use crate::room::history_visibility::Viewer;
use crate::room::relation::thread_of;
use crate::room::tables::UserRoom;
use crate::room::timeline::{self, Place};
use crate::room::{Room, StoredEvent};
use crate::store::log::{self, LogEntry};
use crate::store::tables::Position;
use crate::store::{Read, StorageError};

/// The most events that are read at once.
const AT_ONCE: usize = 128;

/// What one user has not read in one room, as far as it is counted.
///
/// What counts are the events of others that came live, to this server and since the user joined, that the user may see, that have
/// not been redacted, and that the user has not read, by a receipt or by sending something themselves. A membership of their own is
/// nothing that they send: the server repeats it when a profile changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    joined_at: Option<Position>,
    marks: ReadMarks,
    /// How far it is counted.
    counted: Place,
    /// The order of the last milestone that it came by. With the next one it gives up what is `older` than this one.
    milestone: Option<i64>,
    older: Part,
    newer: Part,
    /// The order of the newest event that may have changed the counts.
    changed_by: i64,
    relied: Relied,
}

/// The counts of a stretch of the timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    main: Counts,
    threads: BTreeMap<EventId, Counts>,
    any: bool,
}

impl Part {
    fn is_empty(&self) -> bool {
        self.main == Counts::default() && self.threads.is_empty()
    }

    fn thread(&mut self, thread: Option<&EventId>) -> &mut Counts {
        match thread {
            Some(root) => self.threads.entry(root.clone()).or_default(),
            None => &mut self.main,
        }
    }

    /// The user has read a thread. Returns whether there was something to read.
    fn forget(&mut self, thread: Option<&EventId>) -> bool {
        let counts = match thread {
            Some(root) => self.threads.remove(root).unwrap_or_default(),
            None => core::mem::take(&mut self.main),
        };
        counts != Counts::default()
    }
}

impl Tally {
    /// Nothing is counted yet.
    pub fn begin(
        read: &(impl Read + ?Sized),
        room: &Room,
        row: &UserRoom,
        reader: &Reader,
    ) -> Result<Tally, StorageError> {
        let marks = ReadMarks::of(read, room, &reader.user_id)?;
        let [_, before] = timeline::milestones(read, room)?;
        let joined = row.joined_at.map(Position::order);
        let start = marks.everything().max(joined).max(before.map(|before| before - 1));
        Ok(Tally {
            joined_at: row.joined_at,
            marks,
            counted: start.map_or(Place::START, Place),
            milestone: before,
            older: Part::default(),
            newer: Part::default(),
            changed_by: i64::MIN,
            relied: Relied::NOTHING,
        })
    }

    /// Whether counting on from here comes to what counting anew would. Receipts, redactions and changes of push rules are not looked
    /// for: whoever keeps a tally hears of them.
    pub fn is_good(&self, read: &(impl Read + ?Sized), room: &Room, row: &UserRoom) -> Result<bool, StorageError> {
        Ok(self.joined_at == row.joined_at
            && timeline::milestones(read, room)?.contains(&self.milestone)
            && self.relied.holds(read, room, row)?)
    }

    /// Counts on up to `until`, looking at no more than `budget` events, which it takes off that. Returns whether it came that far.
    pub fn count(
        &mut self,
        read: &(impl Read + ?Sized),
        (room, row): (&Room, &UserRoom),
        reader: &Reader,
        until: Place,
        budget: &mut usize,
    ) -> Result<bool, StorageError> {
        let [next, _] = timeline::milestones(read, room)?;
        let mut viewer = Viewer::with_row(&reader.user_id, Some(row.clone()));
        // A room has no more events than there are positions.
        let positions = usize::try_from(until.0.saturating_sub(self.counted.0)).unwrap_or_default();
        let at_once = positions.clamp(1, AT_ONCE.min(budget.saturating_add(1)));
        let mut done = true;
        timeline::forward::<StorageError>(read, room, self.counted, Some(until), at_once, |order, event| {
            if *budget == 0 {
                done = false;
                return Ok(ControlFlow::Break(()));
            }
            *budget -= 1;
            if next > self.milestone && Some(order) >= next {
                self.milestone = next;
                self.older = core::mem::take(&mut self.newer);
            }
            self.look_at(read, (room, row), reader, &mut viewer, &event)?;
            self.counted = Place(order);
            Ok(ControlFlow::Continue(()))
        })?;
        if done {
            self.counted = self.counted.max(until);
        }
        Ok(done)
    }

    fn look_at(
        &mut self,
        read: &(impl Read + ?Sized),
        (room, row): (&Room, &UserRoom),
        reader: &Reader,
        viewer: &mut Viewer<'_>,
        event: &StoredEvent,
    ) -> Result<(), StorageError> {
        let header = &event.header;
        // What it takes may have counted; and the room's state may be what has been asked for.
        let changes_state = event.is_state() || header.current.is_some();
        if header.kind == "m.room.redaction" || changes_state && self.relied.on_state() {
            self.changed_by = header.order;
        }
        let is_own = header.sender == reader.user_id;
        let nothing_to_read = self.older.is_empty() && self.newer.is_empty();
        if is_own && nothing_to_read || !is_live(read, room, event)? {
            return Ok(());
        }
        if is_own {
            let is_own_member =
                header.kind == "m.room.member" && header.state_key.as_deref() == Some(reader.user_id.as_str());
            if !is_own_member {
                let thread = thread_of(read, room, event, &content(event))?;
                let mut changed = self.older.forget(thread.as_ref());
                changed |= self.newer.forget(thread.as_ref());
                self.changed_by = if changed { header.order } else { self.changed_by };
            }
            return Ok(());
        }
        if !is_shown(read, room, reader, viewer, event)? {
            return Ok(());
        }
        let content = content(event);
        let thread = thread_of(read, room, event, &content)?;
        if self.marks.has_read(thread.as_deref(), header.order) {
            return Ok(());
        }
        self.newer.any = true;
        let candidate = Candidate::new(event, room.room_id(), &content, &reader.user_id);
        let mut around = Around::new(read, room, row, &mut self.relied);
        if let Some(rule) = reader.rules.judge(&candidate, &mut around)?
            && rule.notify
        {
            let counts = self.newer.thread(thread.as_ref());
            counts.notifications += 1;
            counts.highlights += u32::from(rule.highlight);
            self.changed_by = header.order;
        }
        Ok(())
    }

    /// What is unread, as far as it is counted.
    #[must_use]
    pub fn unread(&self) -> Unread {
        let mut threads = self.older.threads.clone();
        for (root, counts) in &self.newer.threads {
            let sum = threads.entry(root.clone()).or_default();
            *sum = sum.plus(*counts);
        }
        Unread {
            main: self.older.main.plus(self.newer.main),
            threads,
            any: self.older.any || self.newer.any,
            changed_by: self.changed_by,
            read_at: self.marks.moved_at,
        }
    }
}

/// What a user has not read in a room up to `until`, counted anew.
pub fn count(
    read: &(impl Read + ?Sized),
    room: (&Room, &UserRoom),
    reader: &Reader,
    until: Place,
) -> Result<Unread, StorageError> {
    let mut tally = Tally::begin(read, room.0, room.1, reader)?;
    let mut all = usize::MAX;
    tally.count(read, room, reader, until, &mut all)?;
    Ok(tally.unread())
}

/// The rule that an event matches, and its thread.
pub(super) struct Judged<'r> {
    pub rule: &'r PushRule,
    pub thread: Option<EventId>,
}

/// What the user's rules say of one event; `None` if it is none that could notify them.
pub(super) fn judge<'r>(
    read: &(impl Read + ?Sized),
    (room, row): (&Room, &UserRoom),
    reader: &'r Reader,
    viewer: &mut Viewer<'_>,
    event: &StoredEvent,
) -> Result<Option<Judged<'r>>, StorageError> {
    if event.header.sender == reader.user_id
        || !is_live(read, room, event)?
        || !is_shown(read, room, reader, viewer, event)?
    {
        return Ok(None);
    }
    let content = content(event);
    let candidate = Candidate::new(event, room.room_id(), &content, &reader.user_id);
    let mut relied = Relied::NOTHING;
    let rule = reader.rules.judge(&candidate, &mut Around::new(read, room, row, &mut relied))?;
    let thread = thread_of(read, room, event, &content)?;
    Ok(rule.map(|rule| Judged { rule, thread }))
}

/// Whether the user is shown an event of somebody else, with its content.
fn is_shown(
    read: &(impl Read + ?Sized),
    room: &Room,
    reader: &Reader,
    viewer: &mut Viewer<'_>,
    event: &StoredEvent,
) -> Result<bool, StorageError> {
    Ok(event.header.redacted_by.is_none()
        && !reader.ignored.contains(&event.header.sender)
        && viewer.sees(read, room, event)?)
}

fn content(event: &StoredEvent) -> Object {
    match canonical_json::parse(event.content_bytes()) {
        Ok(Value::Object(content)) => content,
        _ => Object::new(),
    }
}

/// Whether an event came when its place in the timeline was the end of it. What is fetched of history later is not news.
fn is_live(read: &(impl Read + ?Sized), room: &Room, event: &StoredEvent) -> Result<bool, StorageError> {
    let Ok(position) = u64::try_from(event.header.order) else { return Ok(false) };
    let entry = log::at(read, Position(position))?;
    Ok(entry == Some(LogEntry::Event { room: room.num, index: event.index.0 }))
}
