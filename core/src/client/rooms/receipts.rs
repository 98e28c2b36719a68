//! Receipts and read markers (Client-Server API, "Receipts", "Fully read markers").

use alloc::string::String;

use super::super::account_data;
use super::super::request::{Answer, Auth, BodyExt, ClientRequest, Handler, Limit};
use super::super::routes::Route;
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::room::receipts::{self, Receipt, ReceiptKind};
use crate::room::relation::{MAIN, MAX_HOPS, relation};
use crate::room::{Room, StoredEvent, membership};
use crate::store::StorageError;

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Post,
        "/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}",
        Auth::Required,
        Limit::None,
        Handler::Step(post_receipt),
    ),
    Route::new(
        Method::Post,
        "/_matrix/client/v3/rooms/{roomId}/read_markers",
        Auth::Required,
        Limit::None,
        Handler::Step(set_read_markers),
    ),
];

fn post_receipt(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object_or_empty()?;
    let thread_id = thread_id(&body)?;
    let room = Room::require(step, request.param(0))?;
    membership::require_joined(step, request.user_id(), &room)?;
    let event = event(step, &room, request.param(2))?;
    match request.param(1) {
        "m.fully_read" if thread_id.is_some() => {
            return Err(ApiError::invalid_param("A fully read marker has no thread"));
        }
        "m.fully_read" => mark_fully_read(step, &room, request, &event)?,
        kind => {
            let kind = ReceiptKind::parse(kind).ok_or_else(|| {
                ApiError::invalid_param("The receipt type is none of m.read, m.read.private and m.fully_read")
            })?;
            if let Some(thread_id) = &thread_id
                && !belongs(step, &room, &event, thread_id)?
            {
                return Err(ApiError::invalid_param("The event is not in that thread"));
            }
            advance(step, &room, request, kind, &event, thread_id)?;
        }
    }
    Ok(Response::empty())
}

fn set_read_markers(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let room = Room::require(step, request.param(0))?;
    membership::require_joined(step, request.user_id(), &room)?;
    for kind in [ReceiptKind::Read, ReceiptKind::ReadPrivate] {
        if let Some(event_id) = body.opt_str(kind.as_str())? {
            let event = event(step, &room, event_id)?;
            advance(step, &room, request, kind, &event, None)?;
        }
    }
    if let Some(event_id) = body.opt_str("m.fully_read")? {
        let event = event(step, &room, event_id)?;
        mark_fully_read(step, &room, request, &event)?;
    }
    Ok(Response::empty())
}

fn thread_id(body: &Object) -> Result<Option<String>, ApiError> {
    match body.get("thread_id") {
        None => Ok(None),
        Some(Value::String(thread_id)) if !thread_id.is_empty() => Ok(Some(thread_id.clone())),
        Some(_) => Err(ApiError::invalid_param("thread_id is not a non-empty string")),
    }
}

fn event(step: &Step<'_>, room: &Room, event_id: &str) -> Result<StoredEvent, ApiError> {
    room.timeline_event(step, event_id)?.ok_or_else(|| ApiError::not_found("There is no such event in this room"))
}

fn advance(
    step: &mut Step<'_>,
    room: &Room,
    request: &ClientRequest,
    kind: ReceiptKind,
    event: &StoredEvent,
    thread_id: Option<String>,
) -> Result<(), ApiError> {
    let receipt = Receipt {
        kind,
        user_id: request.user_id().clone(),
        thread_id,
        event_id: event.header.event_id.clone(),
        order: event.header.order,
        ts: step.now,
    };
    Ok(receipts::advance(step, room, &receipt)?)
}

/// Moves the marker forward, as receipts move.
fn mark_fully_read(
    step: &mut Step<'_>,
    room: &Room,
    request: &ClientRequest,
    event: &StoredEvent,
) -> Result<(), ApiError> {
    let user_id = request.user_id();
    let old = account_data::get(step, user_id, Some(room.num), "m.fully_read")?;
    if let Some(Value::Object(old)) = old.and_then(|old| canonical_json::parse(&old).ok())
        && let Some(old) = old.str("event_id")
        && room.event(step, old)?.is_some_and(|old| old.header.order >= event.header.order)
    {
        return Ok(());
    }
    let content = Object::new().with("event_id", &event.header.event_id);
    Ok(account_data::set(step, user_id, Some(room.num), "m.fully_read", &content)?)
}

/// Whether a receipt for `event` may be in a thread. An event that starts a thread is in the main timeline; a receipt for
/// it, or for what relates to it, says in the thread that nothing of that has been read.
fn belongs(step: &Step<'_>, room: &Room, event: &StoredEvent, thread_id: &str) -> Result<bool, StorageError> {
    let mut next = Some(event.clone());
    for _ in 0..=MAX_HOPS {
        let Some(event) = next else { break };
        if thread_id != MAIN && event.header.event_id.as_str() == thread_id {
            return Ok(true);
        }
        match relation(&event) {
            Some((kind, root)) if kind == "m.thread" => return Ok(root == thread_id),
            Some((_, parent)) => next = room.event(step, &parent)?,
            None => next = None,
        }
    }
    Ok(thread_id == MAIN)
}
