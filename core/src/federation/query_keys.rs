//! Asking another server for the devices and keys of its users (Server-Server API, `POST /user/keys/query`,
//! `GET /user/devices/{userId}`).
//!
//! With a user with whom a room is shared the whole list is asked for, and kept: from then on their server tells of changes.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use super::outgoing::{Outgoing, RemoteError, call};
use crate::canonical_json::{Object, Value};
use crate::encryption::cross_signing::Usage;
use crate::encryption::key_shapes;
use crate::encryption::remote_devices::{self, Answered, RemoteDevice};
use crate::flow::{Cx, join_all};
use crate::http::percent_encode;
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::limits::{DEVICE_LISTS_AT_ONCE, KEYS_TIMEOUT, MAX_REMOTE_DEVICES};
use crate::store::tables::Position;

/// Users of one server, each with the devices that are wanted; all of them if there are none.
pub type Wanted = Vec<(UserId, Vec<DeviceId>)>;

/// What a server answered about one of its users.
#[derive(Clone, Debug)]
pub struct KeysOfUser {
    pub user_id: UserId,
    pub devices: Vec<RemoteDevice>,
    pub cross_signing: Vec<(Usage, Object)>,
}

/// The keys of users of another server. Users whom it does not know are not in the answer.
pub async fn query_keys(
    cx: &Cx,
    server: &ServerName,
    wanted: &Wanted,
    timeout: Duration,
) -> Result<Vec<KeysOfUser>, RemoteError> {
    let (kept, others) = cx
        .step(|step| {
            let (mut kept, mut others) = (Vec::new(), Wanted::new());
            for (user_id, devices) in wanted {
                let is_room = kept.len() < DEVICE_LISTS_AT_ONCE;
                match if is_room { remote_devices::ask(step, user_id)? } else { None } {
                    Some(asked) => kept.push((user_id, devices, asked)),
                    None => others.push((user_id.clone(), devices.clone())),
                }
            }
            Ok((kept, others))
        })
        .map_err(RemoteError::Internal)?;
    let lists = kept.into_iter().map(|(user_id, devices, asked)| async move {
        match fetch_list(cx, user_id, asked, timeout).await {
            Ok(Answered { devices: found, cross_signing, .. }) => {
                let is_wanted = |device: &RemoteDevice| devices.is_empty() || devices.contains(&device.device_id);
                let found = found.into_iter().filter(is_wanted).collect();
                Ok(Some(KeysOfUser { user_id: user_id.clone(), devices: found, cross_signing }))
            }
            Err(RemoteError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    });
    let mut answers = Vec::new();
    for answer in join_all(lists, DEVICE_LISTS_AT_ONCE).await {
        answers.extend(answer?);
    }
    if !others.is_empty() {
        answers.extend(post(cx, server, &others, timeout).await?);
    }
    Ok(answers)
}

/// Asks for a user's list again, after a gap in what was told of it. What fails is asked for when a client wants to know.
pub async fn resynchronize(cx: &Cx, user_id: &UserId) {
    if let Ok(Some(asked)) = cx.step(|step| Ok(remote_devices::ask(step, user_id)?)) {
        let _ = fetch_list(cx, user_id, asked, KEYS_TIMEOUT).await;
    }
}

/// Fetches a user's list, and stores it as the answer to what was asked.
async fn fetch_list(cx: &Cx, user_id: &UserId, asked: Position, timeout: Duration) -> Result<Answered, RemoteError> {
    let target = alloc::format!("/_matrix/federation/v1/user/devices/{}", percent_encode(user_id));
    let answer = call(cx, &user_id.server_name(), Outgoing::get(target).timeout(timeout)).await?;
    let answer = answer.as_object().and_then(|answer| read_list(user_id, answer));
    let answer = answer.ok_or_else(|| RemoteError::BadAnswer("a device list is something else".to_string()))?;
    cx.step(|step| Ok(remote_devices::answered(step, user_id, asked, &answer)?)).map_err(RemoteError::Internal)?;
    Ok(answer)
}

fn read_list(user_id: &UserId, answer: &Object) -> Option<Answered> {
    if answer.str("user_id") != Some(user_id.as_str()) {
        return None;
    }
    let mut devices = Vec::new();
    for device in answer.array("devices")?.iter().take(MAX_REMOTE_DEVICES) {
        let device = device.as_object()?;
        let Some(device_id) = device.str("device_id").and_then(|text| DeviceId::parse(text).ok()) else { continue };
        let name = device.str("device_display_name");
        devices.extend(remote_devices::read_device(user_id, &device_id, device.object("keys"), name));
    }
    let cross_signing = Usage::ALL
        .into_iter()
        .filter(|usage| usage.is_public())
        .filter_map(|usage| Some((usage, cross_signing_key(user_id, usage, answer.get(usage.member())?)?)))
        .collect();
    Some(Answered { stream_id: u64::try_from(answer.integer("stream_id")?).ok()?, devices, cross_signing })
}

/// A cross-signing key as another server gives it, if it is one.
#[must_use]
pub fn cross_signing_key(user_id: &UserId, usage: Usage, key: &Value) -> Option<Object> {
    let key = key.as_object()?;
    key_shapes::check_cross_signing_key(key, user_id, usage).ok()?;
    Some(key.clone())
}

async fn post(
    cx: &Cx,
    server: &ServerName,
    wanted: &Wanted,
    timeout: Duration,
) -> Result<Vec<KeysOfUser>, RemoteError> {
    let asked: Object = wanted
        .iter()
        .map(|(user_id, devices)| {
            let devices: Vec<Value> = devices.iter().map(|device| Value::from(device.as_str())).collect();
            (user_id.to_string(), Value::from(devices))
        })
        .collect();
    let content = Object::new().with("device_keys", asked);
    let request = Outgoing::post("/_matrix/federation/v1/user/keys/query", content.into()).timeout(timeout);
    let answer = call(cx, server, request).await?;
    let by_user = answer.get("device_keys").and_then(Value::as_object);
    let by_user = by_user.ok_or_else(|| RemoteError::BadAnswer("there are no device_keys".to_string()))?;
    let mut found = Vec::new();
    for (user_id, wanted) in wanted {
        let Some(of_user) = by_user.object(user_id) else { continue };
        let mut devices = Vec::new();
        for (device_id, keys) in of_user.iter().take(MAX_REMOTE_DEVICES) {
            let Ok(device_id) = DeviceId::parse(device_id) else { continue };
            if !wanted.is_empty() && !wanted.contains(&device_id) {
                continue;
            }
            let name = keys.get("unsigned").and_then(|unsigned| unsigned.get("device_display_name"));
            let name = name.and_then(Value::as_str);
            devices.extend(remote_devices::read_device(user_id, &device_id, keys.as_object(), name));
        }
        let cross_signing = Usage::ALL
            .into_iter()
            .filter(|usage| usage.is_public())
            .filter_map(|usage| {
                let key = answer.get(usage.members())?.get(user_id)?;
                Some((usage, cross_signing_key(user_id, usage, key)?))
            })
            .collect();
        found.push(KeysOfUser { user_id: user_id.clone(), devices, cross_signing });
    }
    Ok(found)
}
