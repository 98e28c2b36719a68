//! Inviting to rooms (Client-Server API, "Joining rooms", `POST /rooms/{roomId}/invite`).

use alloc::boxed::Box;

use super::super::profile;
use super::super::request::{Answer, Auth, ClientRequest, FlowFuture, Handler, Limit};
use super::super::routes::Route;
use super::membership::{content, set, target};
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::federation::invite::{self, Invite};
use crate::federation::policy_sign;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::room::{Room, membership};

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/rooms/{roomId}/invite",
    Auth::Required,
    Limit::Membership,
    Handler::Flow("invite", invite_user),
)];

fn invite_user(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let remote = policy_sign::step(&cx, |step| {
            let mut room = Room::require(step, request.param(0))?;
            if body.contains("medium") || body.contains("id_server") {
                let message = "This server does not invite by email or phone number";
                return Err(ApiError::new(400, "M_THREEPID_DENIED", message));
            }
            let (user_id, reason) = target(&body)?;
            membership::require_joined(step, request.user_id(), &room)?;
            if user_id.server_str() == step.config.server_name.as_str() {
                invite(step, &mut room, request.user_id(), &user_id, reason, false)?;
                return Ok(None);
            }
            let (room_id, sender) = (room.info.room_id, request.user_id().clone());
            Ok(Some(Invite { room_id, sender, user_id, content: content(Membership::Invite, reason) }))
        });
        if let Some(remote) = remote.await? {
            cx.outlive_request();
            invite::invite(&cx, &remote).await?;
        }
        Ok(Response::empty()) as Answer
    })
}

/// Invites a user of this server.
pub(super) fn invite(
    step: &mut Step<'_>,
    room: &mut Room,
    sender: &UserId,
    user_id: &UserId,
    reason: Option<&str>,
    is_direct: bool,
) -> Result<(), ApiError> {
    let mut content = content_of_invite(reason, is_direct);
    content.extend(profile::member_content(step, user_id)?);
    set(step, room, sender, user_id, content)
}

/// The content of an invite to somebody whose profile is not known.
pub(super) fn content_of_invite(reason: Option<&str>, is_direct: bool) -> Object {
    let mut content = content(Membership::Invite, reason);
    if is_direct {
        content.insert("is_direct", true);
    }
    content
}
