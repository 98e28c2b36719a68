//! Refusing an invite, and taking back a knock, in a room that this server is not in (Server-Server API, "Leaving Rooms
//! (Rejecting Invites)").

use super::handshake::{Asked, Failures, make, send};
use super::outgoing::RemoteError;
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::event::Pdu;
use crate::event::content::Membership;
use crate::flow::{Cx, Lane};
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::room::{Room, membership, outside};

/// Ends a user's invite or knock: with a server that is in the room if one answers, and in any case for the user.
///
/// A join that is under way is waited for: if it is the user's, there is no invite any more and nothing is done.
pub async fn leave(cx: &Cx, room_id: &RoomId, user_id: &UserId, reason: Option<&str>) -> Result<(), ApiError> {
    let _lane = cx.lane(Lane::Room(room_id.clone())).await;
    let known = cx.step(|step| {
        let Some(room) = Room::find_even_outside(step, room_id)? else { return Ok(None) };
        let row = membership::of(step, user_id, room.num)?;
        let pending = row.filter(|row| matches!(row.membership, Membership::Invite | Membership::Knock));
        let Some(row) = pending else { return Ok(None) };
        Ok(outside::of(step, room.num, user_id, &row)?)
    })?;
    let Some(known) = known else { return Ok(()) };
    let mut content = Object::new();
    if let Some(reason) = reason {
        content.insert("reason", reason);
    }
    let asked = Asked { room_id: room_id.clone(), user_id: user_id.clone(), membership: Membership::Leave, content };
    let pdu = leave_through_any(cx, &asked, &known.servers).await.ok();
    cx.step(|step| {
        let Some(mut room) = Room::find_even_outside(step, room_id)? else { return Ok(()) };
        let Some(row) = membership::of(step, user_id, room.num)? else { return Ok(()) };
        // Meanwhile they may have been invited again.
        if outside::of(step, room.num, user_id, &row)?.as_ref() != Some(&known) {
            return Ok(());
        }
        outside::leave(step, &mut room, user_id, pdu, reason)
    })
}

async fn leave_through_any(cx: &Cx, asked: &Asked, servers: &[ServerName]) -> Result<Pdu, ApiError> {
    let mut failures = Failures::default();
    for server in servers {
        match leave_through(cx, asked, server).await {
            Ok(pdu) => return Ok(pdu),
            // Leaving takes no version, so nobody's answer decides.
            Err(error) => _ = failures.add(error),
        }
    }
    Err(failures.into_error())
}

async fn leave_through(cx: &Cx, asked: &Asked, server: &ServerName) -> Result<Pdu, RemoteError> {
    let template = make(cx, server, asked).await?;
    let pdu = cx.step(|step| template.event(step, asked)).map_err(|error| RemoteError::BadAnswer(error.message))?;
    send(cx, server, asked, &pdu, |request| request).await?;
    Ok(pdu)
}
