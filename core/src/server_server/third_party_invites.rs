//! Invites to addresses (Server-Server API, "Third-party invites").

use alloc::boxed::Box;
use alloc::string::ToString;

use super::handshake::room_of;
use crate::canonical_json::{Object, Value};
use crate::client::account::accounts;
use crate::client::request::{Answer, Auth, BodyExt, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::federation::third_party_invite::{ThirdPartyInvite, exchange, follow_up};
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::identifiers::{RoomId, UserId};
use crate::limits::MAX_BOUND_INVITES;

pub const ROUTES: &[Route] = &[
    // Identity servers send it, which sign what they say and not the request.
    Route::new(
        Method::Put,
        "/_matrix/federation/v1/3pid/onbind",
        Auth::None,
        Limit::Login,
        Handler::Flow("3pid/onbind", on_bind),
    ),
    Route::new(
        Method::Put,
        "/_matrix/federation/v1/exchange_third_party_invite/{roomId}",
        Auth::Server,
        Limit::None,
        Handler::Flow("exchange_third_party_invite", exchange_invite),
    ),
];

fn user_id(object: &Object, name: &str) -> Result<UserId, ApiError> {
    UserId::parse(object.required_str(name)?).map_err(|error| ApiError::invalid_param(error.to_string()))
}

fn room_id(object: &Object) -> Result<RoomId, ApiError> {
    RoomId::parse(object.required_str("room_id")?).map_err(|error| ApiError::invalid_param(error.to_string()))
}

fn signed(object: &Object) -> Result<&Object, ApiError> {
    object.opt_object("signed")?.ok_or_else(|| ApiError::missing_param("signed is missing"))
}

/// `PUT /3pid/onbind`: an address is now a user's, and these invites wait for it. One that cannot be followed up does not keep
/// the others from it.
fn on_bind(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let bound = user_id(&body, "mxid")?;
        let is_ours = cx.step(|step| Ok(accounts::is_active(step, &bound)?))?;
        if !is_ours {
            return Err(ApiError::not_found("This server has no such user"));
        }
        let invites = body.opt_array("invites")?.unwrap_or_default();
        if invites.len() > MAX_BOUND_INVITES {
            return Err(ApiError::invalid_param("invites has too many entries"));
        }
        let invites = invites.iter().map(|item| {
            let item = item.as_object().ok_or_else(|| ApiError::bad_json("invites has something that is no object"))?;
            if user_id(item, "mxid")? != bound {
                return Err(ApiError::invalid_param("An invite is for another user"));
            }
            ThirdPartyInvite::new(room_id(item)?, user_id(item, "sender")?, bound.clone(), signed(item)?)
        });
        let invites = invites.collect::<Result<alloc::vec::Vec<_>, _>>()?;
        cx.outlive_request();
        for invite in &invites {
            let _ = follow_up(&cx, invite).await;
        }
        Ok(Response::empty()) as Answer
    })
}

/// `PUT /exchange_third_party_invite`: of the event that another server would like, only who, where and the identity server's
/// word are taken.
fn exchange_invite(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let room = cx.step(|step| room_of(step, request.origin(), request.param(0)))?;
        let content = body.opt_object("content")?.ok_or_else(|| ApiError::missing_param("content is missing"))?;
        if body.str("type") != Some("m.room.member") || Membership::of(content) != Some(Membership::Invite) {
            return Err(ApiError::invalid_param("The event is no invite"));
        }
        if room_id(&body)? != room.info.room_id {
            return Err(ApiError::invalid_param("room_id is not the room of the path"));
        }
        let (sender, target) = (user_id(&body, "sender")?, user_id(&body, "state_key")?);
        if target.server_str() != request.origin().as_str() {
            return Err(ApiError::forbidden("The user is of another server than the one that asks"));
        }
        let is_ours = cx.step(|step| Ok(sender.server_str() == step.config.server_name.as_str()))?;
        if !is_ours {
            return Err(ApiError::forbidden("The inviting user is not of this server"));
        }
        let invite = content.object("third_party_invite").map(|invite| invite.get("signed"));
        let Some(Some(Value::Object(signed))) = invite else {
            return Err(ApiError::missing_param("third_party_invite.signed is missing"));
        };
        let invite = ThirdPartyInvite::new(room.info.room_id, sender, target, signed)?;
        cx.outlive_request();
        exchange(&cx, invite).await?;
        Ok(Response::empty()) as Answer
    })
}
