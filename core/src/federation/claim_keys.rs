//! Claiming one-time keys of users of another server (Server-Server API, `POST /user/keys/claim`).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::outgoing::{Outgoing, RemoteError, call};
use crate::canonical_json::{Object, Value};
use crate::encryption::key_shapes;
use crate::flow::Cx;
use crate::identifiers::{DeviceId, ServerName, UserId};

/// Users of one server, each with devices and the algorithms that are wanted of them.
pub type Claims = Vec<(UserId, Vec<(DeviceId, String)>)>;

/// Claims keys; the answer has, by user and device, a key by its ID, and nothing that was not asked for.
pub async fn claim_keys(
    cx: &Cx,
    server: &ServerName,
    claims: &Claims,
    timeout: Duration,
) -> Result<Vec<(UserId, Object)>, RemoteError> {
    let asked: Object = claims
        .iter()
        .map(|(user_id, devices)| {
            let devices: Object =
                devices.iter().map(|(device, algorithm)| (device.to_string(), algorithm.as_str())).collect();
            (user_id.to_string(), devices)
        })
        .collect();
    let content = Object::new().with("one_time_keys", asked);
    let request = Outgoing::post("/_matrix/federation/v1/user/keys/claim", content.into()).timeout(timeout);
    let answer = call(cx, server, request).await?;
    let by_user = answer.get("one_time_keys").and_then(Value::as_object);
    let by_user = by_user.ok_or_else(|| RemoteError::BadAnswer("there are no one_time_keys".to_string()))?;
    let mut claimed = Vec::new();
    for (user_id, devices) in claims {
        let Some(of_user) = by_user.object(user_id) else { continue };
        let mut keys = Object::new();
        for (device_id, algorithm) in devices {
            if let Some(key) = of_user.object(device_id).and_then(|keys| usable(keys, algorithm)) {
                keys.insert(device_id.as_str(), key);
            }
        }
        if !keys.is_empty() {
            claimed.push((user_id.clone(), keys));
        }
    }
    Ok(claimed)
}

/// The key that was asked for, if that is what there is.
fn usable(keys: &Object, algorithm: &str) -> Option<Object> {
    let found = key_shapes::one_time_keys(keys).ok()?;
    let (key_id, key) = found.into_iter().find(|(key_id, _)| key_id.algorithm() == algorithm)?;
    Some(Object::new().with(&key_id, key))
}
