//! The summary of a room: what a client needs to name it.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::json_writer::{Items, Members};
use super::answer::Inputs;
use crate::canonical_json::{self, Value, encode_str};
use crate::event::content::Membership;
use crate::identifiers::UserId;
use crate::limits::{HEROES, MAX_HERO_CANDIDATES};
use crate::room::history_visibility::membership_in;
use crate::room::{Room, StoredEvent};
use crate::store::StorageError;

/// A room's summary now.
#[derive(Debug)]
pub(super) struct Summary {
    /// Absent when the room has a name or an alias to be called by.
    heroes: Option<Vec<UserId>>,
    joined: u32,
    invited: u32,
}

impl Summary {
    /// `told` is state that the client is told now, the later the newer: all of it, if `told_all`.
    pub fn of<'e>(
        sync: &Inputs<'_>,
        room: &Room,
        told: impl DoubleEndedIterator<Item = &'e StoredEvent> + Clone,
        told_all: bool,
    ) -> Result<Summary, StorageError> {
        let heroes = if is_named(sync, room, told, told_all)? { None } else { Some(heroes(sync, room)?) };
        Ok(Summary { heroes, joined: room.head.joined, invited: room.head.invited })
    }

    /// Whether an event may change a summary. A redaction may take the name that there was.
    pub fn changes_with(event: &StoredEvent) -> bool {
        match event.header.kind.as_str() {
            "m.room.member" | "m.room.name" | "m.room.canonical_alias" => event.is_state(),
            kind => kind == "m.room.redaction",
        }
    }

    pub fn heroes(&self) -> &[UserId] {
        self.heroes.as_deref().unwrap_or_default()
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let mut members = Members::begin(out);
        if let Some(heroes) = &self.heroes {
            let mut items = Items::begin(members.name("m.heroes"));
            for user_id in heroes {
                encode_str(user_id, items.item());
            }
            items.end();
        }
        members.integer("m.invited_member_count", self.invited);
        members.integer("m.joined_member_count", self.joined);
        members.end();
    }
}

fn is_named<'e>(
    sync: &Inputs<'_>,
    room: &Room,
    told: impl DoubleEndedIterator<Item = &'e StoredEvent> + Clone,
    told_all: bool,
) -> Result<bool, StorageError> {
    for (kind, member) in [("m.room.name", "name"), ("m.room.canonical_alias", "alias")] {
        let is_it = |event: &&StoredEvent| event.header.kind == kind && event.header.state_key.as_deref() == Some("");
        let content = match told.clone().rev().find(is_it) {
            Some(event) => canonical_json::parse(event.content_bytes()).ok(),
            None if told_all => None,
            None => room.current_content(sync.context.read, kind, "")?.map(Value::Object),
        };
        let text = content.as_ref().and_then(|content| content.get(member)).and_then(Value::as_str);
        if text.is_some_and(|text| !text.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first members who are joined or invited; if there are none, the first who have left. Of a room with very many
/// members, the first among some of them.
fn heroes(sync: &Inputs<'_>, room: &Room) -> Result<Vec<UserId>, StorageError> {
    let read = sync.context.read;
    let mut indices = Vec::new();
    room.walk_state(read, room.head.state, Some("m.room.member"), &mut |index| {
        indices.push(index);
        if indices.len() < MAX_HERO_CANDIDATES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    indices.sort_unstable();
    let (mut present, mut gone) = (Vec::new(), Vec::new());
    for some in indices.chunks(2 * HEROES) {
        for event in StoredEvent::expect_all(read, room.num, some)? {
            let user_id = event.header.state_key.as_deref().and_then(|key| UserId::parse(key).ok());
            let Some(user_id) = user_id.filter(|user_id| *user_id != sync.requester.user_id) else { continue };
            match membership_in(&event).filter(|_| event.header.kind == "m.room.member") {
                Some(Membership::Join | Membership::Invite) => present.push(user_id),
                Some(Membership::Leave | Membership::Ban) => gone.push(user_id),
                Some(Membership::Knock) | None => {}
            }
        }
        if present.len() >= HEROES {
            break;
        }
    }
    present.truncate(HEROES);
    gone.truncate(HEROES);
    Ok(if present.is_empty() { gone } else { present })
}
