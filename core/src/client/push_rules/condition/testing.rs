//! An event and a room as tests write them.

use alloc::string::{String, ToString};

use super::{Candidate, MemberCount, Surroundings};
use crate::canonical_json::{Object, Value};
use crate::identifiers::{RoomId, UserId};
use crate::store::StorageError;
use core::cell::OnceCell;

/// A room with so many members, in which the user has a name, and some may notify everybody.
pub(crate) struct Around {
    pub members: u32,
    pub name: Option<&'static str>,
    pub may_notify: bool,
}

impl Surroundings for Around {
    fn member_count(&mut self, condition: MemberCount) -> bool {
        condition.holds(self.members)
    }
    fn display_name(&mut self) -> Result<Option<String>, StorageError> {
        Ok(self.name.map(ToString::to_string))
    }
    fn may_notify(&mut self, _sender: &UserId, key: &str) -> Result<bool, StorageError> {
        Ok(self.may_notify && key == "room")
    }
}

/// Hands over an event of `@bob:example.org` in `!room:example.org` as `@alice:example.org` has it judged.
pub(crate) fn with_event<T>(event: &Value, then: impl FnOnce(&Candidate<'_>) -> T) -> T {
    let (bob, alice) = (UserId::parse("@bob:example.org"), UserId::parse("@alice:example.org"));
    let (sender, user_id) = (bob.expect("a user ID"), alice.expect("a user ID"));
    let room_id = RoomId::parse("!room:example.org").expect("a room ID");
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let content: Object = event.get("content").and_then(Value::as_object).cloned().unwrap_or_default();
    then(&Candidate {
        event_id: "$event",
        room_id: &room_id,
        sender: &sender,
        kind: text("type").unwrap_or("m.room.message"),
        state_key: text("state_key"),
        content: &content,
        user_id: &user_id,
        body: OnceCell::new(),
    })
}
