//! `GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event` (Client-Server API, "Jump to date").

use alloc::boxed::Box;

use super::super::request::{Answer, AskFirst, AskFuture, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::super::routes::Route;
use super::messages::require_history;
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::federation::timestamp_to_event as remote;
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::room::history_visibility::Viewer;
use crate::room::timestamp::{Direction, closest};
use crate::room::{Room, StoredEvent, membership};
use crate::time::Timestamp;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/client/v1/rooms/{roomId}/timestamp_to_event",
    Auth::Guest,
    Limit::None,
    Handler::AskFirst(&AskFirst { name: "timestamp to event", needed, ask, query: timestamp_to_event }),
)];

/// The time and direction that a request asks for.
pub fn asked(request: &ClientRequest) -> Result<(Timestamp, Direction), ApiError> {
    let missing = |name: &str| ApiError::missing_param(alloc::format!("{name} is missing"));
    let ts = request.query_integer("ts")?.ok_or_else(|| missing("ts"))?;
    let direction = Direction::parse(request.query("dir").ok_or_else(|| missing("dir"))?);
    let direction = direction.ok_or_else(|| ApiError::invalid_param("dir is neither b nor f"))?;
    Ok((Timestamp(ts), direction))
}

pub fn answer(found: Option<StoredEvent>) -> Answer {
    let found = found.ok_or_else(|| ApiError::not_found("There is no event in that direction"))?;
    let answer =
        Object::new().with("event_id", &found.header.event_id).with("origin_server_ts", found.header.origin_server_ts);
    Ok(Response::json(200, &answer.into()))
}

/// Whether history is missing here that may be closer. Only members have it looked for.
fn needed(context: &QueryContext<'_>, request: &ClientRequest) -> Result<bool, ApiError> {
    let room = Room::require(context.read, request.param(0))?;
    let asked = asked(request)?;
    let member = membership::require_joined(context.read, request.user_id(), &room).is_ok();
    Ok(member && remote::gap_at(context.read, &room, asked)?.is_some())
}

fn ask(cx: Cx, request: ClientRequest) -> AskFuture {
    Box::pin(async move {
        let room_id = cx.step(|step| Ok(Room::require(step, request.param(0))?.room_id().clone()))?;
        remote::timestamp_to_event(&cx, &room_id, asked(&request)?).await?;
        Ok(None)
    })
}

fn timestamp_to_event(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = Room::require(context.read, request.param(0))?;
    let asked = asked(request)?;
    let mut viewer = Viewer::new(context.read, &room, request.user_id())?;
    require_history(context, &room, &viewer)?;
    answer(closest::<ApiError>(context.read, &room, asked, |event| Ok(viewer.sees(context.read, &room, event)?))?)
}
