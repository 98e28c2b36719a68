//! Account data (Client-Server API, "Client Config"): what clients keep for their user, globally and for each room.
//!
//! Beside the rows lies an index of them by position, so that what is new for a user since a sync token is one short scan.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::push_rules::ruleset::{self, Ruleset};
use super::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::routes::Route;
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::flow::{Notice, Step};
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::limits::{MAX_ACCOUNT_DATA_TYPES, MAX_IDENTIFIER};
use crate::room::{Room, membership};
use crate::store::log::{self, LogEntry};
use crate::store::tables::{Position, RoomNum, Table, tags};
use crate::store::{Key, Order, Read, StorageError};

const GLOBAL: &str = "/_matrix/client/v3/user/{userId}/account_data/{type}";
const IN_ROOM: &str = "/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}";

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, GLOBAL, Auth::Required, Limit::None, Handler::Query(get_global)),
    Route::new(Method::Put, GLOBAL, Auth::Required, Limit::Write, Handler::Step(put_global)),
    Route::new(Method::Get, IN_ROOM, Auth::Required, Limit::None, Handler::Query(get_in_room)),
    Route::new(Method::Put, IN_ROOM, Auth::Required, Limit::Write, Handler::Step(put_in_room)),
];

/// The event type of a user's push rules, which are made from [`ruleset`] whenever they are read.
pub const PUSH_RULES: &str = "m.push_rules";

/// The event type of the users whom a user ignores.
pub const IGNORED_USERS: &str = "m.ignored_user_list";

/// Whether global account data of this type decides which events notify its user.
#[must_use]
pub fn decides_notifications(kind: &str) -> bool {
    kind == PUSH_RULES || kind == IGNORED_USERS
}

/// What only the server writes (Client-Server API, "Client Config", "Server behaviour").
const MANAGED: [&str; 2] = ["m.fully_read", PUSH_RULES];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    position: Position,
    /// In canonical JSON; `None` for what is kept elsewhere and made when it is read.
    content: Option<Vec<u8>>,
}

/// Where account data belongs: zero is global, and a room is one above its number.
type Scope = u32;

const ROWS: Table<(UserId, Scope, String), Row> = Table::new(tags::ACCOUNT_DATA);
const BY_POSITION: Table<(UserId, Position), (Scope, String)> = Table::new(tags::ACCOUNT_DATA_BY_POSITION);

fn scope_of(room: Option<RoomNum>) -> Scope {
    room.map_or(0, |room| room.0 + 1)
}

/// One piece of account data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountData {
    /// The room that it is for; `None` is global.
    pub room: Option<RoomNum>,
    /// The event type.
    pub kind: String,
    /// In canonical JSON.
    pub content: Vec<u8>,
}

/// Writes account data and tells the user's devices.
pub fn set(
    step: &mut Step<'_>,
    user_id: &UserId,
    room: Option<RoomNum>,
    kind: &str,
    content: &Object,
) -> Result<(), StorageError> {
    put(step, user_id, room, kind, Some(content.to_bytes()))
}

/// The user's push rules changed.
pub fn push_rules_changed(step: &mut Step<'_>, user_id: &UserId) -> Result<(), StorageError> {
    put(step, user_id, None, PUSH_RULES, None)
}

fn put(
    step: &mut Step<'_>,
    user_id: &UserId,
    room: Option<RoomNum>,
    kind: &str,
    content: Option<Vec<u8>>,
) -> Result<(), StorageError> {
    let scope = scope_of(room);
    if let Some(old) = ROWS.get(step, (user_id, scope, kind))? {
        BY_POSITION.delete(step, (user_id, old.position));
    }
    let position = step.next_position();
    ROWS.put(step, (user_id, scope, kind), &Row { position, content });
    BY_POSITION.put(step, (user_id, position), &(scope, kind.to_string()));
    log::append(step, position, &LogEntry::AccountData { user_id: user_id.clone(), room, kind: kind.to_string() });
    step.notify(Notice::User(user_id.clone()));
    if room.is_none() && decides_notifications(kind) {
        step.notify(Notice::PushRules(user_id.clone()));
    }
    Ok(())
}

/// The content of one piece of account data, in canonical JSON.
pub fn get(
    read: &(impl Read + ?Sized),
    user_id: &UserId,
    room: Option<RoomNum>,
    kind: &str,
) -> Result<Option<Vec<u8>>, StorageError> {
    if room.is_none() && kind == PUSH_RULES {
        return ruleset::account_data(read, user_id).map(Some);
    }
    Ok(ROWS.get(read, (user_id, scope_of(room), kind))?.and_then(|row| row.content))
}

/// The users whom the user ignores (Client-Server API, "Ignoring users").
pub fn ignored_users(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<BTreeSet<UserId>, StorageError> {
    let Some(content) = get(read, user_id, None, IGNORED_USERS)? else {
        return Ok(BTreeSet::new());
    };
    let Ok(Value::Object(content)) = canonical_json::parse(&content) else { return Ok(BTreeSet::new()) };
    let ignored = content.object("ignored_users").into_iter().flat_map(|users| users.iter());
    Ok(ignored.filter_map(|(ignored, _)| UserId::parse(ignored).ok()).collect())
}

/// What a user has for one room.
pub fn of_room(read: &(impl Read + ?Sized), user_id: &UserId, room: RoomNum) -> Result<Vec<AccountData>, StorageError> {
    scan(read, (user_id, scope_of(Some(room))))
}

/// Everything that a user has, globally and for rooms. Push rules are there although the user never changed them.
pub fn all(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Vec<AccountData>, StorageError> {
    let mut all = scan(read, (user_id,))?;
    let content = ruleset::account_data(read, user_id)?;
    all.push(AccountData { room: None, kind: PUSH_RULES.to_string(), content });
    Ok(all)
}

fn scan(read: &(impl Read + ?Sized), prefix: impl Key) -> Result<Vec<AccountData>, StorageError> {
    let mut found = Vec::new();
    ROWS.scan::<StorageError>(read, prefix, Order::Ascending, |(_, scope, kind), row| {
        if let Some(content) = row.content {
            found.push(AccountData { room: scope.checked_sub(1).map(RoomNum), kind, content });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// What changed after one position and up to another, oldest first, everything once.
pub fn changed_since(
    read: &(impl Read + ?Sized),
    user_id: &UserId,
    after: Position,
    until: Position,
) -> Result<Vec<AccountData>, StorageError> {
    let mut keys = Vec::new();
    let range = (user_id, Position(after.0.saturating_add(1)));
    let end = (user_id, Position(until.0.saturating_add(1)));
    BY_POSITION.scan_range::<StorageError>(read, range, Some(end), Order::Ascending, |_, key| {
        keys.push(key);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut changed = Vec::with_capacity(keys.len());
    for (scope, kind) in keys {
        let room = scope.checked_sub(1).map(RoomNum);
        if let Some(content) = get(read, user_id, room, &kind)? {
            changed.push(AccountData { room, kind, content });
        }
    }
    Ok(changed)
}

/// Forgets everything, push rules included (Client-Server API, "Account deactivation").
pub fn erase(step: &mut Step<'_>, user_id: &UserId) -> Result<(), StorageError> {
    let mut rows = Vec::new();
    ROWS.scan::<StorageError>(step, (user_id,), Order::Ascending, |(_, scope, kind), row| {
        rows.push((scope, kind, row.position));
        Ok(ControlFlow::Continue(()))
    })?;
    for (scope, kind, position) in rows {
        ROWS.delete(step, (user_id, scope, kind));
        BY_POSITION.delete(step, (user_id, position));
    }
    Ruleset::erase(step, user_id);
    step.notify(Notice::PushRules(user_id.clone()));
    Ok(())
}

/// The path's user is the one who asks; others' data is nobody's business.
pub(super) fn require_own<'r>(request: &'r ClientRequest, what: &str) -> Result<&'r UserId, ApiError> {
    if request.param(0) != request.user_id().as_str() {
        return Err(ApiError::forbidden(alloc::format!("You may not see or change the {what} of others")));
    }
    Ok(request.user_id())
}

/// The path's room, in which the user is or was.
pub(super) fn require_room(read: &(impl Read + ?Sized), user_id: &UserId, room_id: &str) -> Result<RoomNum, ApiError> {
    let room = Room::require(read, room_id)?;
    match membership::of(read, user_id, room.num)? {
        Some(_) => Ok(room.num),
        None => Err(ApiError::forbidden("You are not in this room, or there is no such room")),
    }
}

/// `GET /user/{userId}/account_data/{type}`.
fn get_global(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let user_id = require_own(request, "account data")?;
    answer(get(context.read, user_id, None, request.param(1))?)
}

/// `GET /user/{userId}/rooms/{roomId}/account_data/{type}`.
fn get_in_room(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let user_id = require_own(request, "account data")?;
    let room = require_room(context.read, user_id, request.param(1))?;
    answer(get(context.read, user_id, Some(room), request.param(2))?)
}

fn answer(content: Option<Vec<u8>>) -> Answer {
    match content {
        Some(content) => Ok(Response::json_bytes(200, content.into())),
        None => Err(ApiError::not_found("There is no account data of this type")),
    }
}

/// `PUT /user/{userId}/account_data/{type}`.
fn put_global(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let user_id = require_own(request, "account data")?;
    put_by_client(step, user_id, None, request.param(1), request)
}

/// `PUT /user/{userId}/rooms/{roomId}/account_data/{type}`.
fn put_in_room(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let user_id = require_own(request, "account data")?;
    let room = require_room(step, user_id, request.param(1))?;
    put_by_client(step, user_id, Some(room), request.param(2), request)
}

fn put_by_client(
    step: &mut Step<'_>,
    user_id: &UserId,
    room: Option<RoomNum>,
    kind: &str,
    request: &ClientRequest,
) -> Answer {
    if MANAGED.contains(&kind) {
        return Err(ApiError::new(405, "M_BAD_JSON", alloc::format!("{kind} is written by the server only")));
    }
    if kind.len() > MAX_IDENTIFIER {
        return Err(ApiError::invalid_param("The type is longer than 255 bytes"));
    }
    let content = request.object()?;
    require_place(step, user_id, scope_of(room), kind)?;
    set(step, user_id, room, kind, &content)?;
    Ok(Response::empty())
}

/// Refuses a further type when the user has [`MAX_ACCOUNT_DATA_TYPES`] in this scope.
fn require_place(step: &Step<'_>, user_id: &UserId, scope: Scope, kind: &str) -> Result<(), ApiError> {
    if ROWS.contains(step, (user_id, scope, kind))? {
        return Ok(());
    }
    let mut count = 0;
    ROWS.scan::<StorageError>(step, (user_id, scope), Order::Ascending, |_, _| {
        count += 1;
        Ok(if count < MAX_ACCOUNT_DATA_TYPES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    if count < MAX_ACCOUNT_DATA_TYPES {
        return Ok(());
    }
    Err(ApiError::forbidden(alloc::format!("A user has at most {MAX_ACCOUNT_DATA_TYPES} types of account data here")))
}

#[cfg(test)]
mod tests;
