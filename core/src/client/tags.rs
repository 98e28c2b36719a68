//! Room tagging (Client-Server API, "Room Tagging"): the room's account data of type `m.tag`.

use super::account_data::{self, require_own, require_room};
use super::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::routes::Route;
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::limits::{MAX_IDENTIFIER, MAX_TAGS};
use crate::store::tables::RoomNum;
use crate::store::{Read, StorageError};

const TAGS: &str = "/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags";
const TAG: &str = "/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}";

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, TAGS, Auth::Required, Limit::None, Handler::Query(list)),
    Route::new(Method::Put, TAG, Auth::Required, Limit::Write, Handler::Step(put)),
    Route::new(Method::Delete, TAG, Auth::Required, Limit::Write, Handler::Step(delete)),
];

/// The room's tags. Clients may have written anything as `m.tag`; what is no object has no tags.
fn tags_of(read: &(impl Read + ?Sized), user_id: &UserId, room: RoomNum) -> Result<Object, StorageError> {
    let Some(content) = account_data::get(read, user_id, Some(room), "m.tag")? else { return Ok(Object::new()) };
    let content = canonical_json::parse(&content)
        .map_err(|error| StorageError(alloc::format!("the tags of {user_id}: {error}")))?;
    Ok(content.get("tags").and_then(Value::as_object).cloned().unwrap_or_default())
}

fn content(tags: Object) -> Object {
    Object::new().with("tags", tags)
}

/// `GET /user/{userId}/rooms/{roomId}/tags`.
fn list(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let user_id = require_own(request, "tags")?;
    let room = require_room(context.read, user_id, request.param(1))?;
    Ok(Response::json(200, &content(tags_of(context.read, user_id, room)?).into()))
}

/// `PUT /user/{userId}/rooms/{roomId}/tags/{tag}`.
fn put(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let user_id = require_own(request, "tags")?;
    let room = require_room(step, user_id, request.param(1))?;
    let tag = request.param(2);
    if tag.len() > MAX_IDENTIFIER {
        return Err(ApiError::invalid_param("The tag is longer than 255 bytes"));
    }
    let body = request.object_or_empty()?;
    if !matches!(body.get("order"), None | Some(Value::Null | Value::Integer(_) | Value::Number(_))) {
        return Err(ApiError::bad_json("order is not a number"));
    }
    let mut tags = tags_of(step, user_id, room)?;
    if tags.len() >= MAX_TAGS && !tags.contains(tag) {
        return Err(ApiError::forbidden(alloc::format!("A room has at most {MAX_TAGS} tags")));
    }
    tags.insert(tag, body);
    account_data::set(step, user_id, Some(room), "m.tag", &content(tags))?;
    Ok(Response::empty())
}

/// `DELETE /user/{userId}/rooms/{roomId}/tags/{tag}`.
fn delete(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let user_id = require_own(request, "tags")?;
    let room = require_room(step, user_id, request.param(1))?;
    let mut tags = tags_of(step, user_id, room)?;
    if tags.remove(request.param(2)).is_some() {
        account_data::set(step, user_id, Some(room), "m.tag", &content(tags))?;
    }
    Ok(Response::empty())
}
