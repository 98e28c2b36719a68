//! `GET /_matrix/federation/v1/timestamp_to_event/{roomId}` (Server-Server API, "Retrieving events").

use super::room_access::{self, ShownToServer};
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::rooms::timestamp_to_event::{answer, asked};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::Method;
use crate::room::timestamp::closest;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/federation/v1/timestamp_to_event/{roomId}",
    Auth::Server,
    Limit::None,
    Handler::HeavyQuery(timestamp_to_event),
)];

fn timestamp_to_event(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = room_access::require_room(context, request, 0)?;
    let asked = asked(request)?;
    let mut shown = ShownToServer::new(context, request.origin())?;
    let found = closest::<ApiError>(context.read, &room, asked, |event| Ok(shown.sees(context, &room, event)?))?;
    answer(found)
}
