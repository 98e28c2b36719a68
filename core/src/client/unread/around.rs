//! The room as push rules ask for it, and what became of their questions.

use alloc::string::{String, ToString};

use super::super::push_rules::condition::{MemberCount, Surroundings};
use crate::auth_rules::PowerLevels;
use crate::canonical_json;
use crate::canonical_json::Value;
use crate::identifiers::UserId;
use crate::room::tables::UserRoom;
use crate::room::{EventIndex, Room, StoredEvent};
use crate::store::{Read, StorageError};

/// What verdicts of the past have relied on. While all of it is as it was, they would be the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relied {
    /// The numbers of members with which every question for them has the same answer.
    members: MemberCount,
    /// The power levels that somebody was measured by: `Some(None)` if the room had none.
    levels: Option<Option<EventIndex>>,
    /// The member event of the user that says what they are called.
    name: Option<EventIndex>,
}

impl Relied {
    /// What nothing has been asked for.
    pub const NOTHING: Relied = Relied { members: MemberCount { least: 0, most: u32::MAX }, levels: None, name: None };

    /// Whether all of it is as it was.
    pub fn holds(&self, read: &(impl Read + ?Sized), room: &Room, row: &UserRoom) -> Result<bool, StorageError> {
        Ok(self.members.holds(room.head.joined)
            && self.name.is_none_or(|name| name == row.event)
            && match self.levels {
                Some(levels) => levels == levels_in_force(read, room)?,
                None => true,
            })
    }

    /// Whether anything of the room's state has been asked for.
    pub fn on_state(&self) -> bool {
        *self != Relied::NOTHING
    }
}

fn levels_in_force(read: &(impl Read + ?Sized), room: &Room) -> Result<Option<EventIndex>, StorageError> {
    room.state_index(read, room.head.state, "m.room.power_levels", "")
}

/// A room as it is now, around the events that are judged.
pub(super) struct Around<'a, R: ?Sized> {
    pub read: &'a R,
    pub room: &'a Room,
    pub row: &'a UserRoom,
    pub relied: &'a mut Relied,
    levels: Option<PowerLevels>,
}

impl<'a, R: Read + ?Sized> Around<'a, R> {
    pub fn new(read: &'a R, room: &'a Room, row: &'a UserRoom, relied: &'a mut Relied) -> Around<'a, R> {
        Around { read, room, row, relied, levels: None }
    }
}

impl<R: Read + ?Sized> Surroundings for Around<'_, R> {
    fn member_count(&mut self, condition: MemberCount) -> bool {
        let members = self.room.head.joined;
        let known = &mut self.relied.members;
        if condition.holds(members) {
            *known = MemberCount { least: known.least.max(condition.least), most: known.most.min(condition.most) };
            return true;
        }
        if members < condition.least {
            known.most = known.most.min(condition.least - 1);
        } else {
            known.least = known.least.max(condition.most + 1);
        }
        false
    }

    fn display_name(&mut self) -> Result<Option<String>, StorageError> {
        self.relied.name = Some(self.row.event);
        let event = StoredEvent::expect(self.read, self.room.num, self.row.event)?;
        let content = canonical_json::parse(event.content_bytes()).ok();
        Ok(content
            .as_ref()
            .and_then(|content| content.get("displayname"))
            .and_then(Value::as_str)
            .map(ToString::to_string))
    }

    fn may_notify(&mut self, sender: &UserId, key: &str) -> Result<bool, StorageError> {
        if self.relied.levels.is_none() {
            self.relied.levels = Some(levels_in_force(self.read, self.room)?);
        }
        let levels = match &mut self.levels {
            Some(levels) => levels,
            none => none.insert(self.room.power_levels(self.read)?),
        };
        Ok(levels.user(sender) >= levels.notification(key))
    }
}
