//! `GET /_matrix/federation/v1/state/{roomId}` and `/state_ids/{roomId}` (Server-Server API, "Retrieving events"): the state
//! before an event, and its auth chain.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::room_access;
use crate::canonical_json::encode_str;
use crate::client::json_writer::Items;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::{Method, Response};
use crate::room::{Room, StoredEvent};
use crate::store::auth_chain::chain_of_events;
use crate::store::state_map::StateId;

macro_rules! route {
    ($path:literal, $handler:ident) => {
        Route::new(Method::Get, $path, Auth::Server, Limit::None, Handler::HeavyQuery($handler))
    };
}

pub const ROUTES: &[Route] = &[
    route!("/_matrix/federation/v1/state/{roomId}", state),
    route!("/_matrix/federation/v1/state_ids/{roomId}", state_ids),
];

fn state(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    answer(context, request, ("auth_chain", "pdus"), room_access::write_pdus)
}

fn state_ids(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    answer(context, request, ("auth_chain_ids", "pdu_ids"), |events, out| {
        let mut items = Items::begin(out);
        for event in events {
            encode_str(&event.header.event_id, items.item());
        }
        items.end();
    })
}

fn answer(
    context: &QueryContext<'_>,
    request: &ClientRequest,
    (chain_name, state_name): (&str, &str),
    write: fn(&[StoredEvent], &mut Vec<u8>),
) -> Answer {
    let event_id = request.query("event_id");
    let room = room_access::require_room_up_to(context, request, 0, event_id)?;
    let event_id = event_id.ok_or_else(|| ApiError::missing_param("event_id is missing"))?;
    let event = room_access::require_in_graph(context, &room, event_id)?;
    if event.header.state_before == StateId::EMPTY && event.header.kind != "m.room.create" {
        return Err(ApiError::not_found(alloc::format!("The state at {event_id} is not known here")));
    }
    room_access::require_whole(context.read, &room, context.now)?;
    let (state, chain) = state_before(context, &room, &event)?;
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(alloc::format!("{{\"{chain_name}\":").as_bytes());
    write(&chain, &mut out);
    out.extend_from_slice(alloc::format!(",\"{state_name}\":").as_bytes());
    write(&state, &mut out);
    out.push(b'}');
    Ok(Response::json_bytes(200, out.into()))
}

/// The state before an event, and the full auth chain of that state.
fn state_before(
    context: &QueryContext<'_>,
    room: &Room,
    event: &StoredEvent,
) -> Result<(Vec<StoredEvent>, Vec<StoredEvent>), ApiError> {
    let mut indices = Vec::new();
    room.walk_state(context.read, event.header.state_before, None, &mut |index| {
        indices.push(index.0);
        ControlFlow::Continue(())
    })?;
    indices.sort_unstable();
    let chain = chain_of_events(&room_access::auth_chains(context, room), &indices)?;
    let chain = room_access::events_at(context, room, chain)?;
    Ok((room_access::events_at(context, room, indices)?, chain))
}
