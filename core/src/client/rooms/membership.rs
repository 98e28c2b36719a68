//! Changing memberships (Client-Server API, "Room membership").

use alloc::string::ToString;

use super::super::request::{Answer, Auth, BodyExt, ClientRequest, Handler, Limit};
use super::super::routes::Route;
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::room::append::{Draft, append};
use crate::room::{Room, membership};

macro_rules! route {
    ($path:literal, $auth:ident, $limit:ident, $handler:ident) => {
        Route::new(Method::Post, $path, Auth::$auth, Limit::$limit, Handler::Step($handler))
    };
}

pub const ROUTES: &[Route] = &[
    route!("/_matrix/client/v3/rooms/{roomId}/forget", Guest, Membership, forget_room),
    route!("/_matrix/client/v3/rooms/{roomId}/kick", Required, Membership, kick),
    route!("/_matrix/client/v3/rooms/{roomId}/ban", Required, Membership, ban),
    route!("/_matrix/client/v3/rooms/{roomId}/unban", Required, Membership, unban),
];

/// The content of a member event that changes somebody else's membership or ends one's own.
pub(super) fn content(membership: Membership, reason: Option<&str>) -> Object {
    let mut content = Object::new().with("membership", membership.as_str());
    if let Some(reason) = reason {
        content.insert("reason", reason);
    }
    content
}

pub(super) fn set(
    step: &mut Step<'_>,
    room: &mut Room,
    sender: &UserId,
    target: &UserId,
    content: Object,
) -> Result<(), ApiError> {
    append(step, room, Draft::state(sender, "m.room.member", target, content)).map(|_| ())
}

/// The target and reason that `invite`, `kick`, `ban` and `unban` name.
pub(super) fn target(body: &Object) -> Result<(UserId, Option<&str>), ApiError> {
    let user_id =
        UserId::parse(body.required_str("user_id")?).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    Ok((user_id, body.opt_str("reason")?))
}

fn forget_room(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let room = room_even_outside(step, request.param(0))?;
    match membership::of(step, request.user_id(), room.num)? {
        Some(row) if matches!(row.membership, Membership::Leave | Membership::Ban) => {
            membership::forget(step, request.user_id(), room.num, row);
            Ok(Response::empty())
        }
        Some(_) => Err(ApiError::new(400, "M_UNKNOWN", "You must leave the room before you can forget it")),
        None => Err(ApiError::new(400, "M_UNKNOWN", "You never were in this room")),
    }
}

/// The room that a client names in a path, also if they have only been invited to it, or have knocked.
pub(super) fn room_even_outside(step: &Step<'_>, room_id: &str) -> Result<Room, ApiError> {
    match Room::find_even_outside(step, room_id)? {
        Some(room) => Ok(room),
        None => Room::require(step, room_id),
    }
}

/// The membership of a user as the room's current state has it.
fn current(step: &Step<'_>, room: &Room, user_id: &UserId) -> Result<Option<Membership>, ApiError> {
    let content = room.current_content(step, "m.room.member", user_id)?;
    Ok(content.and_then(|content| content.str("membership").and_then(Membership::parse)))
}

fn kick(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let mut room = Room::require(step, request.param(0))?;
    let (user_id, reason) = target(&body)?;
    membership::require_joined(step, request.user_id(), &room)?;
    match current(step, &room, &user_id)? {
        Some(Membership::Join | Membership::Invite | Membership::Knock) => {}
        Some(Membership::Leave | Membership::Ban) | None => {
            return Err(ApiError::forbidden("That user is not in this room"));
        }
    }
    set(step, &mut room, request.user_id(), &user_id, content(Membership::Leave, reason))?;
    Ok(Response::empty())
}

fn ban(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let mut room = Room::require(step, request.param(0))?;
    let (user_id, reason) = target(&body)?;
    set(step, &mut room, request.user_id(), &user_id, content(Membership::Ban, reason))?;
    Ok(Response::empty())
}

fn unban(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let mut room = Room::require(step, request.param(0))?;
    let (user_id, reason) = target(&body)?;
    membership::require_joined(step, request.user_id(), &room)?;
    if current(step, &room, &user_id)? != Some(Membership::Ban) {
        return Err(ApiError::forbidden("That user is not banned from this room"));
    }
    set(step, &mut room, request.user_id(), &user_id, content(Membership::Leave, reason))?;
    Ok(Response::empty())
}
