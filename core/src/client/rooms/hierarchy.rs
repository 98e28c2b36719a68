//! `GET /_matrix/client/v1/rooms/{roomId}/hierarchy` (Client-Server API, "Spaces"): the tree of a space's rooms, depth first.
//!
//! A page is the walk from the root on without the rooms of the pages before, so a token is a number of rooms and what was
//! asked; nothing is kept between pages.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::request::{Auth, ClientRequest, FlowFuture, Handler, Limit, QueryContext};
use super::super::routes::Route;
use super::room_summary::{self, Child, Looker};
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::content::{JoinRule, Membership};
use crate::federation::hierarchy::{RemoteRoom, hierarchy as ask};
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::limits::{
    DEFAULT_HIERARCHY_DEPTH, DEFAULT_HIERARCHY_PAGE, MAX_HIERARCHY_DEPTH, MAX_HIERARCHY_FETCHES, MAX_HIERARCHY_PAGE,
    MAX_HIERARCHY_ROOMS, ROOMS_AT_ONCE,
};
use crate::room::{Room, membership};
use crate::store::StorageError;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/client/v1/rooms/{roomId}/hierarchy",
    Auth::Guest,
    Limit::None,
    Handler::Flow("hierarchy", hierarchy),
)];

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    suggested_only: bool,
    max_depth: u64,
    limit: usize,
    /// The rooms of the pages before.
    skip: usize,
}

impl Asked {
    fn read(request: &ClientRequest) -> Result<Asked, ApiError> {
        let suggested_only = request.query_bool("suggested_only")?;
        let max_depth = request.query_integer("max_depth")?.map(|depth| depth.min(MAX_HIERARCHY_DEPTH));
        let limit = request.query_integer("limit")?.unwrap_or(DEFAULT_HIERARCHY_PAGE);
        if limit == 0 {
            return Err(ApiError::invalid_param("limit is at least 1"));
        }
        let limit = usize::try_from(limit).unwrap_or(MAX_HIERARCHY_PAGE).min(MAX_HIERARCHY_PAGE);
        let Some(token) = request.query("from") else {
            let max_depth = max_depth.unwrap_or(DEFAULT_HIERARCHY_DEPTH);
            return Ok(Asked { suggested_only: suggested_only.unwrap_or(false), max_depth, limit, skip: 0 });
        };
        let parse = || -> Option<Asked> {
            let mut parts = token.strip_prefix('h')?.split('_');
            let skip = parts.next()?.parse().ok().filter(|skip| *skip <= MAX_HIERARCHY_ROOMS)?;
            let max_depth = parts.next()?.parse().ok().filter(|depth| *depth <= MAX_HIERARCHY_DEPTH)?;
            let suggested_only = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Asked { suggested_only, max_depth, limit, skip })
        };
        let asked = parse().ok_or_else(|| ApiError::invalid_param("from is not a token of a hierarchy"))?;
        if suggested_only.is_some_and(|suggested_only| suggested_only != asked.suggested_only)
            || max_depth.is_some_and(|depth| depth != asked.max_depth)
        {
            return Err(ApiError::invalid_param("suggested_only and max_depth cannot change on paginated requests"));
        }
        Ok(asked)
    }

    fn next(&self, seen: usize) -> String {
        alloc::format!("h{seen}_{}_{}", self.max_depth, self.suggested_only)
    }
}

/// A room that the walk has come to.
#[derive(Debug)]
struct Ahead {
    room_id: RoomId,
    via: Vec<ServerName>,
    depth: u64,
}

/// A room that the user may see.
#[derive(Debug)]
struct Shown {
    summary: Object,
    children: Vec<Child>,
}

/// What this server knows by itself.
enum Local {
    Shown(Shown),
    Hidden,
    /// No user of this server is in the room.
    Elsewhere,
}

/// What was heard of rooms elsewhere.
#[derive(Debug, Default)]
struct Heard {
    /// Described along with their parents. Only a room's own answer tells all of its children.
    rooms: BTreeMap<RoomId, RemoteRoom>,
    inaccessible: BTreeSet<RoomId>,
    fetches: usize,
}

fn hierarchy(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let asked = Asked::read(&request)?;
        let user_id = request.user_id();
        let root = RoomId::parse(request.param(0)).map_err(|error| ApiError::invalid_param(error.to_string()))?;
        // Where the room ID names a server, that is whom to ask about a room that nobody here is in.
        let via: Vec<ServerName> =
            root.split_once(':').and_then(|id| ServerName::parse(id.1).ok()).into_iter().collect();
        let mut ahead = alloc::vec![Ahead { room_id: root, via, depth: 0 }];
        let (mut met, mut heard) = (BTreeSet::new(), Heard::default());
        let (mut passed, mut rooms) = (0, Vec::new());
        while let Some(Ahead { room_id, via, depth }) = ahead.pop() {
            if met.len() == MAX_HIERARCHY_ROOMS {
                break;
            }
            // Spaces can hold each other; a room is shown once.
            if !met.insert(room_id.clone()) {
                continue;
            }
            if rooms.len() == asked.limit {
                let next = asked.next(passed);
                return Ok(Response::json(200, &Object::new().with("rooms", rooms).with("next_batch", next).into()));
            }
            if met.len().is_multiple_of(ROOMS_AT_ONCE) {
                cx.give_way().await;
            }
            let Some(shown) = look(&cx, user_id, &asked, (&room_id, &via, depth), &mut heard).await? else {
                if depth == 0 {
                    return Err(ApiError::forbidden("You may not see this room, or there is no such room"));
                }
                continue;
            };
            passed += 1;
            if depth < asked.max_depth {
                let children = shown.children.iter().rev();
                ahead.extend(children.map(|Child { room_id, via, .. }| Ahead {
                    room_id: room_id.clone(),
                    via: via.clone(),
                    depth: depth + 1,
                }));
            }
            if passed > asked.skip {
                rooms.push(shown.summary.with("children_state", room_summary::children_state(&shown.children)));
            }
        }
        Ok(Response::json(200, &Object::new().with("rooms", rooms).into()))
    })
}

/// The room as the user may see it, by what is known here or else elsewhere.
async fn look(
    cx: &Cx,
    user_id: &UserId,
    asked: &Asked,
    (room_id, via, depth): (&RoomId, &[ServerName], u64),
    heard: &mut Heard,
) -> Result<Option<Shown>, ApiError> {
    match cx.step(|step| local(step, user_id, room_id, asked.suggested_only))? {
        Local::Shown(shown) => return Ok(Some(shown)),
        Local::Hidden => return Ok(None),
        Local::Elsewhere => {}
    }
    if heard.inaccessible.contains(room_id) {
        return Ok(None);
    }
    let described = heard.rooms.remove(room_id);
    let wants_children = depth < asked.max_depth
        && described.as_ref().is_none_or(|room| room.summary.str("room_type") == Some("m.space"));
    let mut room = described;
    if wants_children && heard.fetches < MAX_HIERARCHY_FETCHES {
        heard.fetches += 1;
        if let Some(space) = ask(cx, room_id, via, asked.suggested_only).await {
            heard.rooms.extend(space.known.into_iter().map(|child| (child.room_id.clone(), child)));
            heard.inaccessible.extend(space.inaccessible);
            room = Some(space.room);
        }
    }
    let Some(room) = room else { return Ok(None) };
    if !cx.step(|step| Ok(may_see_remote(step, user_id, &room)?))? {
        return Ok(None);
    }
    let children = if room.summary.str("room_type") == Some("m.space") { room.children } else { Vec::new() };
    let children = children.iter().filter_map(Child::read).collect();
    Ok(Some(Shown { summary: room.summary, children: room_summary::in_order(children, asked.suggested_only) }))
}

fn local(step: &Step<'_>, user_id: &UserId, room_id: &RoomId, suggested_only: bool) -> Result<Local, ApiError> {
    let Some(room) = Room::find(step, room_id)?.filter(Room::is_resident) else { return Ok(Local::Elsewhere) };
    if !Looker::User(user_id).may_see(step, &room)? {
        return Ok(Local::Hidden);
    }
    let context = QueryContext { read: step, config: step.config, now: step.now };
    let summary = room_summary::summary(&context, &room)?;
    Ok(Local::Shown(Shown { summary, children: room_summary::children(&context, &room, suggested_only)? }))
}

/// Whether the user may see a room that nobody here is in: by how it describes itself, or because they are invited.
fn may_see_remote(step: &Step<'_>, user_id: &UserId, room: &RemoteRoom) -> Result<bool, StorageError> {
    let summary = &room.summary;
    let rule = JoinRule::parse(summary.str("join_rule").unwrap_or("public"));
    if matches!(rule, Some(JoinRule::Public | JoinRule::Knock | JoinRule::KnockRestricted))
        || summary.bool("world_readable") == Some(true)
    {
        return Ok(true);
    }
    let membership = |room_id: &str| -> Result<Option<Membership>, StorageError> {
        let Some(room) = Room::find_even_outside(step, room_id)? else { return Ok(None) };
        Ok(membership::of(step, user_id, room.num)?.map(|row| row.membership))
    };
    if membership(&room.room_id)? == Some(Membership::Invite) {
        return Ok(true);
    }
    let allowed = summary.array("allowed_room_ids").unwrap_or_default().iter().filter_map(Value::as_str);
    for room_id in allowed.filter(|_| rule == Some(JoinRule::Restricted)) {
        if membership(room_id)? == Some(Membership::Join) {
            return Ok(true);
        }
    }
    Ok(false)
}
