//! The published room directory (Client-Server API, "Published room directory").

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::ControlFlow;

use super::super::request::{Answer, AskFirst, AskFuture, Auth, BodyExt, ClientRequest, Handler, Limit, QueryContext};
use super::super::routes::Route;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::content::HistoryVisibility;
use crate::federation;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::ServerName;
use crate::limits::MAX_PUBLIC_ROOMS_PAGE;
use crate::room::{Room, history_visibility, membership};
use crate::store::tables::{RoomNum, Table, tags};
use crate::store::{Order, Read, StorageError};

const VISIBILITY: &str = "/_matrix/client/v3/directory/list/room/{roomId}";
const PUBLIC_ROOMS_PATH: &str = "/_matrix/client/v3/publicRooms";

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, VISIBILITY, Auth::None, Limit::None, Handler::Query(visibility)),
    Route::new(Method::Put, VISIBILITY, Auth::Required, Limit::Write, Handler::Step(set_visibility)),
    Route::new(
        Method::Get,
        PUBLIC_ROOMS_PATH,
        Auth::Optional,
        Limit::None,
        Handler::AskFirst(&AskFirst { name: "public rooms", needed: is_elsewhere, ask: ask_list, query: list }),
    ),
    Route::new(
        Method::Post,
        PUBLIC_ROOMS_PATH,
        Auth::Guest,
        Limit::None,
        Handler::AskFirst(&AskFirst { name: "public rooms", needed: is_elsewhere, ask: ask_search, query: search }),
    ),
];

const PUBLIC_ROOMS: Table<RoomNum, ()> = Table::new(tags::PUBLIC_ROOM);

/// Lists a room.
pub fn publish(step: &mut Step<'_>, room: &Room) {
    PUBLIC_ROOMS.put(step, room.num, &());
}

/// Lists a room in place of another, if that is listed.
pub fn replace(step: &mut Step<'_>, old: &Room, new: &Room) -> Result<(), StorageError> {
    if PUBLIC_ROOMS.contains(step, old.num)? {
        PUBLIC_ROOMS.delete(step, old.num);
        publish(step, new);
    }
    Ok(())
}

fn require(read: &(impl Read + ?Sized), room_id: &str) -> Result<Room, ApiError> {
    Room::find(read, room_id)?.ok_or_else(|| ApiError::not_found("This server knows no such room"))
}

fn visibility(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = require(context.read, request.param(0))?;
    let visibility = if PUBLIC_ROOMS.contains(context.read, room.num)? { "public" } else { "private" };
    Ok(Response::json(200, &Value::Object(Object::new().with("visibility", visibility))))
}

fn set_visibility(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object_or_empty()?;
    let public = match body.opt_str("visibility")? {
        None | Some("public") => true,
        Some("private") => false,
        Some(_) => return Err(ApiError::invalid_param("visibility is neither public nor private")),
    };
    let room = require(step, request.param(0))?;
    membership::require_joined(step, request.user_id(), &room)?;
    let levels = room.power_levels(step)?;
    if levels.user(request.user_id()) < levels.event("m.room.canonical_alias", true) {
        return Err(ApiError::forbidden("Your power level is too low to list this room or to take it off the list"));
    }
    if public {
        publish(step, &room);
    } else {
        PUBLIC_ROOMS.delete(step, room.num);
    }
    Ok(Response::empty())
}

/// What a client asks of the list.
#[derive(Debug, Default)]
struct Wanted {
    limit: Option<usize>,
    since: usize,
    backward: bool,
    /// In lower case.
    term: Option<String>,
    /// `None` is any; an inner `None` is rooms without a type.
    types: Option<Vec<Option<String>>>,
}

/// Tokens are offsets into the list, with the direction in front.
fn parse_since(token: &str) -> Result<(bool, usize), ApiError> {
    let parsed = match token.split_at_checked(1) {
        Some(("n", offset)) => offset.parse().ok().map(|offset| (false, offset)),
        Some(("p", offset)) => offset.parse().ok().map(|offset| (true, offset)),
        _ => None,
    };
    parsed.ok_or_else(|| ApiError::invalid_param("since is not a token of this list"))
}

fn limit(limit: Option<u64>) -> Option<usize> {
    limit.filter(|limit| *limit > 0).map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The other server whose list is asked for.
fn other_server(request: &ClientRequest, own: &ServerName) -> Result<Option<ServerName>, ApiError> {
    let Some(server) = request.query("server").filter(|server| *server != own.as_str()) else { return Ok(None) };
    ServerName::parse(server).map(Some).map_err(|error| ApiError::invalid_param(error.to_string()))
}

/// Whether another server's list is asked for. Only users of this server may have others asked.
fn is_elsewhere(context: &QueryContext<'_>, request: &ClientRequest) -> Result<bool, ApiError> {
    if other_server(request, &context.config.server_name)?.is_none() {
        return Ok(false);
    }
    request.require_requester().map(|_| true)
}

/// Asks the other server. It makes of the request what it likes, so only what lists have is passed on.
async fn ask(cx: Cx, request: ClientRequest, body: Object) -> Result<Option<Response>, ApiError> {
    let own = cx.step(|step| Ok(step.config.server_name.clone()))?;
    let Some(server) = other_server(&request, &own)? else { return Ok(None) };
    let page = federation::public_rooms::public_rooms(&cx, &server, body).await?;
    Ok(Some(Response::json(200, &page.into())))
}

fn ask_list(cx: Cx, request: ClientRequest) -> AskFuture {
    Box::pin(async move {
        let mut body = Object::new();
        if let Some(limit) = request.query_integer("limit")? {
            body.insert("limit", limit.min(MAX_PUBLIC_ROOMS_PAGE as u64));
        }
        if let Some(since) = request.query("since") {
            body.insert("since", since);
        }
        ask(cx, request, body).await
    })
}

fn ask_search(cx: Cx, request: ClientRequest) -> AskFuture {
    Box::pin(async move {
        let mut body = request.object_or_empty()?;
        let known = ["limit", "since", "filter", "include_all_networks", "third_party_instance_id"];
        body.retain(|name, _| known.contains(&name));
        ask(cx, request, body).await
    })
}

/// `GET /publicRooms`, of this server.
pub fn list(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let mut wanted = Wanted { limit: limit(request.query_integer("limit")?), ..Wanted::default() };
    if let Some(since) = request.query("since") {
        (wanted.backward, wanted.since) = parse_since(since)?;
    }
    if request.query("third_party_instance_id").is_some() {
        // There are no third-party networks here, so none of their rooms.
        return page(&[], 0, 0, 0);
    }
    answer(context, &wanted)
}

/// `POST /publicRooms`, of this server.
pub fn search(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let body = request.object_or_empty()?;
    let limit_asked = body.opt_integer("limit")?.map(u64::try_from).transpose();
    let limit_asked = limit_asked.map_err(|_| ApiError::invalid_param("limit is negative"))?;
    let mut wanted = Wanted { limit: limit(limit_asked), ..Wanted::default() };
    if let Some(since) = body.opt_str("since")? {
        (wanted.backward, wanted.since) = parse_since(since)?;
    }
    if body.opt_str("third_party_instance_id")?.is_some() {
        return page(&[], 0, 0, 0);
    }
    if let Some(filter) = body.opt_object("filter")? {
        wanted.term = filter.opt_str("generic_search_term")?.filter(|term| !term.is_empty()).map(str::to_lowercase);
        if let Some(types) = filter.opt_array("room_types")? {
            let types = types.iter().map(|item| match item {
                Value::Null => Ok(None),
                Value::String(kind) => Ok(Some(kind.clone())),
                _ => Err(ApiError::bad_json("room_types has something that is neither a string nor null")),
            });
            wanted.types = Some(types.collect::<Result<_, _>>()?);
        }
    }
    answer(context, &wanted)
}

fn answer(context: &QueryContext<'_>, wanted: &Wanted) -> Answer {
    let mut nums = Vec::new();
    PUBLIC_ROOMS.scan::<StorageError>(context.read, (), Order::Ascending, |num, ()| {
        nums.push(num);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut rooms = Vec::new();
    for num in nums {
        let room = Room::expect(context.read, num)?;
        // A room that everybody has left is of no use to anybody.
        if room.head.joined == 0 {
            continue;
        }
        let chunk = chunk(context, &room)?;
        if matches(&chunk, wanted) {
            rooms.push((Reverse(room.head.joined), num, chunk));
        }
    }
    rooms.sort_by_key(|room| (room.0, room.1));
    let chunks: Vec<Value> = rooms.into_iter().map(|room| room.2).collect();
    let size = wanted.limit.unwrap_or(MAX_PUBLIC_ROOMS_PAGE).min(MAX_PUBLIC_ROOMS_PAGE);
    let total = chunks.len();
    let (from, to) = if wanted.backward {
        (wanted.since.min(total).saturating_sub(size), wanted.since.min(total))
    } else {
        (wanted.since.min(total), wanted.since.saturating_add(size).min(total))
    };
    page(&chunks[from..to], from, to, total)
}

fn page(chunks: &[Value], from: usize, to: usize, total: usize) -> Answer {
    let mut body = Object::new().with("chunk", chunks.to_vec()).with("total_room_count_estimate", total as u64);
    if to < total {
        body.insert("next_batch", alloc::format!("n{to}"));
    }
    if from > 0 {
        body.insert("prev_batch", alloc::format!("p{from}"));
    }
    Ok(Response::json(200, &Value::Object(body)))
}

fn matches(chunk: &Value, wanted: &Wanted) -> bool {
    let text = |name: &str| chunk.get(name).and_then(Value::as_str);
    let term_fits = wanted.term.as_deref().is_none_or(|term| {
        ["name", "topic", "canonical_alias"].into_iter().filter_map(text).any(|text| text.to_lowercase().contains(term))
    });
    let kind = text("room_type");
    let type_fits = wanted.types.as_ref().is_none_or(|types| types.iter().any(|wanted| wanted.as_deref() == kind));
    term_fits && type_fits
}

/// A room as the list shows it.
pub fn chunk(context: &QueryContext<'_>, room: &Room) -> Result<Value, ApiError> {
    let read = context.read;
    let mut chunk = Object::new().with("room_id", room.room_id()).with("num_joined_members", room.head.joined).with(
        "world_readable",
        history_visibility::at(read, room, room.head.state)? == HistoryVisibility::WorldReadable,
    );
    let guests = room.current_content(read, "m.room.guest_access", "")?;
    let guests = guests.is_some_and(|content| content.str("guest_access") == Some("can_join"));
    chunk.insert("guest_can_join", guests);
    let shown = [
        ("m.room.name", "name", "name"),
        ("m.room.topic", "topic", "topic"),
        ("m.room.canonical_alias", "alias", "canonical_alias"),
        ("m.room.avatar", "url", "avatar_url"),
        ("m.room.join_rules", "join_rule", "join_rule"),
        ("m.room.create", "type", "room_type"),
    ];
    for (kind, member, name) in shown {
        if let Some(content) = room.current_content(read, kind, "")?
            && let Some(text) = content.str(member)
        {
            chunk.insert(name, text);
        }
    }
    Ok(Value::Object(chunk))
}
