//! Messages to devices (Client-Server API, "Send-to-Device messaging").

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::account::accounts;
use super::account::session;
use super::request::{Answer, Auth, BodyExt as _, ClientRequest, Handler, Limit, QueryContext};
use super::routes::Route;
use super::token::StreamToken;
use crate::canonical_json::{Object, Value};
use crate::encryption::inbox;
use crate::error::ApiError;
use crate::federation::edus;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::limits::{MAX_EVENT_SIZE, MAX_IDENTIFIER};
use crate::store::StorageError;
use crate::store::tables::Position;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Put,
    "/_matrix/client/v3/sendToDevice/{eventType}/{txnId}",
    Auth::Guest,
    Limit::Write,
    Handler::Step(send),
)];

/// All devices of a user.
const EVERY_DEVICE: &str = "*";

/// Checks `messages`: contents by user and device, each within the size of an event.
pub fn check_messages(messages: &Object) -> Result<Vec<(UserId, &Object)>, ApiError> {
    let malformed = || ApiError::bad_json("messages is not an object of contents by user and device");
    let mut checked = Vec::with_capacity(messages.len());
    for (user_id, devices) in messages.iter() {
        let user_id = UserId::parse(user_id).map_err(|error| ApiError::invalid_param(error.to_string()))?;
        let devices = devices.as_object().ok_or_else(malformed)?;
        for (device_id, content) in devices.iter() {
            DeviceId::parse(device_id).map_err(|error| ApiError::invalid_param(alloc::format!("A device {error}")))?;
            if content.as_object().ok_or_else(malformed)?.to_bytes().len() > MAX_EVENT_SIZE {
                let message = alloc::format!("A message has more than {MAX_EVENT_SIZE} bytes");
                return Err(ApiError::new(413, "M_TOO_LARGE", message));
            }
        }
        checked.push((user_id, devices));
    }
    Ok(checked)
}

/// Delivers messages to devices of users of this server. Devices that are not there get none, and nobody gets one that is larger
/// than an event.
pub fn deliver(
    step: &mut Step<'_>,
    (sender, kind): (&UserId, &str),
    messages: &[(UserId, &Object)],
) -> Result<(), StorageError> {
    let mut deliveries = Vec::new();
    for (user_id, by_device) in messages {
        let everybody = by_device.object(EVERY_DEVICE);
        for (device_id, _) in session::devices_of(step, user_id)? {
            let content = by_device.object(&device_id).or(everybody);
            if let Some(content) = content.filter(|content| content.to_bytes().len() <= MAX_EVENT_SIZE) {
                deliveries.push((user_id.clone(), device_id, content));
            }
        }
    }
    inbox::deliver(step, (sender, kind), &deliveries)
}

/// `PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}`.
fn send(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let requester = request.requester();
    let (kind, transaction_id) = (request.param(0), request.param(1));
    if kind.len() > MAX_IDENTIFIER {
        return Err(ApiError::invalid_param("The type is longer than 255 bytes"));
    }
    let body = request.object()?;
    let messages = body.opt_object("messages")?.ok_or_else(|| ApiError::missing_param("messages is missing"))?;
    let (local, elsewhere): (Vec<_>, Vec<_>) =
        check_messages(messages)?.into_iter().partition(|(user_id, _)| accounts::is_local(step.config, user_id));
    let device = (&requester.user_id, &requester.device_id);
    if !inbox::begin_transaction(step, device, (kind, transaction_id))? {
        return Ok(Response::empty());
    }
    let sender = (&requester.user_id, kind);
    deliver(step, sender, &local)?;
    let mut by_server: BTreeMap<ServerName, Object> = BTreeMap::new();
    let enabled = step.config.federation.enabled;
    for (user_id, devices) in elsewhere.into_iter().filter(|_| enabled) {
        by_server.entry(user_id.server_name()).or_default().insert(user_id.as_str(), Value::Object(devices.clone()));
    }
    for (server, messages) in by_server {
        match edus::queue_to_device(step, &server, sender, messages) {
            // One server that is away for too long does not keep the others from their messages.
            Err(error) if error.status == 429 => {}
            other => other?,
        }
    }
    Ok(Response::empty())
}

/// Up to where a sync shows that its device has its messages, if any of them are still here.
pub fn acknowledged(
    context: &QueryContext<'_>,
    now: Position,
    request: &ClientRequest,
) -> Result<Option<Position>, ApiError> {
    // A token that is none of ours is refused by the sync itself.
    let token = request.query("since").map(|since| StreamToken::known(context.read, since, now)).transpose()?;
    let Some(token) = token.flatten() else { return Ok(None) };
    let up_to = token.to_device_position();
    let requester = request.requester();
    let device = (&requester.user_id, &requester.device_id);
    Ok(inbox::is_acknowledged(context.read, device, up_to)?.then_some(up_to))
}

#[cfg(test)]
mod tests;
