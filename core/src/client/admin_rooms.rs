//! The operator's own look at rooms, behind the same secret as [`super::admin`]. `orrery explain` calls it.
//!
//! ```text
//! GET /_orrery/admin/v1/rooms/{roomId}/explain                         {"lines": [text, …]}: the room as it stands here
//! GET /_orrery/admin/v1/rooms/{roomId}/explain?event_id=               how an event stands, and why
//! GET /_orrery/admin/v1/rooms/{roomId}/explain?type=&state_key=&at=    why the state has what it has there, at the forward
//!                                                                      extremities or before the event `at`
//! ```
//!
//! Errors: `404 M_NOT_FOUND` for a room or an event that is not here, `400 M_MISSING_PARAM` for a type without state key.

use alloc::string::String;
use alloc::vec::Vec;

use super::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::routes::Route;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::http::{Method, Response};
use crate::room::{Room, explain};

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_orrery/admin/v1/rooms/{roomId}/explain",
    Auth::Admin,
    Limit::None,
    Handler::HeavyQuery(explain),
)];

fn explain(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let read = context.read;
    let room = Room::find(read, request.param(0))?.ok_or_else(|| ApiError::not_found("The room is not known here"))?;
    let lines: Option<Vec<String>> = match (request.query("event_id"), request.query("type")) {
        (Some(event_id), _) => explain::event(read, &room, event_id)?,
        (None, Some(kind)) => {
            let state_key = request.query("state_key");
            let state_key = state_key.ok_or_else(|| ApiError::missing_param("state_key is missing"))?;
            explain::state(read, &room, (kind, state_key), request.query("at"))?
        }
        (None, None) => Some(explain::room(read, &room)?),
    };
    let lines = lines.ok_or_else(|| ApiError::not_found("The event is not known here"))?;
    let lines: Vec<Value> = lines.into_iter().map(Value::from).collect();
    Ok(Response::json(200, &Object::new().with("lines", lines).into()))
}

#[cfg(test)]
mod tests;
