//! Lazy-loading of members (Client-Server API, "Lazy-loading room members"): with the events of a timeline go the
//! memberships of those who sent them, unless the client has them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::answer::Inputs;
use super::state::{StateEvents, StateSpan, is_membership};
use super::timeline::Window;
use crate::identifiers::UserId;
use crate::limits::MAX_SENT_MEMBERS;
use crate::room::{Room, StoredEvent};
use crate::store::StorageError;
use crate::store::tables::{Position, RoomNum};

/// The memberships that one device was sent, each with the position of the answer that had it: a client that syncs from
/// that position or later has received it, one that syncs from before has not. What changes of them later is always sent, so
/// they need not be sent again.
///
/// Bounded by [`MAX_SENT_MEMBERS`]; when it is full everything is forgotten, and sent once more.
#[derive(Debug, Default)]
pub struct SentMembers(BTreeMap<(RoomNum, UserId), Position>);

impl SentMembers {
    #[must_use]
    fn has(&self, room: RoomNum, user_id: &UserId, since: Option<Position>) -> bool {
        let Some(since) = since else { return false };
        self.0.get(&(room, user_id.clone())).is_some_and(|sent| *sent <= since)
    }

    /// An answer up to `until` went out with these.
    pub fn record(&mut self, sent: Vec<(RoomNum, UserId)>, until: Position) {
        if self.0.len() + sent.len() > MAX_SENT_MEMBERS {
            self.0.clear();
        }
        for key in sent.into_iter().take(MAX_SENT_MEMBERS) {
            self.0.entry(key).or_insert(until);
        }
    }
}

/// Adds the memberships that the client needs: of the senders, of the heroes, and its own when it gets to know the room.
pub(super) fn add(
    sync: &Inputs<'_>,
    room: &Room,
    window: &Window,
    span: StateSpan,
    heroes: &[UserId],
    events: &mut StateEvents,
) -> Result<(), StorageError> {
    let filter = &sync.request.filter.room.state;
    if !filter.lazy_load_members || !filter.rooms.selects(room.room_id()) {
        return Ok(());
    }
    let mut wanted: BTreeSet<&UserId> = window.events.iter().map(|event| &event.header.sender).collect();
    wanted.extend(heroes);
    if span.known.is_none() {
        wanted.insert(&sync.requester.user_id);
    }
    let told: BTreeSet<&str> = events
        .values()
        .filter(|event| is_membership(event))
        .filter_map(|event| event.header.state_key.as_deref())
        .collect();
    wanted.retain(|user_id| !told.contains(user_id.as_str()));
    let target = span.target(sync, window);
    for user_id in wanted {
        // A room that the client has to be told from the start has no memberships that it already knows.
        let known = span.known.is_some() && sync.sent_before.has(room.num, user_id, sync.since);
        if known && !filter.include_redundant_members {
            continue;
        }
        let index_in = |state| room.state_index(sync.context.read, state, "m.room.member", user_id);
        // Nothing will say that state resolution has taken a membership away since: so it is not told either.
        if let Some(index) = index_in(target)?
            && (target == span.end || index_in(span.end)?.is_some())
        {
            events.insert(index, StoredEvent::expect(sync.context.read, room.num, index)?);
        }
    }
    Ok(())
}

/// The memberships that a client knows from an answer, for [`SentMembers::record`].
pub(super) fn told<'e>(
    room: RoomNum,
    events: impl Iterator<Item = &'e StoredEvent>,
) -> impl Iterator<Item = (RoomNum, UserId)> {
    events
        .filter(|event| is_membership(event))
        .filter_map(|event| UserId::parse(event.header.state_key.as_deref()?).ok())
        .map(move |user_id| (room, user_id))
}
