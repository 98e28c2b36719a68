//! The timeline of a room in a sync: its newest events, as many as the filter allows.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::min;
use core::ops::ControlFlow;

use super::super::event_format::{self, Shown};
use super::super::json_writer::Members;
use super::super::token::TimelineToken;
use super::answer::Inputs;
use super::request::StateSection;
use crate::limits::{DEFAULT_TIMELINE, MAX_TIMELINE, MAX_TIMELINE_SCAN};
use crate::room::timeline::{self, Place};
use crate::room::{EventIndex, Room, StoredEvent};
use crate::store::StorageError;
use crate::store::state_map::StateId;

/// The events of a room that a sync shows.
#[derive(Debug)]
pub(super) struct Window {
    /// Oldest first.
    pub events: Vec<StoredEvent>,
    /// There are more before them that the client has not seen.
    pub limited: bool,
    pub prev_batch: TimelineToken,
    /// The state that the client knew, where looking for events has come across it.
    pub base: Option<StateId>,
}

/// Which part of a timeline to load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// What the client knows already.
    pub known: Option<Place>,
    pub until: Place,
    /// Shown whatever the room's visibility: the user's own leaving.
    pub own: Option<EventIndex>,
}

impl Window {
    /// Nothing happened up to `until`, where the room's state is `state`.
    pub fn nothing(until: Place, state: StateId) -> Window {
        Window { events: Vec::new(), limited: false, prev_batch: TimelineToken(until.0), base: Some(state) }
    }

    /// Loads the newest events of `span` that the filter passes and the user may see.
    pub fn load(
        sync: &Inputs<'_>,
        room: &Room,
        shown: &mut Shown<'_>,
        span: Span,
        end: StateId,
    ) -> Result<Window, StorageError> {
        let read = sync.context.read;
        let filter = &sync.request.filter.room.timeline;
        let mut window = Window { base: None, ..Window::nothing(span.until, end) };
        if !filter.rooms.selects(room.room_id()) {
            return Ok(window);
        }
        let limit = min(filter.events.limit.unwrap_or(DEFAULT_TIMELINE), MAX_TIMELINE);
        let passes_all = filter.passes_all();
        let mut scanned = 0;
        let mut oldest = end;
        let mut hidden_state = BTreeSet::new();
        // Branches of the room's history have met since: what the timeline says last need not be what is.
        let mut forked = false;
        let mut shown_state = BTreeSet::new();
        let from = span.known.unwrap_or(Place::START);
        timeline::backward::<StorageError>(read, room, Some(span.until), from, limit + 1, |order, event| {
            // An event too many was looked at before it is known whether it would be shown: a stretch that is hidden from
            // the user must look neither like a gap nor, if it is long, like the end.
            scanned += 1;
            if scanned > MAX_TIMELINE_SCAN {
                window.limited = true;
                return Ok(ControlFlow::Break(()));
            }
            oldest = event.current_before();
            forked |= event.header.current.is_some();
            let wanted = (passes_all || filter.passes(&(&event).into()))
                && !sync.is_ignored(&event)
                && (span.own == Some(event.index) || shown.viewer.sees(read, room, &event)?);
            // State that is left out is told as `state`, which comes before the timeline: what it replaced, or what lost against
            // it, must not follow.
            if let Some(state_key) = &event.header.state_key
                && sync.request.state == StateSection::Before
            {
                let key = (event.header.kind.clone(), state_key.clone());
                let is_newest = wanted && !shown_state.contains(&key);
                let overruled =
                    forked && is_newest && room.state_index(read, end, &key.0, &key.1)? != Some(event.index);
                if wanted && (overruled || hidden_state.contains(&key)) {
                    window.limited = true;
                    return Ok(ControlFlow::Break(()));
                }
                if wanted { &mut shown_state } else { &mut hidden_state }.insert(key);
            }
            if wanted && window.events.len() == limit {
                window.limited = true;
                return Ok(ControlFlow::Break(()));
            }
            if wanted || window.events.len() < limit {
                window.prev_batch = TimelineToken::before(order);
            }
            let after_gap = event.header.after_gap;
            if wanted {
                window.events.push(event);
            }
            if after_gap {
                // What comes before it here is not what came before it in the room.
                window.limited = true;
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if !window.limited {
            window.base = Some(oldest);
        }
        window.events.reverse();
        Ok(window)
    }

    /// The state at the start of the timeline, of which `end` is the state at the end.
    pub fn start(&self, end: StateId) -> StateId {
        self.events.first().map_or(end, StoredEvent::current_before)
    }

    /// Appends the `timeline` of a room.
    pub fn write(
        &self,
        sync: &Inputs<'_>,
        room: &Room,
        shown: &mut Shown<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        let mut members = Members::begin(out);
        event_format::write_all(&sync.context, room, shown, &self.events, members.name("events"))?;
        let limited: &[u8] = if self.limited { b"true" } else { b"false" };
        members.name("limited").extend_from_slice(limited);
        members.string("prev_batch", &alloc::format!("{}", self.prev_batch));
        members.end();
        Ok(())
    }
}
