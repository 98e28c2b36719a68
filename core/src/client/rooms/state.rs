//! Reading rooms: state, members, single events (Client-Server API, "Getting events for a room").

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::event_format::{self, Shown};
use super::super::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::super::routes::Route;
use super::super::token::TimelineToken;
use crate::canonical_json::{self, Object, Value, encode_str};
use crate::error::ApiError;
use crate::event::content::{HistoryVisibility, Membership};
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::room::history_visibility::{self, Viewer};
use crate::room::{Room, membership, timeline};
use crate::store::state_map::StateId;
use crate::store::{Read, StorageError};

macro_rules! route {
    ($path:literal, $handler:expr) => {
        Route::new(Method::Get, $path, Auth::Guest, Limit::None, $handler)
    };
}

pub const ROUTES: &[Route] = &[
    route!("/_matrix/client/v3/rooms/{roomId}/state", Handler::HeavyQuery(state)),
    route!("/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}", Handler::Query(state_event)),
    route!("/_matrix/client/v3/rooms/{roomId}/state/{eventType}/", Handler::Query(state_event)),
    route!("/_matrix/client/v3/rooms/{roomId}/state/{eventType}", Handler::Query(state_event)),
    route!("/_matrix/client/v3/rooms/{roomId}/members", Handler::HeavyQuery(members)),
    route!("/_matrix/client/v3/rooms/{roomId}/joined_members", Handler::HeavyQuery(joined_members)),
    route!("/_matrix/client/v3/rooms/{roomId}/event/{eventId}", Handler::Query(event)),
    route!("/_matrix/client/v3/joined_rooms", Handler::Query(joined_rooms)),
];

/// The newest state that the user may see: the room's own while they are in it or anyone may look, the state they left
/// behind if they were in it.
pub fn visible_state(read: &(impl Read + ?Sized), room: &Room, user_id: &UserId) -> Result<StateId, ApiError> {
    let row = membership::of(read, user_id, room.num)?;
    if row.as_ref().is_some_and(|row| row.membership == Membership::Join)
        || history_visibility::at(read, room, room.head.state)? == HistoryVisibility::WorldReadable
    {
        return Ok(room.head.state);
    }
    match row {
        Some(row) if row.joined_at.is_some() && !row.forgotten => {
            Ok(timeline::state_at(read, room, timeline::Place::after(row.position))?)
        }
        _ => Err(ApiError::forbidden("You are not in this room")),
    }
}

fn state(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = Room::require(context.read, request.param(0))?;
    let at = visible_state(context.read, &room, request.user_id())?;
    let events = room.state_events(context.read, at, None)?;
    let mut shown = Shown::with_room_id(context, &room, request.requester())?;
    let mut out = Vec::with_capacity(events.len() * 512);
    event_format::write_all(context, &room, &mut shown, &events, &mut out)?;
    Ok(Response::json_bytes(200, out.into()))
}

fn state_event(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = Room::require(context.read, request.param(0))?;
    let at = visible_state(context.read, &room, request.user_id())?;
    let state_key = request.params.get(2).map_or("", |key| key.as_str());
    let Some(event) = room.state_event(context.read, at, request.param(1), state_key)? else {
        return Err(ApiError::not_found("The room has no such state"));
    };
    match request.query("format") {
        None | Some("content") => Ok(Response::json_bytes(200, event.content())),
        Some("event") => {
            let mut shown = Shown::with_room_id(context, &room, request.requester())?;
            let mut out = Vec::with_capacity(1024);
            event_format::write(context, &room, &mut shown, &event, &mut out)?;
            Ok(Response::json_bytes(200, out.into()))
        }
        Some(_) => Err(ApiError::invalid_param("format is neither content nor event")),
    }
}

fn membership_param(request: &ClientRequest, name: &str) -> Result<Option<Membership>, ApiError> {
    match request.query(name) {
        None => Ok(None),
        Some(text) => match Membership::parse(text) {
            Some(membership) => Ok(Some(membership)),
            None => Err(ApiError::invalid_param(alloc::format!("{name} is not a membership"))),
        },
    }
}

fn members(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let read = context.read;
    let room = Room::require(read, request.param(0))?;
    let (only, without) = (membership_param(request, "membership")?, membership_param(request, "not_membership")?);
    let mut at = visible_state(read, &room, request.user_id())?;
    if let Some(text) = request.query("at") {
        let place = timeline::Place(TimelineToken::require(text, "at")?.0);
        let mut viewer = Viewer::new(read, &room, request.user_id())?;
        let mut last = None;
        timeline::backward::<StorageError>(read, &room, Some(place), timeline::Place::START, 1, |_, event| {
            last = Some(event);
            Ok(ControlFlow::Break(()))
        })?;
        at = match last {
            Some(event) if viewer.sees(read, &room, &event)? => room.current_after(read, &event)?,
            Some(_) => return Err(ApiError::forbidden("You may not see the room at that point")),
            None => StateId::EMPTY,
        };
    }
    let mut events = room.state_events(read, at, Some("m.room.member"))?;
    if only.is_some() || without.is_some() {
        events.retain(|event| {
            let membership = history_visibility::membership_in(event);
            only.is_none_or(|only| membership == Some(only))
                && without.is_none_or(|without| membership != Some(without))
        });
    }
    let mut shown = Shown::with_room_id(context, &room, request.requester())?;
    let mut out = Vec::with_capacity(16 + events.len() * 512);
    out.extend_from_slice(b"{\"chunk\":");
    event_format::write_all(context, &room, &mut shown, &events, &mut out)?;
    out.push(b'}');
    Ok(Response::json_bytes(200, out.into()))
}

fn joined_members(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = Room::require(context.read, request.param(0))?;
    membership::require_joined(context.read, request.user_id(), &room)?;
    let events = room.state_events(context.read, room.head.state, Some("m.room.member"))?;
    let mut out = Vec::with_capacity(16 + events.len() * 128);
    out.extend_from_slice(b"{\"joined\":{");
    let mut first = true;
    for event in &events {
        let Ok(Value::Object(content)) = canonical_json::parse(event.content_bytes()) else { continue };
        let Some(user_id) = &event.header.state_key else { continue };
        if content.str("membership") != Some("join") {
            continue;
        }
        if !core::mem::take(&mut first) {
            out.push(b',');
        }
        let profile: Object = [("avatar_url", "avatar_url"), ("displayname", "display_name")]
            .into_iter()
            .filter_map(|(from, to)| Some((to, content.str(from)?)))
            .collect();
        encode_str(user_id, &mut out);
        out.push(b':');
        profile.encode(&mut out);
    }
    out.extend_from_slice(b"}}");
    Ok(Response::json_bytes(200, out.into()))
}

fn joined_rooms(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let mut rooms: Vec<String> = Vec::new();
    for (num, row) in membership::rooms_of(context.read, request.user_id())? {
        if row.membership == Membership::Join {
            rooms.push(Room::expect(context.read, num)?.room_id().to_string());
        }
    }
    Ok(Response::json(200, &Value::Object(Object::new().with("joined_rooms", rooms))))
}

fn event(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let hidden = || ApiError::not_found("There is no such event, or you may not see it");
    let Some(room) = Room::find(context.read, request.param(0))? else { return Err(hidden()) };
    let Some(event) = room.event(context.read, request.param(1))? else { return Err(hidden()) };
    let mut shown = Shown::with_room_id(context, &room, request.requester())?;
    if !shown.viewer.sees(context.read, &room, &event)? {
        return Err(hidden());
    }
    let mut out = Vec::with_capacity(1024);
    event_format::write(context, &room, &mut shown, &event, &mut out)?;
    Ok(Response::json_bytes(200, out.into()))
}
