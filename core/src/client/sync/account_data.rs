//! Account data in a sync (Client-Server API, "Client Config").

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::super::account_data::{self, AccountData};
use super::super::json_writer::{Items, Members};
use super::answer::Inputs;
use crate::canonical_json::{self, Value};
use crate::identifiers::UserId;
use crate::room::Room;
use crate::store::{Read, StorageError};

/// Appends the global account data that is new to the client, as an array, and returns how much there is.
pub(super) fn write_global(sync: &Inputs<'_>, out: &mut Vec<u8>) -> Result<usize, StorageError> {
    let filter = &sync.request.filter.account_data;
    let passes = |kind: &str| filter.passes_type(kind);
    match sync.since {
        Some(_) => Ok(write(sync.account_data.iter().filter(|data| data.room.is_none()), passes, out)),
        None => Ok(write(account_data::all(sync.context.read, &sync.requester.user_id, None)?.iter(), passes, out)),
    }
}

/// The same for a room; all of it if the client does not know the room.
pub(super) fn write_room(
    sync: &Inputs<'_>,
    room: &Room,
    is_known: bool,
    out: &mut Vec<u8>,
) -> Result<usize, StorageError> {
    let filter = &sync.request.filter.room.account_data;
    let selected = filter.rooms.selects(room.room_id());
    let passes = |kind: &str| selected && filter.events.passes_type(kind);
    let num = Some(room.num);
    if is_known {
        Ok(write(sync.account_data.iter().filter(|data| data.room == num), passes, out))
    } else {
        Ok(write(account_data::all(sync.context.read, &sync.requester.user_id, num)?.iter(), passes, out))
    }
}

fn write<'d>(data: impl Iterator<Item = &'d AccountData>, passes: impl Fn(&str) -> bool, out: &mut Vec<u8>) -> usize {
    let mut items = Items::begin(out);
    for data in data.filter(|data| passes(&data.kind)) {
        let mut members = Members::begin(items.item());
        members.name("content").extend_from_slice(&data.content);
        members.string("type", &data.kind);
        members.end();
    }
    items.end()
}

/// The users whom the user ignores (Client-Server API, "Ignoring users").
pub fn ignored_users(read: &dyn Read, user_id: &UserId) -> Result<BTreeSet<UserId>, StorageError> {
    let Some(content) = account_data::get(read, user_id, None, "m.ignored_user_list")? else {
        return Ok(BTreeSet::new());
    };
    let Ok(Value::Object(content)) = canonical_json::parse(&content) else { return Ok(BTreeSet::new()) };
    let ignored = content.object("ignored_users").into_iter().flat_map(|users| users.iter());
    Ok(ignored.filter_map(|(ignored, _)| UserId::parse(ignored).ok()).collect())
}
