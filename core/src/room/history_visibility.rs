//! Who may see an event (Client-Server API, "Room History Visibility"), judged at the event.

use super::state::Room;
use super::stored_event::StoredEvent;
use super::tables::{USER_ROOMS, UserRoom};
use crate::canonical_json::{self, Object, Value};
use crate::event::content::{HistoryVisibility, Membership};
use crate::identifiers::UserId;
use crate::store::state_map::StateId;
use crate::store::{Read, StorageError};

/// The visibility in the state `at`.
pub fn at(read: &(impl Read + ?Sized), room: &Room, at: StateId) -> Result<HistoryVisibility, StorageError> {
    let event = room.state_event(read, at, "m.room.history_visibility", "")?;
    Ok(HistoryVisibility::of(event.as_ref().and_then(content).as_ref()))
}

fn content(event: &StoredEvent) -> Option<Object> {
    match canonical_json::parse(event.content_bytes()) {
        Ok(Value::Object(content)) => Some(content),
        _ => None,
    }
}

/// The `membership` that a member event sets.
#[must_use]
pub fn membership_in(event: &StoredEvent) -> Option<Membership> {
    Membership::of(&content(event)?)
}

/// One user looking at one room. Remembers what it found for the last state, as neighbours in a timeline mostly share one.
#[derive(Debug)]
pub struct Viewer<'a> {
    user_id: &'a UserId,
    user_room: Option<UserRoom>,
    last: Option<(StateId, HistoryVisibility, Option<Membership>)>,
}

impl<'a> Viewer<'a> {
    pub fn new(read: &(impl Read + ?Sized), room: &Room, user_id: &'a UserId) -> Result<Viewer<'a>, StorageError> {
        Ok(Viewer::with_row(user_id, USER_ROOMS.get(read, (user_id, room.num))?))
    }

    /// [`Viewer::new`] with the user's row at hand.
    #[must_use]
    pub fn with_row(user_id: &'a UserId, user_room: Option<UserRoom>) -> Viewer<'a> {
        Viewer { user_id, user_room, last: None }
    }

    /// The user's membership now; `None` if they never had one.
    #[must_use]
    pub fn user_room(&self) -> Option<&UserRoom> {
        self.user_room.as_ref()
    }

    /// Whether the user came before `event` or with it, and is still there: then nothing needs to be looked up. An event of
    /// another branch may have come later and yet know nothing of the user.
    fn joined_throughout(&self, event: &StoredEvent) -> bool {
        self.user_room.as_ref().is_some_and(|row| {
            row.membership == Membership::Join
                && event.header.current.is_none()
                && row.joined_at.is_some_and(|joined| joined.order() <= event.header.order)
        })
    }

    /// Whether `event` ends a membership of the user, or an invite or ban of theirs. `/sync` tells them so, whatever the room's
    /// history visibility: without it they would not see the room go. So other ways of reading show it too.
    fn is_put_out_by(&self, event: &StoredEvent) -> bool {
        event.header.kind == "m.room.member"
            && event.header.state_key.as_deref() == Some(self.user_id.as_str())
            && matches!(membership_in(event), Some(Membership::Leave | Membership::Ban))
    }

    fn before(
        &mut self,
        read: &(impl Read + ?Sized),
        room: &Room,
        at: StateId,
    ) -> Result<(HistoryVisibility, Option<Membership>), StorageError> {
        if let Some((state, visibility, membership)) = self.last
            && state == at
        {
            return Ok((visibility, membership));
        }
        let visibility = self::at(read, room, at)?;
        let member = room.state_event(read, at, "m.room.member", self.user_id)?;
        let membership = member.and_then(|event| membership_in(&event));
        self.last = Some((at, visibility, membership));
        Ok((visibility, membership))
    }

    /// Whether the user may see `event`.
    pub fn sees(
        &mut self,
        read: &(impl Read + ?Sized),
        room: &Room,
        event: &StoredEvent,
    ) -> Result<bool, StorageError> {
        // Outliers have no place to be judged at, and what was not accepted is for nobody. Of states both may be part.
        if !event.is_in_timeline() {
            return Ok(false);
        }
        if self.joined_throughout(event) || self.is_put_out_by(event) {
            return Ok(true);
        }
        let (visibility, membership) = self.before(read, room, event.header.state_before)?;
        // Two kinds of event are judged by the state after them too.
        let (after_visibility, after_membership) = match event.header.state_key.as_deref() {
            Some("") if event.header.kind == "m.room.history_visibility" => {
                (HistoryVisibility::of(content(event).as_ref()), membership)
            }
            Some(key) if event.header.kind == "m.room.member" && key == self.user_id.as_str() => {
                (visibility, membership_in(event))
            }
            _ => (visibility, membership),
        };
        // After the event, or before it on another branch, and so after it too.
        let joined_later = self.user_room.as_ref().is_some_and(|row| {
            let still_there = row.membership == Membership::Join || row.position.order() > event.header.order;
            row.joined_at.is_some_and(|joined| still_there || joined.order() > event.header.order)
        });
        let allowed = |visibility: HistoryVisibility, membership: Option<Membership>| {
            visibility == HistoryVisibility::WorldReadable
                || membership == Some(Membership::Join)
                || (visibility == HistoryVisibility::Shared && joined_later)
                || (membership == Some(Membership::Invite) && visibility >= HistoryVisibility::Invited)
        };
        Ok(allowed(visibility, membership) || allowed(after_visibility, after_membership))
    }

    /// Whether the user may see the state event that `event` took the place of. One that is not in the timeline was part of the
    /// state that members saw.
    pub fn sees_replaced(
        &mut self,
        read: &(impl Read + ?Sized),
        room: &Room,
        event: &StoredEvent,
        replaced: &StoredEvent,
    ) -> Result<bool, StorageError> {
        if replaced.is_in_timeline() {
            return self.sees(read, room, replaced);
        }
        Ok(self.before(read, room, event.header.state_before)?.1 == Some(Membership::Join))
    }

    /// The user's membership at `event`, including any change by the event itself: the `membership` of `unsigned`.
    pub fn membership_at(
        &mut self,
        read: &(impl Read + ?Sized),
        room: &Room,
        event: &StoredEvent,
    ) -> Result<Membership, StorageError> {
        if self.joined_throughout(event) {
            return Ok(Membership::Join);
        }
        let own =
            event.header.kind == "m.room.member" && event.header.state_key.as_deref() == Some(self.user_id.as_str());
        let membership = if own { membership_in(event) } else { self.before(read, room, event.header.state_before)?.1 };
        Ok(membership.unwrap_or(Membership::Leave))
    }
}
