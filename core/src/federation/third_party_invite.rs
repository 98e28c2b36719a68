//! Invites to somebody's address that have found their user (Server-Server API, "Third-party invites").

use alloc::format;

use super::invite::{self, Invite};
use super::outgoing::{Outgoing, call};
use super::policy_sign;
use super::relay::relay;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::flow::{Cx, Step};
use crate::http::percent_encode;
use crate::identifiers::{RoomId, UserId};
use crate::room::Room;
use crate::room::append::{Draft, append};

/// An invite to an address that is now a user's.
#[derive(Clone, Debug, PartialEq)]
pub struct ThirdPartyInvite {
    pub room_id: RoomId,
    /// Who sent the `m.room.third_party_invite`.
    pub sender: UserId,
    /// Whose address it is.
    pub user_id: UserId,
    /// What the identity server says: user, token, signatures.
    pub signed: Object,
}

impl ThirdPartyInvite {
    /// Reads `signed` (`mxid`, `token`, `signatures`), which must be about the user; nothing else of it is kept.
    pub fn new(room_id: RoomId, sender: UserId, user_id: UserId, signed: &Object) -> Result<Self, ApiError> {
        let malformed = || ApiError::invalid_param("signed is not what an identity server says of the invited user");
        let (mxid, token) = (signed.str("mxid"), signed.str("token").ok_or_else(malformed)?);
        let signatures = signed.object("signatures").ok_or_else(malformed)?;
        if mxid != Some(user_id.as_str()) {
            return Err(malformed());
        }
        let signed = Object::new().with("mxid", &user_id).with("token", token).with("signatures", signatures.clone());
        Ok(ThirdPartyInvite { room_id, sender, user_id, signed })
    }

    fn content(&self, display_name: Option<&str>) -> Object {
        let mut invite = Object::new().with("signed", self.signed.clone());
        if let Some(name) = display_name {
            invite.insert("display_name", name);
        }
        Object::new().with("membership", Membership::Invite.as_str()).with("third_party_invite", invite)
    }

    /// The content of the member event. How the address is called is told by the event that invited it.
    fn content_in(&self, step: &Step<'_>, room: &Room) -> Result<Object, ApiError> {
        let token = self.signed.str("token").unwrap_or_default();
        let invitation = room.current_content(step, "m.room.third_party_invite", token)?;
        let invitation = invitation.ok_or_else(|| ApiError::forbidden("The room has no such invite"))?;
        Ok(self.content(invitation.str("display_name")))
    }
}

/// Follows up an invite to an address of a user of this server: in the room if this server is in it, and otherwise with the
/// server of who invited.
pub async fn follow_up(cx: &Cx, invite: &ThirdPartyInvite) -> Result<(), ApiError> {
    let is_done = policy_sign::step(cx, |step| {
        let Some(mut room) = Room::find(step, &invite.room_id)?.filter(Room::is_resident) else { return Ok(false) };
        let content = invite.content_in(step, &room)?;
        let draft = Draft::state(&invite.sender, "m.room.member", &invite.user_id, content);
        let appended = append(step, &mut room, draft)?;
        relay(step, room.num, appended.index);
        Ok(true)
    });
    let is_done = is_done.await?;
    if is_done {
        return Ok(());
    }
    let body = Object::new()
        .with("type", "m.room.member")
        .with("room_id", &invite.room_id)
        .with("sender", &invite.sender)
        .with("state_key", &invite.user_id)
        .with("content", invite.content(None));
    let target = format!("/_matrix/federation/v1/exchange_third_party_invite/{}", percent_encode(&invite.room_id));
    call(cx, &invite.sender.server_name(), Outgoing::put(target, Value::Object(body))).await?;
    Ok(())
}

/// Invites a user of another server, which asks for it, in the name of the user of this server who invited their address.
pub async fn exchange(cx: &Cx, invite: ThirdPartyInvite) -> Result<(), ApiError> {
    let content = cx.step(|step| {
        let room = Room::require(step, &invite.room_id)?;
        invite.content_in(step, &room)
    })?;
    let ThirdPartyInvite { room_id, sender, user_id, .. } = invite;
    invite::invite(cx, &Invite { room_id, sender, user_id, content }).await
}
