//! Events that put users of this server out of a room, and that could not be checked when they came, because what came before them
//! could not be had (`receive_pdu.rs`). Whoever is out is sent nothing more, so nobody would ever cite them here: they are kept, and
//! tried again.

use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::again::ask_again;
use super::receive_pdu::{Checked, PduError, receive_one};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::event::content::Membership;
use crate::flow::{Cx, Step};
use crate::identifiers::{EventId, RoomId, ServerName, UserId};
use crate::limits::{MAX_PARTINGS, POLICY_PATIENCE};
use crate::room::{Room, membership};
use crate::store::tables::{RoomNum, Table, tags};
use crate::store::{Order, Read, StorageError};

/// What the flows are called that wait until it is time to try again.
pub(super) const NAME: &str = "receive what puts a user out";

/// An event that has passed all checks that it passes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Parting {
    /// Who sent it.
    origin: ServerName,
    event_id: EventId,
    json: Vec<u8>,
}

/// The newest of each user.
const PARTINGS: Table<(RoomNum, UserId), Parting> = Table::new(tags::PARTING);

/// The user of this server who is joined to the room, and whom the event puts out of it.
pub(super) fn target(step: &Step<'_>, room: &Room, pdu: &Pdu) -> Result<Option<UserId>, StorageError> {
    let target = pdu.state_key.as_deref().and_then(|key| UserId::parse(key).ok());
    let (Some(target), Some(Membership::Leave | Membership::Ban)) = (target, pdu.membership()) else {
        return Ok(None);
    };
    let row = membership::of(step, &target, room.num)?;
    let is_joined = row.is_some_and(|row| row.membership == Membership::Join);
    Ok(Some(target).filter(|target| is_joined && target.server_str() == step.config.server_name.as_str()))
}

/// Keeps an event that could not be received, if it puts somebody out, and tries it again later.
pub(super) fn keep(cx: &Cx, origin: &ServerName, room_id: &RoomId, pdu: &Pdu) -> Result<(), ApiError> {
    let begins = cx.step(|step| {
        let Some(room) = Room::find(step, room_id)? else { return Ok(None) };
        let Some(target) = target(step, &room, pdu)? else { return Ok(None) };
        let is_new = PARTINGS.get(step, (room.num, &target))?.is_none();
        if is_new && kept(step, Some(room.num), MAX_PARTINGS)?.len() == MAX_PARTINGS {
            return Ok(None);
        }
        let parting = Parting { origin: origin.clone(), event_id: pdu.event_id.clone(), json: pdu.json().to_vec() };
        PARTINGS.put(step, (room.num, &target), &parting);
        Ok(is_new.then_some((room.num, target)))
    })?;
    if let Some((room, target)) = begins {
        cx.spawn(NAME, try_again(cx.clone(), room, target));
    }
    Ok(())
}

/// Goes on after a start.
pub fn resume(cx: &Cx, read: &dyn Read) -> Result<(), StorageError> {
    for (room, target) in kept(read, None, usize::MAX)? {
        cx.spawn(NAME, try_again(cx.clone(), room, target));
    }
    Ok(())
}

/// Whose partings are kept, at most so many.
fn kept(
    read: &(impl Read + ?Sized),
    room: Option<RoomNum>,
    at_most: usize,
) -> Result<Vec<(RoomNum, UserId)>, StorageError> {
    let mut found = Vec::new();
    let mut take = |key: (RoomNum, UserId), _: Parting| {
        found.push(key);
        Ok(if found.len() < at_most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    };
    match room {
        Some(room) => PARTINGS.scan::<StorageError>(read, room, Order::Ascending, &mut take)?,
        None => PARTINGS.scan::<StorageError>(read, (), Order::Ascending, &mut take)?,
    }
    Ok(found)
}

async fn try_again(cx: Cx, room: RoomNum, target: UserId) {
    ask_again(&cx, async || receive(&cx, room, &target).await).await;
    let _: Result<(), ApiError> = cx.step(|step| {
        PARTINGS.delete(step, (room, &target));
        Ok(())
    });
}

/// Whether it still could not be received, and matters.
async fn receive(cx: &Cx, num: RoomNum, user_id: &UserId) -> Result<bool, ApiError> {
    let kept = cx.step(|step| {
        let Some(room) = Room::get(step, num)?.filter(Room::is_resident) else { return Ok(None) };
        let Some(Parting { origin, event_id, json }) = PARTINGS.get(step, (num, user_id))? else { return Ok(None) };
        let pdu = Pdu::from_stored(event_id, Bytes::from(json), room.info.version);
        let pdu = pdu.map_err(|error| ApiError::internal(alloc::format!("What was kept of a parting: {error}")))?;
        // They may have left by themselves meanwhile, or the event has come by another way.
        let is_known = room.index_of(step, &pdu.event_id)?.is_some();
        let still = !is_known && target(step, &room, &pdu)?.is_some();
        Ok(still.then_some((origin, room.info.room_id, pdu)))
    })?;
    let Some((origin, room_id, pdu)) = kept else { return Ok(false) };
    let event = Checked::of(Ok(pdu)).map_err(|error| ApiError::internal(alloc::format!("{error}")))?;
    match receive_one(cx, &origin, &room_id, event, cx.now() + POLICY_PATIENCE).await {
        Err(PduError::Missing(_)) => Ok(true),
        Err(PduError::Internal(error)) => Err(error),
        Ok(_) | Err(_) => Ok(false),
    }
}
