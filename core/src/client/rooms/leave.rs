//! Leaving rooms, and refusing invites to them (Client-Server API, "Leaving rooms").

use alloc::boxed::Box;

use super::super::request::{Answer, Auth, BodyExt, ClientRequest, FlowFuture, Handler, Limit};
use super::super::routes::Route;
use super::membership::{content, room_even_outside, set};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::federation::{self, policy_sign};
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::{RoomId, UserId};
use crate::room::{Room, membership, outside};

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/rooms/{roomId}/leave",
    Auth::Guest,
    Limit::Membership,
    Handler::Flow("leave", leave_room),
)];

fn leave_room(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object_or_empty()?;
        let reason = body.opt_str("reason")?;
        if let Some(room_id) = leave_here(&cx, &request, reason).await? {
            cx.outlive_request();
            federation::leave::leave(&cx, &room_id, request.user_id(), reason).await?;
            // They may have been on the way in, and are in now.
            leave_here(&cx, &request, reason).await?;
        }
        Ok(Response::empty()) as Answer
    })
}

/// Leaves the room of the path. One that this server is not in is left elsewhere: then the answer is which.
async fn leave_here(cx: &Cx, request: &ClientRequest, reason: Option<&str>) -> Result<Option<RoomId>, ApiError> {
    let left = policy_sign::step(cx, |step| {
        let mut room = room_even_outside(step, request.param(0))?;
        if is_outside(step, &room, request.user_id())? {
            return Ok(Some(room.info.room_id));
        }
        leave(step, &mut room, request.user_id(), reason)?;
        Ok(None)
    });
    left.await
}

/// Whether the user is invited to a room that this server is not in, or has knocked on one.
fn is_outside(step: &Step<'_>, room: &Room, user_id: &UserId) -> Result<bool, ApiError> {
    let Some(row) = membership::of(step, user_id, room.num)? else { return Ok(false) };
    let pending = matches!(row.membership, Membership::Invite | Membership::Knock);
    Ok(pending && outside::of(step, room.num, user_id, &row)?.is_some())
}

/// Leaves a room, rejects an invite or takes back a knock. A user who has left already has nothing to do.
pub fn leave(step: &mut Step<'_>, room: &mut Room, user_id: &UserId, reason: Option<&str>) -> Result<(), ApiError> {
    if is_outside(step, room, user_id)? {
        return outside::leave(step, room, user_id, None, reason);
    }
    match membership::of(step, user_id, room.num)?.map(|row| row.membership) {
        Some(Membership::Leave) => Ok(()),
        Some(Membership::Ban) => Err(ApiError::forbidden("You are banned from this room")),
        Some(Membership::Join | Membership::Invite | Membership::Knock) => {
            set(step, room, user_id, user_id, content(Membership::Leave, reason))
        }
        None => Err(ApiError::forbidden("You are not in this room")),
    }
}
