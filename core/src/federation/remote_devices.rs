//! What other servers have told of their users' devices and keys (Server-Server API, "Device Management"), for as long as the
//! user shares a room with one of this server.

use alloc::string::ToString;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::flow::Step;
use crate::identifiers::{DeviceId, UserId};
use crate::limits::{MAX_DEVICE_KEYS, MAX_DEVICES};
use crate::store::tables::{Table, tags};
use crate::store::{Read, StorageError};

/// How far a user's device list has been followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceList {
    /// The `stream_id` of the last update.
    pub stream_id: Option<i64>,
    /// An update was missed: the list is to be fetched from the user's server before it is used.
    pub stale: bool,
    /// How many devices are stored.
    devices: u32,
}

const LISTS: Table<UserId, DeviceList> = Table::new(tags::REMOTE_DEVICE_LIST);
/// By user and device: `device_display_name` and `keys` as canonical JSON.
const DEVICES: Table<(UserId, DeviceId), Vec<u8>> = Table::new(tags::REMOTE_DEVICE);
/// By user: `master_key` and `self_signing_key` as canonical JSON.
const SIGNING_KEYS: Table<UserId, Vec<u8>> = Table::new(tags::REMOTE_SIGNING_KEYS);

/// What is known of a user's devices.
pub fn device_list(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Option<DeviceList>, StorageError> {
    LISTS.get(read, user_id)
}

/// A device as its server told it last: `device_display_name` and `keys` as canonical JSON.
pub fn device(
    read: &(impl Read + ?Sized),
    user_id: &UserId,
    device_id: &DeviceId,
) -> Result<Option<Vec<u8>>, StorageError> {
    DEVICES.get(read, (user_id, device_id))
}

/// A user's `master_key` and `self_signing_key`, as canonical JSON.
pub fn signing_keys(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Option<Vec<u8>>, StorageError> {
    SIGNING_KEYS.get(read, user_id)
}

/// Follows an `m.device_list_update`. One that refers to updates that were not seen makes the list stale.
pub fn update_device(step: &mut Step<'_>, user_id: &UserId, content: &Object) -> Result<(), ApiError> {
    let bad = |what: &str| ApiError::bad_json(what);
    let device_id = content.str("device_id").and_then(|id| DeviceId::parse(id).ok()).ok_or_else(|| bad("device_id"))?;
    let stream_id = content.integer("stream_id").ok_or_else(|| bad("stream_id"))?;
    let mut list = LISTS.get(step, user_id)?.unwrap_or_default();
    if list.stream_id.is_some_and(|seen| stream_id <= seen) {
        return Ok(());
    }
    let follows = content.array("prev_id").unwrap_or_default().iter().all(|id| {
        let id = id.as_integer();
        id.is_some() && id <= list.stream_id
    });
    list.stale |= !follows;
    list.stream_id = Some(stream_id);
    let known = DEVICES.get(step, (user_id, &device_id))?.is_some();
    if content.bool("deleted") == Some(true) {
        DEVICES.delete(step, (user_id, &device_id));
        list.devices -= u32::from(known);
    } else {
        let mut device = content.clone();
        device.retain(|name, _| matches!(name, "device_display_name" | "keys"));
        let bytes = device.to_bytes();
        if bytes.len() > MAX_DEVICE_KEYS || (!known && list.devices as usize >= MAX_DEVICES) {
            list.stale = true;
        } else {
            DEVICES.put(step, (user_id, &device_id), &bytes);
            list.devices += u32::from(!known);
        }
    }
    LISTS.put(step, user_id, &list);
    Ok(())
}

/// Follows an `m.signing_key_update`: keys that it does not name stay.
pub fn update_signing_keys(step: &mut Step<'_>, user_id: &UserId, content: &Object) -> Result<(), ApiError> {
    let mut keys = match SIGNING_KEYS.get(step, user_id)? {
        Some(bytes) => match crate::canonical_json::parse(&bytes) {
            Ok(crate::canonical_json::Value::Object(keys)) => keys,
            _ => return Err(ApiError::internal("the stored signing keys are no object")),
        },
        None => Object::new(),
    };
    for name in ["master_key", "self_signing_key"] {
        if let Some(key) = content.object(name) {
            if key.str("user_id") != Some(user_id.as_str()) {
                return Err(ApiError::bad_json("the key is another user's"));
            }
            keys.insert(name.to_string(), key.clone());
        }
    }
    let bytes = keys.to_bytes();
    if bytes.len() > MAX_DEVICE_KEYS {
        return Err(ApiError::bad_json("the keys are too large"));
    }
    SIGNING_KEYS.put(step, user_id, &bytes);
    Ok(())
}
