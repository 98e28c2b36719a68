//! Device management (Client-Server API, "Device Management").

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::account::session::{self, DEVICES, Device};
use super::account::uia::{self, Attempt, Binding, Plan, Stage};
use super::keys::announce;
use super::request::{Answer, Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit, QueryContext};
use super::routes::Route;
use crate::canonical_json::{Object, Value};
use crate::encryption::{device_keys, device_lists};
use crate::error::ApiError;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::DeviceId;
use crate::limits::MAX_DEVICES;

const DEVICE: &str = "/_matrix/client/v3/devices/{deviceId}";

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, "/_matrix/client/v3/devices", Auth::Guest, Limit::None, Handler::Query(list)),
    Route::new(Method::Get, DEVICE, Auth::Guest, Limit::None, Handler::Query(get)),
    Route::new(Method::Put, DEVICE, Auth::Guest, Limit::Write, Handler::Step(put)),
    Route::new(Method::Delete, DEVICE, Auth::Required, Limit::Login, Handler::Flow("delete device", delete)),
    Route::new(
        Method::Post,
        "/_matrix/client/v3/delete_devices",
        Auth::Required,
        Limit::Login,
        Handler::Flow("delete devices", delete_many),
    ),
];

fn describe(device_id: &DeviceId, device: &Device) -> Value {
    let address = device.last_seen.address.map(|address| address.to_string());
    let name = device.display_name.as_deref();
    Object::new()
        .with("device_id", device_id)
        .with("display_name", name.map_or(Value::Null, Value::from))
        .with("last_seen_ip", address.map_or(Value::Null, Value::from))
        .with("last_seen_ts", device.last_seen.at)
        .into()
}

/// `GET /_matrix/client/v3/devices`.
fn list(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let devices = session::devices_of(context.read, request.user_id())?;
    let devices: Vec<Value> = devices.iter().map(|(device_id, device)| describe(device_id, device)).collect();
    Ok(Response::json(200, &Object::new().with("devices", devices).into()))
}

fn not_found() -> ApiError {
    ApiError::not_found("You have no such device")
}

fn device_param(request: &ClientRequest) -> Result<DeviceId, ApiError> {
    DeviceId::parse(request.param(0)).map_err(|_| not_found())
}

/// `GET /_matrix/client/v3/devices/{deviceId}`.
fn get(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let device_id = device_param(request)?;
    let device = DEVICES.get(context.read, (request.user_id(), &device_id))?.ok_or_else(not_found)?;
    Ok(Response::json(200, &describe(&device_id, &device)))
}

/// `PUT /_matrix/client/v3/devices/{deviceId}`.
fn put(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let device_id = device_param(request)?;
    let mut device = DEVICES.get(step, (request.user_id(), &device_id))?.ok_or_else(not_found)?;
    let body = request.object()?;
    if let Some(name) = body.opt_str("display_name")? {
        session::require_display_name(name)?;
        let is_news = device.display_name.as_deref() != Some(name);
        device.display_name = Some(name.to_string());
        DEVICES.put(step, (request.user_id(), &device_id), &device);
        if is_news && device_keys::get(step, request.user_id(), &device_id)?.is_some() {
            device_lists::changed(step, request.user_id())?;
            announce::device_changed(step, request.user_id(), &device_id)?;
        }
    }
    Ok(Response::empty())
}

/// `DELETE /_matrix/client/v3/devices/{deviceId}`.
fn delete(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object_or_empty()?;
        let device_id = device_param(&request)?;
        delete_all(&cx, &request, &body, &[device_id]).await
    })
}

/// `POST /_matrix/client/v3/delete_devices`.
fn delete_many(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let Some(devices) = body.opt_array("devices")? else {
            return Err(ApiError::missing_param("devices is missing"));
        };
        if devices.len() > MAX_DEVICES {
            return Err(ApiError::invalid_param("More devices than a user can have"));
        }
        let parse = |device: &Value| {
            let text = device.as_str().ok_or_else(|| ApiError::bad_json("devices is not an array of strings"))?;
            DeviceId::parse(text).map_err(|error| ApiError::invalid_param(alloc::format!("A device is {error}")))
        };
        let devices: Vec<DeviceId> = devices.iter().map(parse).collect::<Result<_, _>>()?;
        delete_all(&cx, &request, &body, &devices).await
    })
}

/// Deletes devices once the user has given the password. Those that are not there are deleted already.
async fn delete_all(cx: &Cx, request: &ClientRequest, body: &Object, devices: &[DeviceId]) -> Answer {
    let user_id = request.user_id();
    let flows = alloc::vec![alloc::vec![Stage::Password]];
    let plan = Plan { flows, user: Some(user_id.clone()), binding: Binding::Strict };
    let pass = match uia::attempt(cx, request, body, &plan).await? {
        Attempt::Passed(pass) => pass,
        Attempt::Challenge(response) => return Ok(response),
    };
    cx.step(|step| {
        pass.consume(step);
        for device_id in devices {
            session::end(step, user_id, device_id)?;
        }
        Ok(Response::empty())
    })
}

#[cfg(test)]
mod tests;
