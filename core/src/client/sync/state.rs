//! The state that goes with a timeline: what the client must know of the room at the timeline's start (`state`) or end
//! (`state_after`) and does not know yet.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::answer::Inputs;
use super::request::StateSection;
use super::timeline::Window;
use crate::room::{EventIndex, Room, StoredEvent};
use crate::store::StorageError;
use crate::store::state_map::StateId;

/// The state events of a room that a sync shows, by their numbers: in the order in which they became part of the room.
pub(super) type StateEvents = BTreeMap<EventIndex, StoredEvent>;

/// Where the state of a sync begins and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct StateSpan {
    /// The state that the client knows; `None` if it is to be told all of it.
    pub known: Option<StateId>,
    /// The state at the end of the timeline.
    pub end: StateId,
}

impl StateSpan {
    /// The state that the client is to be brought to before (`state`) or with (`state_after`) the timeline.
    pub fn target(self, sync: &Inputs<'_>, window: &Window) -> StateId {
        match sync.request.state {
            StateSection::Before => window.start(self.end),
            StateSection::After | StateSection::AfterUnstable => self.end,
        }
    }
}

/// Whether a key that the client knows is no longer in the state: state resolution can take one away without another in its place.
/// No client is told of that, but what is counted changes with it.
pub(super) fn has_lost_keys(sync: &Inputs<'_>, room: &Room, span: StateSpan) -> Result<bool, StorageError> {
    let mut lost = false;
    if let Some(known) = span.known.filter(|known| *known != span.end) {
        room.state_difference(sync.context.read, known, span.end, &mut |_, now| lost |= now.is_none())?;
    }
    Ok(lost)
}

/// What the client is missing. With lazy loading and nothing known, memberships are left to
/// [`super::lazy_members::add`].
pub(super) fn select(
    sync: &Inputs<'_>,
    room: &Room,
    window: &Window,
    span: StateSpan,
) -> Result<StateEvents, StorageError> {
    let read = sync.context.read;
    let filter = &sync.request.filter.room.state;
    if !filter.rooms.selects(room.room_id()) {
        return Ok(StateEvents::new());
    }
    let target = span.target(sync, window);
    let mut missing = BTreeSet::new();
    let mut take = |index| {
        missing.insert(index);
        ControlFlow::Continue(())
    };
    match span.known {
        Some(known) if known == target => {}
        Some(known) => room.state_difference(read, known, target, &mut |_, now| missing.extend(now))?,
        None if filter.lazy_load_members => room.walk_state_without_members(read, target, &mut take)?,
        None => room.walk_state(read, target, None, &mut take)?,
    }
    let missing: Vec<EventIndex> = missing.into_iter().collect();
    let events = StoredEvent::expect_all(read, room.num, &missing)?;
    let mut events: StateEvents = events.into_iter().map(|event| (event.index, event)).collect();
    if target != span.end {
        add_what_the_timeline_leaves_out(sync, room, window, (target, span.end), &mut events)?;
    }
    Ok(events)
}

/// State that changed after the timeline's start is told by the timeline itself. Where a filter keeps such an event out of
/// it, the event is told here: otherwise the client would not learn of it at all.
fn add_what_the_timeline_leaves_out(
    sync: &Inputs<'_>,
    room: &Room,
    window: &Window,
    (start, end): (StateId, StateId),
    events: &mut StateEvents,
) -> Result<(), StorageError> {
    let read = sync.context.read;
    let shown = |index: EventIndex| window.events.iter().any(|event| event.index == index);
    let mut left_out = Vec::new();
    room.state_difference(read, start, end, &mut |was, is| match (was, is) {
        (was, Some(is)) if !shown(is) => left_out.push((was, is)),
        // Nothing will say that state resolution took this away: so it is not told either.
        (Some(was), None) => drop(events.remove(&was)),
        _ => {}
    })?;
    for (was, is) in left_out {
        let event = StoredEvent::expect(read, room.num, is)?;
        let same_key = |other: &StoredEvent| {
            other.header.kind == event.header.kind && other.header.state_key == event.header.state_key
        };
        if window.events.iter().any(same_key) {
            continue;
        }
        if let Some(was) = was {
            events.remove(&was);
        }
        events.insert(is, event);
    }
    Ok(())
}

/// Keeps what the filter passes.
pub(super) fn filter(sync: &Inputs<'_>, events: &mut StateEvents) {
    let filter = &sync.request.filter.room.state;
    if !filter.passes_all() {
        events.retain(|_, event| filter.passes(&(&*event).into()));
    }
}

#[must_use]
pub(super) fn is_membership(event: &StoredEvent) -> bool {
    event.header.kind == "m.room.member" && event.is_state()
}
