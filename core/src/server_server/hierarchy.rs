//! `GET /_matrix/federation/v1/hierarchy/{roomId}` (Server-Server API, "Spaces"): a space and its children, one level deep.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::canonical_json::{Object, Value};
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::rooms::room_summary::{self, Looker};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::{Method, Response};
use crate::identifiers::RoomId;
use crate::room::{Room, server_acl};

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/federation/v1/hierarchy/{roomId}",
    Auth::Server,
    Limit::None,
    Handler::HeavyQuery(hierarchy),
)];

fn hierarchy(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let unknown = || ApiError::not_found("There is no such room here that your server may see");
    let suggested_only = request.query_bool("suggested_only")?.unwrap_or(false);
    let room_id = RoomId::parse(request.param(0)).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    let looker = Looker::Server(request.origin());
    let room = Room::find(context.read, &room_id)?.filter(Room::is_resident).ok_or_else(unknown)?;
    server_acl::require(context.read, &room, request.origin())?;
    if !looker.may_see(context.read, &room)? {
        return Err(unknown());
    }
    let children = room_summary::children(context, &room, suggested_only)?;
    let (mut summaries, mut inaccessible): (Vec<Object>, Vec<Value>) = (Vec::new(), Vec::new());
    for child in &children {
        // What is known of a room that nobody here is in is of no use to anybody.
        let Some(room) = Room::find(context.read, &child.room_id)?.filter(Room::is_resident) else { continue };
        if server_acl::allows(context.read, &room, request.origin())? && looker.may_see(context.read, &room)? {
            let own = room_summary::children(context, &room, suggested_only)?;
            let summary = room_summary::summary(context, &room)?;
            summaries.push(summary.with("children_state", room_summary::children_state(&own)));
        } else {
            inaccessible.push(Value::from(&child.room_id));
        }
    }
    let summary = room_summary::summary(context, &room)?;
    let answer = Object::new()
        .with("room", summary.with("children_state", room_summary::children_state(&children)))
        .with("children", summaries)
        .with("inaccessible_children", inaccessible);
    Ok(Response::json(200, &answer.into()))
}
