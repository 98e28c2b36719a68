//! What is missing of a room's state since this server came into it, because it could not be checked then: it is asked for again, and
//! takes its place once it can be had (`room/receive/holes.rs`).

use core::cell::Cell;

use super::again::ask_again;
use super::fetch_events::Asked;
use crate::error::ApiError;
use crate::flow::{Cx, Lane};
use crate::identifiers::{EventId, RoomId};
use crate::limits::{HOLES_AT_ONCE, MAX_MISSING_EVENTS_SERVERS, MISSING_EVENTS_TIMEOUT};
use crate::room::receive::{found, holes, rooms_with_holes};
use crate::room::{Room, servers};
use crate::store::{Read, StorageError};

/// What the flows are called that wait until it is time to ask again.
pub(super) const NAME: &str = "fill holes in a room's state";

/// Begins to fill the holes of a room that this server has just come into.
pub(super) fn begin(cx: &Cx, room_id: &RoomId) {
    cx.spawn(NAME, fill(cx.clone(), room_id.clone()));
}

/// Goes on in every room after a start.
pub fn resume(cx: &Cx, read: &dyn Read) -> Result<(), StorageError> {
    for num in rooms_with_holes(read)? {
        if let Some(room) = Room::get(read, num)? {
            begin(cx, &room.info.room_id);
        }
    }
    Ok(())
}

async fn fill(cx: Cx, room_id: RoomId) {
    ask_again(&cx, async || ask(&cx, &room_id).await).await;
}

/// Asks some servers of the room for what is missing. Whether anything still is.
async fn ask(cx: &Cx, room_id: &RoomId) -> Result<bool, ApiError> {
    let Some((version, servers)) = cx.step(|step| {
        let Some(room) = Room::find(step, room_id)?.filter(Room::is_resident) else { return Ok(None) };
        let mut servers = servers::servers_in(step, &room)?;
        servers.retain(|server| *server != step.config.server_name);
        Ok(Some((room.info.version, servers)))
    })?
    else {
        return Ok(false);
    };
    let until = cx.now() + MISSING_EVENTS_TIMEOUT;
    for server in servers.iter().take(MAX_MISSING_EVENTS_SERVERS) {
        let asked = Asked { cx, server, room_id, version, until, no_answer: &Cell::new(false) };
        if !asked.fill_holes().await? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Asked<'_> {
    /// Whether anything is missing after that.
    async fn fill_holes(&self) -> Result<bool, ApiError> {
        let missing = self.in_room(|step, room| Ok(holes(step, room.num, usize::MAX)?))?;
        for some in missing.chunks(HOLES_AT_ONCE) {
            self.fill_some(some).await?;
        }
        self.in_room(|step, room| Ok(!holes(step, room.num, 1)?.is_empty()))
    }

    async fn fill_some(&self, missing: &[EventId]) -> Result<(), ApiError> {
        let events = self.single_events(missing).await;
        // As they are stored the room does not change.
        let _lane = self.cx.lane(Lane::Room(self.room_id.clone())).await;
        self.store_with_auth_events(events).await?;
        self.in_room(|step, room| {
            // Some have come by another way.
            Ok(found(step, room, missing)?)
        })
    }
}
