//! What is not part of a room's history: who is typing and who has read how far (Client-Server API, "Typing notifications",
//! "Receipts"), and presence.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::super::json_writer::{Items, Members};
use super::super::token::EphemeralToken;
use super::answer::Inputs;
use crate::canonical_json::encode_str;
use crate::identifiers::UserId;
use crate::limits::MAX_INITIAL_RECEIPTS;
use crate::room::Room;
use crate::room::receipts::{self, Receipt};
use crate::store::StorageError;
use crate::store::tables::{Position, RoomNum};

/// What of memory one sync is to be told: the answer is a pure function of this and of what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ephemeral {
    /// How far this goes.
    pub token: EphemeralToken,
    /// Who is typing in the rooms where that has changed.
    pub typing: BTreeMap<RoomNum, Vec<UserId>>,
    pub presence: Vec<PresenceEvent>,
}

/// An `m.presence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceEvent {
    pub sender: UserId,
    /// As JSON.
    pub content: Vec<u8>,
}

impl Ephemeral {
    #[must_use]
    pub fn nothing_until(token: EphemeralToken) -> Ephemeral {
        Ephemeral { token, typing: BTreeMap::new(), presence: Vec::new() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.typing.is_empty() && self.presence.is_empty()
    }
}

/// Appends the ephemeral events of a joined room as an array and returns how many there are. Receipts are those since a
/// position, or all for a room that the client does not know.
pub(super) fn write(
    sync: &Inputs<'_>,
    room: &Room,
    since: Option<Position>,
    with_receipts: bool,
    out: &mut Vec<u8>,
) -> Result<usize, StorageError> {
    let filter = &sync.request.filter.room.ephemeral;
    let mut items = Items::begin(out);
    if filter.rooms.selects(room.room_id()) {
        if filter.events.passes_type("m.typing")
            && let Some(typing) = sync.ephemeral.typing.get(&room.num)
            // A client that has been in the room before may have seen somebody type, and then left and come back.
            && (sync.since.is_some() || !typing.is_empty())
        {
            let shown = |user_id: &&UserId| filter.events.passes_sender(user_id) && !sync.ignores(user_id);
            let users = typing.iter().filter(shown);
            write_typing(users, items.item());
        }
        if with_receipts && filter.events.passes_type("m.receipt") {
            let mut receipts = read_receipts(sync, room, since)?;
            receipts.retain(|receipt| filter.events.passes_sender(&receipt.user_id));
            write_receipts(receipts, &mut items);
        }
    }
    Ok(items.end())
}

fn write_typing<'u>(users: impl Iterator<Item = &'u UserId>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"content\":{\"user_ids\":");
    let mut items = Items::begin(out);
    for user_id in users {
        encode_str(user_id, items.item());
    }
    items.end();
    out.extend_from_slice(b"},\"type\":\"m.typing\"}");
}

fn read_receipts(sync: &Inputs<'_>, room: &Room, since: Option<Position>) -> Result<Vec<Receipt>, StorageError> {
    let read = sync.context.read;
    let user_id = &sync.requester.user_id;
    let mut found = Vec::new();
    match since {
        Some(since) => receipts::scan_since(read, room.num, since, |receipt| found.push(receipt))?,
        None => {
            // Of a large room the newest will do, and whatever the user's own devices need.
            found = receipts::newest(read, room.num, MAX_INITIAL_RECEIPTS)?;
            if found.len() == MAX_INITIAL_RECEIPTS {
                found.retain(|receipt| receipt.user_id != *user_id);
                found.extend(receipts::of_user(read, room.num, user_id)?.into_iter().map(|(_, receipt)| receipt));
            }
        }
    }
    found.retain(|receipt| receipt.is_for(user_id));
    Ok(found)
}

/// Appends one `m.receipt` for each thread, as an event holds one receipt of a user, a type and an event.
fn write_receipts(receipts: Vec<Receipt>, items: &mut Items<'_>) {
    type OfEvent = BTreeMap<&'static str, Vec<Receipt>>;
    let mut threads: BTreeMap<Option<String>, BTreeMap<String, OfEvent>> = BTreeMap::new();
    for receipt in receipts {
        let events = threads.entry(receipt.thread_id.clone()).or_default();
        let kinds = events.entry(String::from(receipt.event_id.as_str())).or_default();
        kinds.entry(receipt.kind.as_str()).or_default().push(receipt);
    }
    for events in threads.values() {
        let out = items.item();
        out.extend_from_slice(b"{\"content\":");
        let mut content = Members::begin(out);
        for (event_id, kinds) in events {
            let mut of_event = Members::begin(content.name(event_id));
            for (kind, receipts) in kinds {
                let mut users = Members::begin(of_event.name(kind));
                for receipt in receipts {
                    let mut details = Members::begin(users.name(&receipt.user_id));
                    if let Some(thread_id) = &receipt.thread_id {
                        details.string("thread_id", thread_id);
                    }
                    details.integer("ts", receipt.ts);
                    details.end();
                }
                users.end();
            }
            of_event.end();
        }
        content.end();
        out.extend_from_slice(b",\"type\":\"m.receipt\"}");
    }
}

/// Appends the presence events as an array and returns how many there are.
pub(super) fn write_presence(sync: &Inputs<'_>, out: &mut Vec<u8>) -> usize {
    let filter = &sync.request.filter.presence;
    let mut items = Items::begin(out);
    if filter.passes_type("m.presence") {
        let shown = |event: &&PresenceEvent| filter.passes_sender(&event.sender) && !sync.ignores(&event.sender);
        for event in sync.ephemeral.presence.iter().filter(shown) {
            let mut members = Members::begin(items.item());
            members.name("content").extend_from_slice(&event.content);
            members.string("sender", &event.sender);
            members.string("type", "m.presence");
            members.end();
        }
    }
    items.end()
}
