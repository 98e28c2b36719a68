//! Uploading a device's keys (Client-Server API, `POST /keys/upload`).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::announce;
use crate::canonical_json::{Object, Value};
use crate::client::request::{Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::effect::{Job, Requester};
use crate::encryption::{device_keys, key_shapes, one_time_keys};
use crate::error::ApiError;
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::identifiers::KeyId;
use crate::input::Outcome;
use crate::signing::SignedMessage;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/keys/upload",
    Auth::Guest,
    Limit::Write,
    Handler::Flow("upload keys", upload),
)];

/// What an upload brings, checked but for signatures.
struct Upload {
    device_keys: Option<Object>,
    one_time: Vec<(KeyId, Value)>,
    fallback: Vec<(KeyId, Value)>,
}

impl Upload {
    fn read(body: &Object, requester: &Requester) -> Result<Upload, ApiError> {
        let device_keys = match body.opt_object("device_keys")? {
            None => None,
            Some(keys) => {
                let mut keys = keys.clone();
                // What servers add is not the device's to say.
                keys.remove("unsigned");
                key_shapes::check_device_keys(&keys, &requester.user_id, &requester.device_id)
                    .map_err(ApiError::invalid_param)?;
                Some(keys)
            }
        };
        let none = Object::new();
        Ok(Upload {
            device_keys,
            one_time: key_shapes::one_time_keys(body.opt_object("one_time_keys")?.unwrap_or(&none))?,
            fallback: key_shapes::fallback_keys(body.opt_object("fallback_keys")?.unwrap_or(&none))?,
        })
    }
}

/// `POST /_matrix/client/v3/keys/upload`.
fn upload(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let requester = request.requester();
        let (user_id, device_id) = (&requester.user_id, &requester.device_id);
        let upload = Upload::read(&request.object()?, requester)?;
        let stored = cx.step(|step| Ok(device_keys::get(step, user_id, device_id)?))?;
        let checks = signatures(&upload, stored.as_ref(), requester)?;
        require_valid(&cx, checks, "a key by its device").await?;
        cx.step(|step| {
            require_device(step, requester)?;
            if let Some(keys) = &upload.device_keys
                && device_keys::set(step, user_id, device_id, keys)?
            {
                announce::device_changed(step, user_id, device_id)?;
            }
            if !upload.one_time.is_empty() {
                one_time_keys::add(step, user_id, device_id, &upload.one_time)?;
            }
            if !upload.fallback.is_empty() {
                one_time_keys::set_fallback(step, user_id, device_id, &upload.fallback)?;
            }
            let counts = one_time_keys::counts(step, user_id, device_id)?;
            let answer = Object::new().with("one_time_key_counts", one_time_keys::describe(&counts));
            Ok(Response::json(200, &answer.into()))
        })
    })
}

/// The device may have been deleted while its signatures were checked: it gets no keys then.
fn require_device(step: &crate::flow::Step<'_>, requester: &Requester) -> Result<(), ApiError> {
    let key = (&requester.user_id, &requester.device_id);
    match crate::client::account::session::DEVICES.contains(step, key)? {
        true => Ok(()),
        false => Err(ApiError::new(401, "M_UNKNOWN_TOKEN", "You were logged out").with("soft_logout", false)),
    }
}

/// The device's own signatures: on its identity keys always, on other keys if it has identity keys to check them with.
fn signatures(upload: &Upload, stored: Option<&Object>, requester: &Requester) -> Result<Vec<SignedMessage>, ApiError> {
    let (user_id, device_id) = (&requester.user_id, &requester.device_id);
    let Some(identity) = upload.device_keys.as_ref().or(stored) else { return Ok(Vec::new()) };
    let key_id = key_shapes::device_key_id(device_id);
    let public_key = key_shapes::device_public_key(identity, device_id);
    let (Some(key_id), Some(public_key)) = (key_id, public_key) else {
        return Err(ApiError::invalid_param("device_keys has no Ed25519 key of this device"));
    };
    let signed_keys = upload.one_time.iter().chain(&upload.fallback);
    let signed_keys = signed_keys.filter(|(key_id, _)| key_id.algorithm().starts_with("signed_"));
    let objects = signed_keys.filter_map(|(_, key)| key.as_object());
    upload
        .device_keys
        .iter()
        .chain(objects)
        .map(|object| {
            key_shapes::to_verify(object, user_id, &key_id, public_key)
                .ok_or_else(|| key_shapes::invalid_signature("a key by its device"))
        })
        .collect()
}

/// Checks signatures, all of which have to be right: `400 M_INVALID_SIGNATURE`.
pub(super) async fn require_valid(cx: &Cx, checks: Vec<SignedMessage>, what: &str) -> Result<(), ApiError> {
    if verify(cx, checks).await?.iter().all(|valid| *valid) {
        return Ok(());
    }
    Err(key_shapes::invalid_signature(what))
}

/// Checks signatures; the verdicts are in their order.
pub(super) async fn verify(cx: &Cx, checks: Vec<SignedMessage>) -> Result<Vec<bool>, ApiError> {
    if checks.is_empty() {
        return Ok(Vec::new());
    }
    match cx.compute(Job::Verify(checks)).await {
        Outcome::Verified(verdicts) => Ok(verdicts),
        _ => Err(ApiError::internal("The server could not check signatures")),
    }
}
