//! Account data in a sync (Client-Server API, "Client Config").

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::account_data::{self, AccountData};
use super::super::json_writer::{Items, Members};
use super::answer::Inputs;
use crate::identifiers::UserId;
use crate::room::Room;
use crate::store::tables::{Position, RoomNum};
use crate::store::{Read, StorageError};

/// A user's account data, by the room that it is for.
pub(super) type ByRoom = BTreeMap<Option<RoomNum>, Vec<AccountData>>;

/// What is new since a position; everything if there is none.
pub(super) fn since(
    read: &dyn Read,
    user_id: &UserId,
    since: Option<Position>,
    until: Position,
) -> Result<ByRoom, StorageError> {
    let data = match since {
        Some(since) => account_data::changed_since(read, user_id, since, until)?,
        None => account_data::all(read, user_id)?,
    };
    let mut by_room = ByRoom::new();
    for data in data {
        by_room.entry(data.room).or_default().push(data);
    }
    Ok(by_room)
}

/// Appends the global account data that is new to the client, as an array, and returns how much there is.
pub(super) fn write_global(sync: &Inputs<'_>, out: &mut Vec<u8>) -> usize {
    let filter = &sync.request.filter.account_data;
    let data = sync.account_data.get(&None).map_or(&[][..], Vec::as_slice);
    write(data, |kind| filter.passes_type(kind), out)
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
    if is_known || sync.since.is_none() {
        let data = sync.account_data.get(&Some(room.num)).map_or(&[][..], Vec::as_slice);
        Ok(write(data, passes, out))
    } else {
        let data = account_data::of_room(sync.context.read, &sync.requester.user_id, room.num)?;
        Ok(write(&data, passes, out))
    }
}

fn write(data: &[AccountData], passes: impl Fn(&str) -> bool, out: &mut Vec<u8>) -> usize {
    let mut items = Items::begin(out);
    for data in data.iter().filter(|data| passes(&data.kind)) {
        let mut members = Members::begin(items.item());
        members.name("content").extend_from_slice(&data.content);
        members.string("type", &data.kind);
        members.end();
    }
    items.end()
}
