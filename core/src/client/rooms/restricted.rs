//! Restricted joins through a room of this server (Client-Server API, "Restricted rooms").

use core::ops::ControlFlow;

use crate::error::ApiError;
use crate::event::content::Membership;
use crate::flow::Step;
use crate::identifiers::{RoomId, UserId};
use crate::room::{Room, StoredEvent, membership};

/// If the room's join rule lets `user_id` in because of another room: the local member in whose name, for
/// `join_authorised_via_users_server`. `None` where the join rule needs nobody's word, and where the user meets no condition:
/// then the authorization rules decide alone.
pub fn authorising_user(step: &Step<'_>, room: &Room, user_id: &UserId) -> Result<Option<UserId>, ApiError> {
    let Some(rules) = room.current_content(step, "m.room.join_rules", "")? else { return Ok(None) };
    let allowed = &room.info.version.rules().auth;
    match rules.str("join_rule") {
        Some("restricted") if allowed.restricted_joins => {}
        Some("knock_restricted") if allowed.knock_restricted_joins => {}
        _ => return Ok(None),
    }
    let conditions = rules.array("allow").unwrap_or_default();
    let rooms = conditions
        .iter()
        .filter(|condition| condition.get("type").and_then(|kind| kind.as_str()) == Some("m.room_membership"))
        .filter_map(|condition| RoomId::parse(condition.get("room_id")?.as_str()?).ok());
    for room_id in rooms {
        let Some(other) = Room::find(step, &room_id)? else { continue };
        if membership::of(step, user_id, other.num)?.is_some_and(|row| row.membership == Membership::Join) {
            return member_who_may_invite(step, room);
        }
    }
    Ok(None)
}

/// A joined user of this server whose power level allows invites.
fn member_who_may_invite(step: &Step<'_>, room: &Room) -> Result<Option<UserId>, ApiError> {
    let levels = room.power_levels(step)?;
    let mut found = None;
    let mut result = Ok(());
    room.walk_state(step, room.head.state, Some("m.room.member"), &mut |index| {
        let member = StoredEvent::expect(step, room.num, index).map(|event| event.header.state_key);
        let user_id = match member {
            Ok(key) => key.and_then(|key| UserId::parse(&key).ok()),
            Err(error) => {
                result = Err(error);
                return ControlFlow::Break(());
            }
        };
        let Some(user_id) = user_id else { return ControlFlow::Continue(()) };
        if user_id.server_str() != step.config.server_name.as_str() || levels.user(&user_id) < levels.invite() {
            return ControlFlow::Continue(());
        }
        match membership::of(step, &user_id, room.num) {
            Ok(Some(row)) if row.membership == Membership::Join => {
                found = Some(user_id);
                ControlFlow::Break(())
            }
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => {
                result = Err(error);
                ControlFlow::Break(())
            }
        }
    })?;
    result?;
    Ok(found)
}
