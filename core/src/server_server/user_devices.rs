//! The devices of this server's users and their keys (Server-Server API, "Device Management", "End-to-End Encryption").

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::canonical_json::{Object, Value};
use crate::client::account::{accounts, session};
use crate::client::keys::claim::{claim_local, read_claims};
use crate::client::keys::query::{Keys, read_wanted};
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::config::Config;
use crate::encryption::cross_signing::{self, Usage};
use crate::encryption::{device_keys, device_lists, list_readers};
use crate::error::ApiError;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::room::membership;

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/_matrix/federation/v1/user/devices/{userId}",
        Auth::Server,
        Limit::None,
        Handler::Step(devices),
    ),
    Route::new(
        Method::Post,
        "/_matrix/federation/v1/user/keys/query",
        Auth::Server,
        Limit::None,
        Handler::HeavyQuery(query_keys),
    ),
    Route::new(
        Method::Post,
        "/_matrix/federation/v1/user/keys/claim",
        Auth::Server,
        Limit::None,
        Handler::Step(claim_keys),
    ),
];

fn local_user(config: &Config, text: &str) -> Result<UserId, ApiError> {
    let user_id = UserId::parse(text).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    require_local(config, &user_id)?;
    Ok(user_id)
}

fn require_local(config: &Config, user_id: &UserId) -> Result<(), ApiError> {
    if !accounts::is_local(config, user_id) {
        return Err(ApiError::invalid_param(alloc::format!("{user_id} belongs to another server")));
    }
    Ok(())
}

/// `GET /user/devices/{userId}`: the devices that have keys, and the public cross-signing keys.
fn devices(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let user_id = local_user(step.config, request.param(0))?;
    if !accounts::is_active(step, &user_id)? {
        return Err(ApiError::not_found("There is no such user on this server"));
    }
    if !membership::shares_a_room_with(step, &user_id, request.origin())? {
        list_readers::note(step, &user_id, request.origin())?;
    }
    let read = &*step;
    let mut devices = Vec::new();
    for (device_id, mut keys) in device_keys::of_user(read, &user_id)? {
        cross_signing::attach(read, &mut keys, (&user_id, &device_id), None)?;
        let mut device = Object::new().with("device_id", &device_id).with("keys", keys);
        let name = session::DEVICES.get(read, (&user_id, &device_id))?.and_then(|device| device.display_name);
        if let Some(name) = name {
            device.insert("device_display_name", name);
        }
        devices.push(Value::from(device));
    }
    let stream_id = device_lists::version(read, &user_id)?.stream.0;
    let mut answer = Object::new().with("devices", devices).with("stream_id", stream_id).with("user_id", &user_id);
    for usage in Usage::ALL {
        if let Some(key) = cross_signing::visible(read, &user_id, usage, None)? {
            answer.insert(usage.member(), key);
        }
    }
    Ok(Response::json(200, &answer.into()))
}

/// `POST /user/keys/query`.
fn query_keys(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let wanted = read_wanted(&request.object()?)?;
    let mut keys = Keys::default();
    for (user_id, devices) in &wanted {
        require_local(context.config, user_id)?;
        keys.add_local(context.read, user_id, devices, None)?;
    }
    Ok(Response::json(200, &keys.describe().into()))
}

/// `POST /user/keys/claim`.
fn claim_keys(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let mut keys = Object::new();
    for (user_id, devices) in read_claims(&request.object()?)? {
        require_local(step.config, &user_id)?;
        let claimed = claim_local(step, &user_id, &devices)?;
        if !claimed.is_empty() {
            keys.insert(user_id.as_str(), claimed);
        }
    }
    Ok(Response::json(200, &Object::new().with("one_time_keys", keys).into()))
}
