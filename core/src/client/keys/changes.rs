//! Whose devices changed between two syncs (Client-Server API, `GET /keys/changes`).

use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::client::sync::changes::{Changes, UserRooms};
use crate::client::sync::device_lists::DeviceLists;
use crate::client::token::StreamToken;
use crate::error::ApiError;
use crate::http::{Method, Response};
use crate::store::log;
use crate::store::tables::Position;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/client/v3/keys/changes",
    Auth::Required,
    Limit::None,
    Handler::HeavyQuery(changes),
)];

/// `GET /_matrix/client/v3/keys/changes`: up to now, whatever `to` says, which the specification calls a hint.
fn changes(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let until = log::last_position(context.read)?;
    let since = token(context, request, "from", until)?;
    token(context, request, "to", until)?;
    let user_id = request.user_id();
    let rooms = UserRooms::load(context.read, user_id)?;
    let changes = Changes::since(context.read, user_id, &rooms, (since, until))?;
    let with_events = changes.rooms.iter().filter(|(_, change)| change.events).map(|(num, _)| *num);
    let lists = DeviceLists::since(context.read, (user_id, &rooms), (with_events, &changes.device_lists), since)?;
    Ok(Response::json(200, &lists.describe().into()))
}

fn token(context: &QueryContext<'_>, request: &ClientRequest, name: &str, now: Position) -> Result<Position, ApiError> {
    let text = request.query(name).ok_or_else(|| ApiError::missing_param(alloc::format!("{name} is missing")))?;
    let token = StreamToken::known(context.read, text, now)?;
    let token = token.ok_or_else(|| ApiError::invalid_param(alloc::format!("{name} is not a token of this server")))?;
    Ok(token.position)
}
