//! Joining rooms (Client-Server API, "Joining rooms"): those of this server at once, others through a server that is in them.

use alloc::boxed::Box;

use super::super::request::{Answer, Auth, BodyExt, ClientRequest, FlowFuture, Handler, Limit};
use super::super::routes::Route;
use super::super::{every_room, profile};
use super::destination::Destination;
use super::membership::{content, set};
use super::upgrade;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::content::{Membership, guests_can_join};
use crate::federation::handshake::Asked;
use crate::federation::join::{self, Joined};
use crate::federation::policy_sign;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::ServerName;
use crate::room::restricted_join::{Authorisation, authorise};
use crate::room::{Room, membership};

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Post,
        "/_matrix/client/v3/rooms/{roomId}/join",
        Auth::Guest,
        Limit::Membership,
        Handler::Flow("join", join_room),
    ),
    Route::new(
        Method::Post,
        "/_matrix/client/v3/join/{roomIdOrAlias}",
        Auth::Guest,
        Limit::Membership,
        Handler::Flow("join", join_room),
    ),
];

/// How a room is to be joined.
enum Way {
    /// It is done.
    Joined,
    /// Through one of these servers.
    Through(alloc::vec::Vec<ServerName>, Object),
}

fn join_room(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object_or_empty()?;
        let reason = body.opt_str("reason")?;
        let destination = Destination::of(&cx, &request).await?;
        let room_id = destination.room_id.clone();
        // Once more if another user of this server has brought it into the room meanwhile.
        let mut here = |step: &mut Step<'_>| join_here(step, &request, &destination, reason);
        while let Way::Through(servers, content) = policy_sign::step(&cx, &mut here).await? {
            let user_id = request.user_id().clone();
            let asked = Asked { room_id: room_id.clone(), user_id, membership: Membership::Join, content };
            if join::join(&cx, &asked, &servers).await? == Joined::Joined {
                every_room::catch_up(&cx, &asked.user_id, &room_id).await?;
                cx.step(|step| upgrade::carry_over(step, &asked.user_id, &room_id))?;
                break;
            }
        }
        Ok(Response::json(200, &Value::Object(Object::new().with("room_id", &room_id)))) as Answer
    })
}

fn join_here(
    step: &mut Step<'_>,
    request: &ClientRequest,
    destination: &Destination,
    reason: Option<&str>,
) -> Result<Way, ApiError> {
    let user_id = request.user_id();
    let mut content = content(Membership::Join, reason);
    content.extend(profile::member_content(step, user_id)?);
    let Some(mut room) = destination.here(step, user_id)? else {
        if request.requester().guest {
            return Err(ApiError::new(403, "M_GUEST_ACCESS_FORBIDDEN", "Guests may not join rooms of other servers"));
        }
        return Ok(Way::Through(destination.candidates(step, user_id)?, content));
    };
    if membership::of(step, user_id, room.num)?.is_some_and(|row| row.membership == Membership::Join) {
        return Ok(Way::Joined);
    }
    require_guest_access(step, request, &room)?;
    match authorise(step, &step.config.server_name, &room, user_id)? {
        // The authorization rules say what is wrong with a user who meets no condition.
        Authorisation::NotNeeded | Authorisation::Refused => {}
        Authorisation::Granted(authoriser) => {
            content.insert("join_authorised_via_users_server", &authoriser);
        }
        Authorisation::UnableToGrant | Authorisation::UnableToAuthorise => {
            let servers = destination.candidates(step, user_id)?;
            if !servers.is_empty() {
                return Ok(Way::Through(servers, content));
            }
        }
    }
    set(step, &mut room, user_id, user_id, content)?;
    upgrade::carry_over(step, user_id, room.room_id())?;
    Ok(Way::Joined)
}

fn require_guest_access(step: &Step<'_>, request: &ClientRequest, room: &Room) -> Result<(), ApiError> {
    if request.requester().guest {
        let access = room.current_content(step, "m.room.guest_access", "")?;
        if !guests_can_join(access.as_ref()) {
            return Err(ApiError::new(403, "M_GUEST_ACCESS_FORBIDDEN", "Guests may not join this room"));
        }
    }
    Ok(())
}
