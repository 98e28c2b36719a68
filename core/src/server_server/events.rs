//! `GET /_matrix/federation/v1/event/{eventId}` (Server-Server API, "Retrieving events").

use super::room_access::{self, ShownToServer};
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::Method;
use crate::room::tables::EVENT_BY_ID;
use crate::room::{Room, StoredEvent};

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/federation/v1/event/{eventId}",
    Auth::Server,
    Limit::None,
    Handler::Query(event),
)];

fn event(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let event_id = room_access::event_id(request.param(0))?;
    let unknown = || ApiError::not_found("There is no such event here");
    let (num, index) = EVENT_BY_ID.get(context.read, event_id.as_str())?.ok_or_else(unknown)?;
    let room = Room::expect(context.read, num)?;
    let event = StoredEvent::expect(context.read, num, index)?;
    room_access::require_access(context.read, &room, request.origin())?;
    if !room_access::may_be_relayed(&event) {
        return Err(unknown());
    }
    if !room_access::is_in_graph(&event) {
        // Nothing says who could see it; state is shared with whoever asks for the state.
        return if event.is_state() { Ok(room_access::transaction(context, &[event])) } else { Err(unknown()) };
    }
    let shown = ShownToServer::new(context, request.origin())?.show(context, &room, event)?;
    Ok(room_access::transaction(context, &[shown]))
}
