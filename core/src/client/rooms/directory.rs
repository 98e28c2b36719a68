//! Room aliases (Client-Server API, "Room aliases").

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::super::request::{Answer, AskFirst, AskFuture, Auth, BodyExt, ClientRequest, Handler, Limit, QueryContext};
use super::super::routes::Route;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::content::HistoryVisibility;
use crate::federation::query_alias::{AliasAnswer, query_alias};
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::{RoomAlias, RoomId, UserId};
use crate::limits::MAX_ALIAS_SERVERS;
use crate::room::servers::servers_in;
use crate::room::{Room, history_visibility, membership};
use crate::store::tables::{RoomNum, RoomTable, Table, room_tags, tags};
use crate::store::{Order, Read, StorageError};

const PATH: &str = "/_matrix/client/v3/directory/room/{roomAlias}";

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        PATH,
        Auth::Optional,
        Limit::None,
        Handler::AskFirst(&AskFirst { name: "query alias", needed: is_elsewhere, ask, query: resolve }),
    ),
    Route::new(Method::Put, PATH, Auth::Required, Limit::Write, Handler::Step(set_alias)),
    Route::new(Method::Delete, PATH, Auth::Required, Limit::Write, Handler::Step(delete_alias)),
    Route::new(
        Method::Get,
        "/_matrix/client/v3/rooms/{roomId}/aliases",
        Auth::Required,
        Limit::None,
        Handler::Query(local_aliases),
    ),
];

/// An alias of this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Alias {
    room: RoomNum,
    creator: UserId,
}

const ALIASES: Table<RoomAlias, Alias> = Table::new(tags::ALIAS);
const ROOM_ALIASES: RoomTable<RoomAlias, ()> = RoomTable::new(room_tags::ALIAS);

/// The alias of this server with that localpart.
pub fn local_alias(step: &Step<'_>, localpart: &str) -> Result<RoomAlias, ApiError> {
    let invalid = |why: &str| ApiError::invalid_param(alloc::format!("The alias is not acceptable: {why}"));
    if localpart.is_empty() || localpart.contains([':', '#']) || localpart.chars().any(char::is_whitespace) {
        return Err(invalid("it is empty, or has a colon, a # or white space"));
    }
    RoomAlias::parse(&alloc::format!("#{localpart}:{}", step.config.server_name)).map_err(|error| invalid(error.why))
}

/// Gives a room an alias; `400 M_ROOM_IN_USE` if it is taken.
pub fn add(step: &mut Step<'_>, alias: &RoomAlias, room: &Room, creator: &UserId) -> Result<(), ApiError> {
    if ALIASES.contains(step, alias)? {
        return Err(ApiError::new(400, "M_ROOM_IN_USE", "The alias is taken"));
    }
    ALIASES.put(step, alias, &Alias { room: room.num, creator: creator.clone() });
    ROOM_ALIASES.put(step, room.num, alias, &());
    Ok(())
}

/// The room that an alias of this server leads to.
fn find(read: &(impl Read + ?Sized), alias: &RoomAlias) -> Result<Option<Room>, StorageError> {
    match ALIASES.get(read, alias)? {
        Some(row) => Room::expect(read, row.room).map(Some),
        None => Ok(None),
    }
}

/// The room that a client names by ID or alias.
pub fn room_by_id_or_alias(step: &Step<'_>, text: &str) -> Result<Room, ApiError> {
    if text.starts_with('#') {
        return find(step, &parse(text)?)?.ok_or_else(|| ApiError::not_found("There is no such alias"));
    }
    let room_id = RoomId::parse(text).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    Room::find(step, &room_id)?.ok_or_else(|| ApiError::not_found("This server knows no such room"))
}

fn parse(text: &str) -> Result<RoomAlias, ApiError> {
    RoomAlias::parse(text).map_err(|error| ApiError::invalid_param(error.to_string()))
}

/// Whether the path's alias belongs to another server. Only users of this server may have others asked.
fn is_elsewhere(context: &QueryContext<'_>, request: &ClientRequest) -> Result<bool, ApiError> {
    if parse(request.param(0))?.server_str() == context.config.server_name.as_str() {
        return Ok(false);
    }
    request.require_requester().map(|_| true)
}

fn ask(cx: Cx, request: ClientRequest) -> AskFuture {
    Box::pin(async move {
        let AliasAnswer { room_id, servers } = query_alias(&cx, &parse(request.param(0))?).await?;
        let servers: Vec<Value> = servers.iter().map(Value::from).collect();
        let body = Object::new().with("room_id", &room_id).with("servers", servers);
        Ok(Some(Response::json(200, &Value::Object(body))))
    })
}

fn resolve(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let alias = parse(request.param(0))?;
    resolve_local(context, &alias)
}

/// The room that an alias of this server leads to, and servers that are in it; `404 M_NOT_FOUND` without it.
pub fn resolve_local(context: &QueryContext<'_>, alias: &RoomAlias) -> Answer {
    let Some(room) = find(context.read, alias)? else {
        return Err(ApiError::not_found("There is no such alias"));
    };
    let mut servers = servers_in(context.read, &room)?;
    // Whoever keeps the alias is asked first, if they are in the room.
    servers.sort_by_key(|server| *server != context.config.server_name);
    servers.truncate(MAX_ALIAS_SERVERS);
    let servers: Vec<Value> = servers.iter().map(Value::from).collect();
    let body = Object::new().with("room_id", room.room_id()).with("servers", servers);
    Ok(Response::json(200, &Value::Object(body)))
}

fn set_alias(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let alias = parse(request.param(0))?;
    if alias.server_str() != step.config.server_name.as_str() {
        return Err(ApiError::invalid_param("The alias belongs to another server"));
    }
    let alias = local_alias(step, alias.localpart())?;
    let body = request.object()?;
    let room_id =
        RoomId::parse(body.required_str("room_id")?).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    let room = Room::find(step, &room_id)?.ok_or_else(|| ApiError::not_found("This server knows no such room"))?;
    membership::require_joined(step, request.user_id(), &room)?;
    if ALIASES.contains(step, &alias)? {
        return Err(ApiError::new(409, "M_UNKNOWN", "The alias is taken"));
    }
    add(step, &alias, &room, request.user_id())?;
    Ok(Response::empty())
}

fn delete_alias(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let alias = parse(request.param(0))?;
    let Some(row) = ALIASES.get(step, &alias)? else {
        return Err(ApiError::not_found("There is no such alias"));
    };
    let mut room = Room::expect(step, row.room)?;
    let user_id = request.user_id();
    if row.creator != *user_id {
        // Client-Server API, "Room aliases": the creator of the alias, or whoever may set the canonical one.
        let levels = room.power_levels(step)?;
        let joined = membership::require_joined(step, user_id, &room).is_ok();
        if !joined || levels.user(user_id) < levels.event("m.room.canonical_alias", true) {
            return Err(ApiError::forbidden("The alias is not yours to delete"));
        }
    }
    ALIASES.delete(step, &alias);
    ROOM_ALIASES.delete(step, room.num, &alias);
    drop_canonical(step, &mut room, user_id, core::slice::from_ref(&alias))?;
    Ok(Response::empty())
}

/// Takes aliases that no longer lead to the room out of `m.room.canonical_alias`, if the user may and the room's policy server lets it;
/// if not, they stay there.
pub(super) fn drop_canonical(
    step: &mut Step<'_>,
    room: &mut Room,
    user_id: &UserId,
    aliases: &[RoomAlias],
) -> Result<(), ApiError> {
    use crate::room::append::{Draft, append};
    let Some(mut content) = room.current_content(step, "m.room.canonical_alias", "")? else { return Ok(()) };
    let before = content.clone();
    let is_dropped = |text: &str| aliases.iter().any(|alias| alias.as_str() == text);
    if content.str("alias").is_some_and(is_dropped) {
        content.remove("alias");
    }
    if let Some(Value::Array(alternatives)) = content.get_mut("alt_aliases") {
        alternatives.retain(|other| !other.as_str().is_some_and(is_dropped));
    }
    if content == before {
        return Ok(());
    }
    match append(step, room, Draft::state(user_id, "m.room.canonical_alias", "", content)) {
        Err(error) if error.status == 500 => Err(error),
        _ => Ok(()),
    }
}

/// The local aliases of a room.
pub(super) fn aliases_of(read: &(impl Read + ?Sized), room: &Room) -> Result<Vec<RoomAlias>, StorageError> {
    let mut aliases = Vec::new();
    ROOM_ALIASES.scan::<StorageError>(read, room.num, (), Order::Ascending, |alias, ()| {
        // Some were to be moved here by an upgrade that came to nothing.
        if ALIASES.get(read, &alias)?.is_some_and(|row| row.room == room.num) {
            aliases.push(alias);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(aliases)
}

/// Counts an alias among those of a room to which it is about to be moved.
pub(super) fn list_alias(step: &mut Step<'_>, alias: &RoomAlias, room: &Room) {
    ROOM_ALIASES.put(step, room.num, alias, &());
}

/// Has an alias lead to another room, if it is counted among that room's aliases already. Whether it is.
pub(super) fn move_alias(step: &mut Step<'_>, alias: &RoomAlias, from: &Room, to: &Room) -> Result<bool, StorageError> {
    let Some(row) = ALIASES.get(step, alias)? else { return Ok(false) };
    if !ROOM_ALIASES.contains(step, to.num, alias)? {
        return Ok(false);
    }
    ALIASES.put(step, alias, &Alias { room: to.num, ..row });
    ROOM_ALIASES.delete(step, from.num, alias);
    Ok(true)
}

/// An `m.room.canonical_alias` with nothing but these aliases; `None` if it has none of them.
pub(super) fn canonical_among(content: &Object, aliases: &[RoomAlias]) -> Option<Object> {
    let is_among = |text: &&str| aliases.iter().any(|alias| alias.as_str() == *text);
    let mut kept = Object::new();
    if let Some(alias) = content.str("alias").filter(is_among) {
        kept.insert("alias", alias);
    }
    let alternatives = content.array("alt_aliases").unwrap_or_default().iter().filter_map(Value::as_str);
    let alternatives: Vec<Value> = alternatives.filter(is_among).map(Value::from).collect();
    if !alternatives.is_empty() {
        kept.insert("alt_aliases", alternatives);
    }
    (!kept.is_empty()).then_some(kept)
}

fn local_aliases(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = Room::require(context.read, request.param(0))?;
    if history_visibility::at(context.read, &room, room.head.state)? != HistoryVisibility::WorldReadable {
        membership::require_joined(context.read, request.user_id(), &room)?;
    }
    let aliases: Vec<Value> = aliases_of(context.read, &room)?.iter().map(Value::from).collect();
    Ok(Response::json(200, &Value::Object(Object::new().with("aliases", aliases))))
}

/// Refuses a canonical alias that does not lead to the room (Client-Server API, "m.room.canonical_alias"). Aliases that were
/// there before stay acceptable.
pub fn check_canonical_alias(step: &Step<'_>, room: &Room, content: &Object) -> Result<(), ApiError> {
    let before = room.current_content(step, "m.room.canonical_alias", "")?.unwrap_or_default();
    let known = |alias: &str| {
        before.str("alias") == Some(alias)
            || before.array("alt_aliases").unwrap_or_default().iter().any(|other| other.as_str() == Some(alias))
    };
    let alternatives = content.opt_array("alt_aliases")?.unwrap_or_default();
    let mut aliases = Vec::new();
    aliases.extend(content.opt_str("alias")?.filter(|alias| !alias.is_empty()));
    for alternative in alternatives {
        aliases.push(
            alternative
                .as_str()
                .ok_or_else(|| ApiError::invalid_param("alt_aliases has something that is not a string"))?,
        );
    }
    for text in aliases {
        let alias = parse(text)?;
        if known(text) {
            continue;
        }
        if find(step, &alias)?.is_none_or(|found| found.num != room.num) {
            return Err(ApiError::new(400, "M_BAD_ALIAS", alloc::format!("{alias} does not lead to this room")));
        }
    }
    Ok(())
}
