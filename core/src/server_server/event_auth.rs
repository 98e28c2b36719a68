//! `GET /_matrix/federation/v1/event_auth/{roomId}/{eventId}`: the auth chain of an event.

use alloc::vec::Vec;

use super::room_access;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::{Method, Response};
use crate::store::auth_chain::chain_of_events;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/federation/v1/event_auth/{roomId}/{eventId}",
    Auth::Server,
    Limit::None,
    Handler::HeavyQuery(event_auth),
)];

fn event_auth(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = room_access::require_room_up_to(context, request, 0, [request.param(1)])?;
    let event_id = room_access::event_id(request.param(1))?;
    let event = room.event(context.read, &event_id)?;
    let event = event.ok_or_else(|| ApiError::not_found("There is no such event in this room"))?;
    // Only state events have a row in the graph of auth events, so the event's own auth events are where it is entered.
    let mut cited = Vec::new();
    for event_id in event.pdu(room.info.version)?.auth_events {
        cited.extend(room.event(context.read, &event_id)?.map(|event| event.index.0));
    }
    let mut chain = chain_of_events(&room_access::auth_chains(context, &room), &cited)?;
    chain.extend(cited);
    chain.sort_unstable();
    chain.dedup();
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"auth_chain\":");
    room_access::write_pdus(&room_access::events_at(context, &room, chain)?, &mut out);
    out.push(b'}');
    Ok(Response::json_bytes(200, out.into()))
}
