//! Joining through this server (Server-Server API, "Joining Rooms").

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::ControlFlow;

use super::handshake::{Accepted, room_of, submit, template};
use crate::canonical_json::{Value, encode_str};
use crate::client::request::{Answer, Auth, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::ServerName;
use crate::limits::{HEROES, JOIN_EVENTS_AT_ONCE, MAX_HERO_CANDIDATES};
use crate::room::history_visibility::membership_in;
use crate::room::{EventIndex, Room, StoredEvent, servers};
use crate::store::auth_chain::{RoomAuthChains, chain_of_events};
use crate::store::state_map::StateId;
use crate::store::{Read, StorageError};

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/_matrix/federation/v1/make_join/{roomId}/{userId}",
        Auth::Server,
        Limit::None,
        Handler::Step(make_join),
    ),
    Route::new(
        Method::Put,
        "/_matrix/federation/v1/send_join/{roomId}/{eventId}",
        Auth::Server,
        Limit::None,
        Handler::Flow("send_join", send_join_v1),
    ),
    Route::new(
        Method::Put,
        "/_matrix/federation/v2/send_join/{roomId}/{eventId}",
        Auth::Server,
        Limit::None,
        Handler::Flow("send_join", send_join_v2),
    ),
];

fn make_join(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    template(step, request, Membership::Join)
}

fn send_join_v1(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let accepted = submit(&cx, &request, Membership::Join).await?;
        let mut body: Vec<u8> = b"[200,".to_vec();
        write_answer(&cx, &accepted, None, &mut body).await?;
        body.push(b']');
        Ok(Response::json_bytes(200, Bytes::from(body))) as Answer
    })
}

fn send_join_v2(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let omit_members = request.query_bool("omit_members")?.unwrap_or(false);
        let before = cx.step(|step| {
            let room = room_of(step, request.origin(), request.param(0))?;
            Ok(if omit_members { Some(servers::servers_in(step, &room)?) } else { None })
        })?;
        let accepted = submit(&cx, &request, Membership::Join).await?;
        let mut body = Vec::new();
        write_answer(&cx, &accepted, before, &mut body).await?;
        Ok(Response::json_bytes(200, Bytes::from(body))) as Answer
    })
}

/// The state before the join, the auth chains of that and of the join, and the join itself. With the servers that were in the
/// room before the join, members are omitted from the state. A large room is written some events at a time: what is told of it
/// no longer changes.
async fn write_answer(
    cx: &Cx,
    accepted: &Accepted,
    servers_before: Option<Vec<ServerName>>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let Accepted { room, event } = accepted;
    let omit_members = servers_before.is_some();
    let (state, chain, own) = cx.step(|step| {
        let (state, chain) = select(step, room, event, omit_members)?;
        Ok((state, chain, step.config.server_name.clone()))
    })?;
    out.extend_from_slice(b"{\"auth_chain\":");
    write_events(cx, room, &chain, out).await?;
    out.extend_from_slice(b",\"event\":");
    out.extend_from_slice(&event.json);
    out.extend_from_slice(if omit_members { b",\"members_omitted\":true" } else { b",\"members_omitted\":false" });
    // Versions of the specification before 1.7 asked for it.
    out.extend_from_slice(b",\"origin\":");
    encode_str(&own, out);
    if let Some(servers) = &servers_before {
        out.extend_from_slice(b",\"servers_in_room\":");
        Value::Array(servers.iter().map(Value::from).collect()).encode(out);
    }
    out.extend_from_slice(b",\"state\":");
    write_events(cx, room, &state, out).await?;
    out.push(b'}');
    Ok(())
}

/// The events of the state and of the auth chain, each by ascending index.
fn select(
    read: &(impl Read + ?Sized),
    room: &Room,
    event: &StoredEvent,
    omit_members: bool,
) -> Result<(Vec<EventIndex>, Vec<EventIndex>), StorageError> {
    let before = event.header.state_before;
    let mut state = Vec::new();
    let mut take = |index: EventIndex| {
        state.push(index);
        ControlFlow::Continue(())
    };
    if omit_members {
        room.walk_state_without_members(read, before, &mut take)?;
        state.extend(heroes(read, room, before)?);
    } else {
        room.walk_state(read, before, None, &mut take)?;
    }
    state.sort_unstable();
    let chains = RoomAuthChains { read, room: room.num };
    let heads: Vec<u32> = state.iter().map(|index| index.0).chain([event.index.0]).collect();
    let mut chain: Vec<EventIndex> = chain_of_events(&chains, &heads)?.into_iter().map(EventIndex).collect();
    if omit_members {
        chain.retain(|index| state.binary_search(index).is_err());
    }
    Ok((state, chain))
}

/// Appends an array of events as they are.
async fn write_events(cx: &Cx, room: &Room, indices: &[EventIndex], out: &mut Vec<u8>) -> Result<(), ApiError> {
    out.push(b'[');
    for (i, some) in indices.chunks(JOIN_EVENTS_AT_ONCE).enumerate() {
        if i > 0 {
            out.push(b',');
            cx.give_way().await;
        }
        let events = cx.step(|step| Ok(StoredEvent::expect_all(step, room.num, some)?))?;
        for (j, event) in events.iter().enumerate() {
            if j > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&event.json);
        }
    }
    out.push(b']');
    Ok(())
}

/// The member events by which a room is called that has neither name nor alias; none for one that has.
fn heroes(read: &(impl Read + ?Sized), room: &Room, at: StateId) -> Result<Vec<EventIndex>, StorageError> {
    for kind in ["m.room.name", "m.room.canonical_alias"] {
        if room.state_index(read, at, kind, "")?.is_some() {
            return Ok(Vec::new());
        }
    }
    let mut candidates = Vec::new();
    room.walk_state(read, at, Some("m.room.member"), &mut |index| {
        candidates.push(index);
        if candidates.len() < MAX_HERO_CANDIDATES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    candidates.sort_unstable();
    let mut heroes = Vec::new();
    for event in StoredEvent::expect_all(read, room.num, &candidates)? {
        if matches!(membership_in(&event), Some(Membership::Join | Membership::Invite)) {
            heroes.push(event.index);
        }
        // One of them may be the reader themself.
        if heroes.len() > HEROES {
            break;
        }
    }
    Ok(heroes)
}
