//! Knocking on rooms (Client-Server API, "Knocking on rooms").

use alloc::boxed::Box;

use super::super::profile;
use super::super::request::{Answer, Auth, BodyExt, ClientRequest, FlowFuture, Handler, Limit};
use super::super::routes::Route;
use super::destination::Destination;
use super::membership::{content, set};
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::federation::handshake::Asked;
use crate::federation::{knock, policy_sign};
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::ServerName;
use crate::room::membership;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/knock/{roomIdOrAlias}",
    Auth::Required,
    Limit::Membership,
    Handler::Flow("knock", knock_room),
)];

fn knock_room(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object_or_empty()?;
        let reason = body.opt_str("reason")?;
        let destination = Destination::of(&cx, &request).await?;
        let room_id = destination.room_id.clone();
        let here = policy_sign::step(&cx, |step| knock_here(step, &request, &destination, reason));
        if let Some((servers, content)) = here.await? {
            cx.outlive_request();
            let user_id = request.user_id().clone();
            let asked = Asked { room_id: room_id.clone(), user_id, membership: Membership::Knock, content };
            knock::knock(&cx, &asked, &servers).await?;
        }
        Ok(Response::json(200, &Value::Object(Object::new().with("room_id", &room_id)))) as Answer
    })
}

/// Knocks on a room of this server. Otherwise says through which servers, and with what content.
fn knock_here(
    step: &mut Step<'_>,
    request: &ClientRequest,
    destination: &Destination,
    reason: Option<&str>,
) -> Result<Option<(alloc::vec::Vec<ServerName>, Object)>, ApiError> {
    let user_id = request.user_id();
    let mut content = content(Membership::Knock, reason);
    content.extend(profile::member_content(step, user_id)?);
    let Some(mut room) = destination.here(step, user_id)? else {
        let servers = destination.candidates(step, user_id)?;
        return Ok(Some((servers, content)));
    };
    if membership::of(step, user_id, room.num)?.is_none_or(|row| row.membership != Membership::Knock) {
        set(step, &mut room, user_id, user_id, content)?;
    }
    Ok(None)
}
