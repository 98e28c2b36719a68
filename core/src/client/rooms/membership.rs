//! Changing memberships (Client-Server API, "Room membership").

use alloc::string::ToString;

use super::super::profile;
use super::super::request::{Answer, Auth, BodyExt, ClientRequest, Handler, Limit};
use super::super::routes::Route;
use super::{directory, restricted};
use crate::canonical_json::{Object, Value};
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
    route!("/_matrix/client/v3/rooms/{roomId}/invite", Required, Membership, invite_user),
    route!("/_matrix/client/v3/rooms/{roomId}/join", Guest, Membership, join_room),
    route!("/_matrix/client/v3/join/{roomIdOrAlias}", Guest, Membership, join_room),
    route!("/_matrix/client/v3/knock/{roomIdOrAlias}", Required, Membership, knock_room),
    route!("/_matrix/client/v3/rooms/{roomId}/leave", Guest, Membership, leave_room),
    route!("/_matrix/client/v3/rooms/{roomId}/forget", Guest, Membership, forget_room),
    route!("/_matrix/client/v3/rooms/{roomId}/kick", Required, Membership, kick),
    route!("/_matrix/client/v3/rooms/{roomId}/ban", Required, Membership, ban),
    route!("/_matrix/client/v3/rooms/{roomId}/unban", Required, Membership, unban),
];

/// The content of a member event that changes somebody else's membership or ends one's own.
fn content(membership: Membership, reason: Option<&str>) -> Object {
    let mut content = Object::new().with("membership", membership.as_str());
    if let Some(reason) = reason {
        content.insert("reason", reason);
    }
    content
}

fn set(
    step: &mut Step<'_>,
    room: &mut Room,
    sender: &UserId,
    target: &UserId,
    content: Object,
) -> Result<(), ApiError> {
    append(step, room, Draft::state(sender, "m.room.member", target, content)).map(|_| ())
}

/// The target and reason that `invite`, `kick`, `ban` and `unban` name.
fn target(body: &Object) -> Result<(UserId, Option<&str>), ApiError> {
    let user_id =
        UserId::parse(body.required_str("user_id")?).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    Ok((user_id, body.opt_str("reason")?))
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
    if user_id.server_str() != step.config.server_name.as_str() {
        return Err(ApiError::forbidden("This server does not federate, so only its own users can be invited"));
    }
    let mut content = content(Membership::Invite, reason);
    content.extend(profile::member_content(step, user_id)?);
    if is_direct {
        content.insert("is_direct", true);
    }
    set(step, room, sender, user_id, content)
}

fn invite_user(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let mut room = Room::require(step, request.param(0))?;
    if body.contains("medium") || body.contains("id_server") {
        return Err(ApiError::new(400, "M_THREEPID_DENIED", "This server does not invite by email or phone number"));
    }
    let (user_id, reason) = target(&body)?;
    membership::require_joined(step, request.user_id(), &room)?;
    invite(step, &mut room, request.user_id(), &user_id, reason, false)?;
    Ok(Response::empty())
}

fn room_answer(room: &Room) -> Answer {
    Ok(Response::json(200, &Value::Object(Object::new().with("room_id", room.room_id()))))
}

fn join_room(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object_or_empty()?;
    let reason = body.opt_str("reason")?;
    let mut room = directory::room_by_id_or_alias(step, request.param(0))?;
    join(step, &mut room, request, reason)?;
    room_answer(&room)
}

fn join(step: &mut Step<'_>, room: &mut Room, request: &ClientRequest, reason: Option<&str>) -> Result<(), ApiError> {
    let user_id = request.user_id();
    let current = membership::of(step, user_id, room.num)?.map(|row| row.membership);
    if current == Some(Membership::Join) {
        return Ok(());
    }
    if request.requester().guest {
        let access = room.current_content(step, "m.room.guest_access", "")?;
        if access.as_ref().and_then(|content| content.str("guest_access")) != Some("can_join") {
            return Err(ApiError::new(403, "M_GUEST_ACCESS_FORBIDDEN", "Guests may not join this room"));
        }
    }
    let mut content = content(Membership::Join, reason);
    content.extend(profile::member_content(step, user_id)?);
    if current != Some(Membership::Invite)
        && let Some(authoriser) = restricted::authorising_user(step, room, user_id)?
    {
        content.insert("join_authorised_via_users_server", &authoriser);
    }
    set(step, room, user_id, user_id, content)
}

fn knock_room(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object_or_empty()?;
    let reason = body.opt_str("reason")?;
    let mut room = directory::room_by_id_or_alias(step, request.param(0))?;
    let user_id = request.user_id();
    let mut content = content(Membership::Knock, reason);
    content.extend(profile::member_content(step, user_id)?);
    if membership::of(step, user_id, room.num)?.is_some_and(|row| row.membership == Membership::Knock) {
        return room_answer(&room);
    }
    set(step, &mut room, user_id, user_id, content)?;
    room_answer(&room)
}

fn leave_room(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object_or_empty()?;
    let reason = body.opt_str("reason")?;
    let mut room = Room::require(step, request.param(0))?;
    leave(step, &mut room, request.user_id(), reason)?;
    Ok(Response::empty())
}

/// Leaves a room, rejects an invite or takes back a knock. A user who has left already has nothing to do.
pub fn leave(step: &mut Step<'_>, room: &mut Room, user_id: &UserId, reason: Option<&str>) -> Result<(), ApiError> {
    match membership::of(step, user_id, room.num)?.map(|row| row.membership) {
        Some(Membership::Leave) => Ok(()),
        Some(Membership::Ban) => Err(ApiError::forbidden("You are banned from this room")),
        Some(Membership::Join | Membership::Invite | Membership::Knock) => {
            set(step, room, user_id, user_id, content(Membership::Leave, reason))
        }
        None => Err(ApiError::forbidden("You are not in this room")),
    }
}

fn forget_room(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let room = Room::require(step, request.param(0))?;
    match membership::of(step, request.user_id(), room.num)? {
        Some(row) if matches!(row.membership, Membership::Leave | Membership::Ban) => {
            membership::forget(step, request.user_id(), room.num, row);
            Ok(Response::empty())
        }
        Some(_) => Err(ApiError::new(400, "M_UNKNOWN", "You must leave the room before you can forget it")),
        None => Err(ApiError::new(400, "M_UNKNOWN", "You never were in this room")),
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
