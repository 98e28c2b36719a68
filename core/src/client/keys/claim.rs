//! Claiming one-time keys (Client-Server API, `POST /keys/claim`).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::query::{failure, read_timeout};
use crate::canonical_json::Object;
use crate::client::account::accounts;
use crate::client::request::{Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::encryption::one_time_keys;
use crate::error::ApiError;
use crate::federation::claim_keys::{Claims, claim_keys};
use crate::flow::{Cx, Step, join_all};
use crate::http::{Method, Response};
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::limits::{KEY_QUERIES_AT_ONCE, MAX_KEYS_ASKED};
use crate::store::StorageError;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/keys/claim",
    Auth::Guest,
    Limit::None,
    Handler::Flow("claim keys", claim),
)];

/// Reads `one_time_keys` of a request: devices and algorithms by user.
pub fn read_claims(body: &Object) -> Result<BTreeMap<UserId, Vec<(DeviceId, String)>>, ApiError> {
    let asked = body.opt_object("one_time_keys")?.ok_or_else(|| ApiError::missing_param("one_time_keys is missing"))?;
    let malformed = || ApiError::bad_json("one_time_keys has something that is not an algorithm for each device");
    let mut claims = BTreeMap::new();
    let mut total = 0;
    for (user_id, devices) in asked.iter() {
        let user_id = UserId::parse(user_id).map_err(|error| ApiError::invalid_param(error.to_string()))?;
        let devices = devices.as_object().ok_or_else(malformed)?;
        let devices = devices.iter().map(|(device_id, algorithm)| {
            let algorithm = algorithm.as_str().ok_or_else(malformed)?;
            let device_id = DeviceId::parse(device_id)
                .map_err(|error| ApiError::invalid_param(alloc::format!("A device {error}")))?;
            Ok((device_id, algorithm.to_string()))
        });
        let devices = devices.collect::<Result<Vec<_>, ApiError>>()?;
        total += devices.len();
        claims.insert(user_id, devices);
    }
    if total > MAX_KEYS_ASKED {
        return Err(ApiError::invalid_param(alloc::format!("More than {MAX_KEYS_ASKED} devices")));
    }
    Ok(claims)
}

/// Claims keys of a user of this server: what `one_time_keys` has for them. They are nobody else's once the step is durable.
pub fn claim_local(
    step: &mut Step<'_>,
    user_id: &UserId,
    devices: &[(DeviceId, String)],
) -> Result<Object, StorageError> {
    let mut claimed = Object::new();
    for (device_id, algorithm) in devices {
        if let Some((key_id, key)) = one_time_keys::claim(step, user_id, device_id, algorithm)? {
            claimed.insert(device_id.as_str(), Object::new().with(&key_id, key));
        }
    }
    Ok(claimed)
}

/// `POST /_matrix/client/v3/keys/claim`.
fn claim(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let claims = read_claims(&body)?;
        let timeout = read_timeout(&body)?;
        let mut keys = Object::new();
        let elsewhere = cx.step(|step| {
            let mut elsewhere: BTreeMap<ServerName, Claims> = BTreeMap::new();
            for (user_id, devices) in claims {
                if accounts::is_local(step.config, &user_id) {
                    let claimed = claim_local(step, &user_id, &devices)?;
                    if !claimed.is_empty() {
                        keys.insert(user_id.as_str(), claimed);
                    }
                } else {
                    elsewhere.entry(user_id.server_name()).or_default().push((user_id, devices));
                }
            }
            Ok(elsewhere)
        })?;
        let cx = &cx;
        let asked = elsewhere.into_iter().map(|(server, claims)| async move {
            let answer = claim_keys(cx, &server, &claims, timeout).await;
            (server, answer)
        });
        let mut failures = Object::new();
        for (server, answer) in join_all(asked, KEY_QUERIES_AT_ONCE).await {
            match answer {
                Ok(claimed) => {
                    for (user_id, devices) in claimed {
                        keys.insert(user_id.as_str(), devices);
                    }
                }
                Err(error) => {
                    failures.insert(server.as_str(), failure(error));
                }
            }
        }
        let answer = Object::new().with("one_time_keys", keys).with("failures", failures);
        Ok(Response::json(200, &answer.into()))
    })
}
