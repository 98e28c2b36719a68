//! The devices of this server's users and their keys (Server-Server API, "Device Management", "End-to-End Encryption").
//!
//! No client can upload keys yet, and a device without keys is of no use to others: so there is nothing to tell of anybody's
//! devices, and no one-time key to claim.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::canonical_json::{Object, Value};
use crate::client::account::accounts;
use crate::client::request::{Answer, Auth, BodyExt as _, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::{Method, Response};
use crate::identifiers::UserId;

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/_matrix/federation/v1/user/devices/{userId}",
        Auth::Server,
        Limit::None,
        Handler::Query(devices),
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
        Handler::Query(claim_keys),
    ),
];

fn local_user(context: &QueryContext<'_>, text: &str) -> Result<UserId, ApiError> {
    let user_id = UserId::parse(text).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    if !accounts::is_local(context.config, &user_id) {
        return Err(ApiError::invalid_param(alloc::format!("{user_id} belongs to another server")));
    }
    Ok(user_id)
}

fn devices(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let user_id = local_user(context, request.param(0))?;
    if !accounts::is_active(context.read, &user_id)? {
        return Err(ApiError::not_found("There is no such user on this server"));
    }
    let answer = Object::new().with("user_id", &user_id).with("stream_id", 0u32).with("devices", Vec::<Value>::new());
    Ok(Response::json(200, &answer.into()))
}

fn query_keys(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let asked = body.opt_object("device_keys")?.ok_or_else(|| ApiError::missing_param("device_keys is missing"))?;
    let mut device_keys = Object::new();
    for (user_id, devices) in asked.iter() {
        let user_id = local_user(context, user_id)?;
        if devices.as_array().is_none_or(|devices| devices.iter().any(|device| device.as_str().is_none())) {
            return Err(ApiError::bad_json("device_keys has something that is not a list of device IDs"));
        }
        if accounts::is_active(context.read, &user_id)? {
            device_keys.insert(user_id.as_str(), Object::new());
        }
    }
    Ok(Response::json(200, &Object::new().with("device_keys", device_keys).into()))
}

fn claim_keys(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let asked = body.opt_object("one_time_keys")?.ok_or_else(|| ApiError::missing_param("one_time_keys is missing"))?;
    for (user_id, devices) in asked.iter() {
        local_user(context, user_id)?;
        if devices.as_object().is_none_or(|devices| devices.iter().any(|(_, kind)| kind.as_str().is_none())) {
            return Err(ApiError::bad_json("one_time_keys has something that is not an algorithm for each device"));
        }
    }
    Ok(Response::json(200, &Object::new().with("one_time_keys", Object::new()).into()))
}
