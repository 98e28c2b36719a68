//! The identity keys of this server's devices (Client-Server API, "Device keys").

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::{cross_signing, device_lists, inbox, one_time_keys};
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::flow::Step;
use crate::identifiers::{DeviceId, UserId};
use crate::store::tables::{Table, tags};
use crate::store::{Order, Read, StorageError};

/// By user and device, in canonical JSON.
const DEVICE_KEYS: Table<(UserId, DeviceId), Vec<u8>> = Table::new(tags::DEVICE_KEYS);

/// What a row holds, as an object.
pub(super) fn object(bytes: &[u8]) -> Result<Object, StorageError> {
    match canonical_json::parse(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(StorageError("a stored key is not an object".into())),
    }
}

/// The identity keys of a device, if it has any.
pub fn get(
    read: &(impl Read + ?Sized),
    user_id: &UserId,
    device_id: &DeviceId,
) -> Result<Option<Object>, StorageError> {
    DEVICE_KEYS.get(read, (user_id, device_id))?.map(|bytes| object(&bytes)).transpose()
}

/// The devices of a user that have identity keys, with these.
pub fn of_user(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Vec<(DeviceId, Object)>, StorageError> {
    let mut found = Vec::new();
    DEVICE_KEYS.scan::<StorageError>(read, (user_id,), Order::Ascending, |(_, device_id), keys| {
        found.push((device_id, object(&keys)?));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Stores identity keys that were checked. `false` if they are there already.
pub fn set(step: &mut Step<'_>, user_id: &UserId, device_id: &DeviceId, keys: &Object) -> Result<bool, StorageError> {
    let bytes = keys.to_bytes();
    if DEVICE_KEYS.get(step, (user_id, device_id))?.as_ref() == Some(&bytes) {
        return Ok(false);
    }
    DEVICE_KEYS.put(step, (user_id, device_id), &bytes);
    device_lists::changed(step, user_id)?;
    Ok(true)
}

/// A device is no more: neither are its keys and the messages that wait for it. `true` if others knew of it.
pub fn forget(step: &mut Step<'_>, user_id: &UserId, device_id: &DeviceId) -> Result<bool, ApiError> {
    one_time_keys::forget(step, user_id, device_id)?;
    inbox::forget(step, user_id, device_id)?;
    if !DEVICE_KEYS.contains(step, (user_id, device_id))? {
        return Ok(false);
    }
    DEVICE_KEYS.delete(step, (user_id, device_id));
    cross_signing::forget_signatures(step, user_id, device_id)?;
    device_lists::changed(step, user_id)?;
    Ok(true)
}
