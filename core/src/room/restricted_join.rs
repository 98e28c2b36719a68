//! Who is let into a restricted room because of another room (Client-Server API, "Restricted rooms"; Server-Server API,
//! "Restricted rooms").

use core::ops::ControlFlow;

use super::history_visibility::membership_in;
use super::{Room, StoredEvent};
use crate::error::ApiError;
use crate::event::content::{JoinRule, Membership, allowed_rooms};
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::store::{Read, StorageError};

/// What this server can say for a user who wants to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorisation {
    /// Nobody's word is needed, or nobody's helps: the authorization rules decide alone.
    NotNeeded,
    /// The user of this server in whose name the user may join, for `join_authorised_via_users_server`.
    Granted(UserId),
    /// The user meets a condition, but no user of this server may invite.
    UnableToGrant,
    /// This server does not know the rooms of the conditions.
    UnableToAuthorise,
    /// The user meets no condition.
    Refused,
}

impl Authorisation {
    /// The answer to a server that asks for its user (Server-Server API, `GET /make_join`), unless the join may go on.
    pub fn granted(self) -> Result<Option<UserId>, ApiError> {
        match self {
            Authorisation::NotNeeded => Ok(None),
            Authorisation::Granted(user_id) => Ok(Some(user_id)),
            Authorisation::UnableToGrant => {
                let message = "No user of this server may invite to the room: ask another server";
                Err(ApiError::new(400, "M_UNABLE_TO_GRANT_JOIN", message))
            }
            Authorisation::UnableToAuthorise => {
                let message = "This server is not in the rooms whose members may join: ask another server";
                Err(ApiError::new(400, "M_UNABLE_TO_AUTHORISE_JOIN", message))
            }
            Authorisation::Refused => Err(ApiError::forbidden("You are in none of the rooms whose members may join")),
        }
    }
}

/// Judges the conditions of the room's join rule for `user_id`. `own` is the name of this server.
pub fn authorise(
    read: &(impl Read + ?Sized),
    own: &ServerName,
    room: &Room,
    user_id: &UserId,
) -> Result<Authorisation, StorageError> {
    let Some(rules) = room.current_content(read, "m.room.join_rules", "")? else {
        return Ok(Authorisation::NotNeeded);
    };
    let features = &room.info.version.rules().auth;
    match JoinRule::of(&rules) {
        Some(JoinRule::Restricted) if features.restricted_joins => {}
        Some(JoinRule::KnockRestricted) if features.knock_restricted_joins => {}
        _ => return Ok(Authorisation::NotNeeded),
    }
    if matches!(member(read, room, user_id)?, Some(Membership::Invite | Membership::Join | Membership::Ban)) {
        return Ok(Authorisation::NotNeeded);
    }
    let mut unknown = false;
    for room_id in allowed_rooms(&rules).filter_map(|room_id| RoomId::parse(room_id).ok()) {
        match Room::find(read, &room_id)?.filter(Room::is_resident) {
            Some(other) if member(read, &other, user_id)? == Some(Membership::Join) => {
                let user = member_who_may_invite(read, own, room)?;
                return Ok(user.map_or(Authorisation::UnableToGrant, Authorisation::Granted));
            }
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Authorisation::UnableToAuthorise } else { Authorisation::Refused })
}

fn member(read: &(impl Read + ?Sized), room: &Room, user_id: &UserId) -> Result<Option<Membership>, StorageError> {
    let event = room.state_event(read, room.head.state, "m.room.member", user_id)?;
    Ok(event.as_ref().and_then(membership_in))
}

/// A joined user of this server whose power level allows invites.
fn member_who_may_invite(
    read: &(impl Read + ?Sized),
    own: &ServerName,
    room: &Room,
) -> Result<Option<UserId>, StorageError> {
    let levels = room.power_levels(read)?;
    let may_invite = |event: &StoredEvent| {
        let user_id = UserId::parse(event.header.state_key.as_deref()?).ok()?;
        let may = user_id.server_str() == own.as_str()
            && membership_in(event) == Some(Membership::Join)
            && levels.user(&user_id) >= levels.invite();
        may.then_some(user_id)
    };
    let mut found = Ok(None);
    room.walk_state(read, room.head.state, Some("m.room.member"), &mut |index| {
        match StoredEvent::expect(read, room.num, index) {
            Ok(event) => match may_invite(&event) {
                None => return ControlFlow::Continue(()),
                user_id => found = Ok(user_id),
            },
            Err(error) => found = Err(error),
        }
        ControlFlow::Break(())
    })?;
    found
}
