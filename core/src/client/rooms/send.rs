//! Sending message events, state events and redactions (Client-Server API, "Sending events to a room", "Redactions").

use alloc::string::ToString;

use super::super::request::{Answer, Auth, BodyExt, ClientRequest, Handler, Limit};
use super::super::routes::Route;
use super::super::transaction_id::TransactionKey;
use super::directory;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::identifiers::EventId;
use crate::room::append::{Draft, append};
use crate::room::{Room, membership};

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Put,
        "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}",
        Auth::Guest,
        Limit::Message,
        Handler::Step(send_message),
    ),
    Route::new(
        Method::Put,
        "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
        Auth::Guest,
        Limit::Message,
        Handler::Step(set_state),
    ),
    Route::new(
        Method::Put,
        "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/",
        Auth::Guest,
        Limit::Message,
        Handler::Step(set_state),
    ),
    Route::new(
        Method::Put,
        "/_matrix/client/v3/rooms/{roomId}/state/{eventType}",
        Auth::Guest,
        Limit::Message,
        Handler::Step(set_state),
    ),
    Route::new(
        Method::Put,
        "/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}",
        Auth::Guest,
        Limit::Message,
        Handler::Step(redact),
    ),
];

fn answer(event_id: &EventId) -> Answer {
    Ok(Response::json(200, &Value::Object(Object::new().with("event_id", event_id))))
}

fn send_message(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let transaction = TransactionKey::of(request, "send");
    if let Some(event_id) = transaction.find(step)? {
        return answer(&event_id);
    }
    let mut room = Room::require(step, request.param(0))?;
    let mut draft = Draft::message(request.user_id(), request.param(1), request.object()?);
    draft.transaction = Some((request.requester().device_id.clone(), request.param(2).to_string()));
    if draft.kind == "m.room.redaction" {
        let redacts = draft.content.required_str("redacts")?;
        draft.redacts = Some(event_id(redacts)?);
        require_redactable(step, &room, request, redacts)?;
    }
    let appended = append(step, &mut room, draft)?;
    transaction.record(step, room.num, &appended);
    answer(&appended.event_id)
}

fn set_state(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let mut room = Room::require(step, request.param(0))?;
    let kind = request.param(1);
    let state_key = request.params.get(2).map_or("", |key| key.as_str());
    let content = request.object()?;
    if kind == "m.room.create" {
        return Err(ApiError::forbidden("A room has one create event, its first"));
    }
    if kind == "m.room.canonical_alias" && state_key.is_empty() {
        directory::check_canonical_alias(step, &room, &content)?;
    }
    // Setting what is set already changes nothing and makes no event.
    if let Some(event) = room.state_event(step, room.head.state, kind, state_key)?
        && event.header.sender == *request.user_id()
        && event.content_bytes() == content.to_bytes()
    {
        membership::require_joined(step, request.user_id(), &room)?;
        return answer(&event.header.event_id);
    }
    let appended = append(step, &mut room, Draft::state(request.user_id(), kind, state_key, content))?;
    answer(&appended.event_id)
}

fn redact(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let transaction = TransactionKey::of(request, "redact");
    if let Some(event_id) = transaction.find(step)? {
        return answer(&event_id);
    }
    let mut room = Room::require(step, request.param(0))?;
    let body = request.object_or_empty()?;
    let redacts = event_id(request.param(1))?;
    let mut content = Object::new();
    if let Some(reason) = body.opt_str("reason")? {
        content.insert("reason", reason);
    }
    if room.info.version.rules().redacts_in_content {
        content.insert("redacts", &redacts);
    }
    require_redactable(step, &room, request, &redacts)?;
    let mut draft = Draft::message(request.user_id(), "m.room.redaction", content);
    draft.redacts = Some(redacts);
    draft.transaction = Some((request.requester().device_id.clone(), request.param(2).to_string()));
    let appended = append(step, &mut room, draft)?;
    transaction.record(step, room.num, &appended);
    answer(&appended.event_id)
}

fn event_id(text: &str) -> Result<EventId, ApiError> {
    EventId::parse(text).map_err(|error| ApiError::invalid_param(error.to_string()))
}

/// From room version 3 on the rules let any redaction into the room and servers decide what it does, so what will do
/// nothing is refused here.
fn require_redactable(step: &Step<'_>, room: &Room, request: &ClientRequest, target: &str) -> Result<(), ApiError> {
    membership::require_joined(step, request.user_id(), room)?;
    let Some(event) = room.timeline_event(step, target)? else {
        return Err(ApiError::not_found("There is no such event in this room"));
    };
    if event.header.kind == "m.room.create" {
        return Err(ApiError::forbidden("A create event is not redacted"));
    }
    if event.header.sender == *request.user_id() {
        return Ok(());
    }
    let levels = room.power_levels(step)?;
    if levels.user(request.user_id()) < levels.redact() {
        return Err(ApiError::forbidden("Your power level is too low to redact other people's events"));
    }
    Ok(())
}
