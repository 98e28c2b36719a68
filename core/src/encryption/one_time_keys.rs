//! One-time keys and fallback keys (Client-Server API, "One-time and fallback keys"): a one-time key is given out once, in the
//! order of uploads; a fallback key when there is none left.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::flow::Step;
use crate::identifiers::{DeviceId, KeyId, UserId};
use crate::limits::{MAX_FALLBACK_KEYS, MAX_ONE_TIME_KEYS};
use crate::store::tables::{Table, tags};
use crate::store::{Order, Read, StorageError};

/// A key as it was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredKey {
    key_id: String,
    /// In canonical JSON.
    key: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FallbackKey {
    key: StoredKey,
    used: bool,
}

/// What a device has, for every answer of `/sync`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The unclaimed one-time keys by algorithm; none is zero.
    pub one_time: BTreeMap<String, u32>,
    /// The algorithms whose fallback key was not given out.
    pub unused_fallback: Vec<String>,
    /// The number that the next one-time key takes.
    next: u64,
}

/// By user, device, algorithm and the order of uploads.
const ONE_TIME_KEYS: Table<(UserId, DeviceId, String, u64), StoredKey> = Table::new(tags::ONE_TIME_KEY);
/// By user, device and key ID.
const BY_ID: Table<(UserId, DeviceId, String), u64> = Table::new(tags::ONE_TIME_KEY_BY_ID);
/// By user, device and algorithm.
const FALLBACK_KEYS: Table<(UserId, DeviceId, String), FallbackKey> = Table::new(tags::FALLBACK_KEY);
const COUNTS: Table<(UserId, DeviceId), Counts> = Table::new(tags::DEVICE_KEY_COUNTS);

/// What a device has.
pub fn counts(read: &(impl Read + ?Sized), user_id: &UserId, device_id: &DeviceId) -> Result<Counts, StorageError> {
    Ok(COUNTS.get(read, (user_id, device_id))?.unwrap_or_default())
}

/// Drops the one-time keys of all devices, and takes the fallback keys for used: each may have been given out.
pub fn drop_all(step: &mut Step<'_>) -> Result<(), StorageError> {
    let mut devices = Vec::new();
    COUNTS.scan::<StorageError>(step, (), Order::Ascending, |device, counts| {
        devices.push((device, counts));
        Ok(ControlFlow::Continue(()))
    })?;
    for ((user_id, device_id), counts) in devices {
        let mut keys = Vec::new();
        ONE_TIME_KEYS.scan::<StorageError>(step, (&user_id, &device_id), Order::Ascending, |at, key| {
            keys.push((at, key.key_id));
            Ok(ControlFlow::Continue(()))
        })?;
        for (at, key_id) in keys {
            ONE_TIME_KEYS.delete(step, at);
            BY_ID.delete(step, (&user_id, &device_id, key_id));
        }
        COUNTS.put(step, (&user_id, &device_id), &Counts { next: counts.next, ..Counts::default() });
    }
    Ok(())
}

/// Adds one-time keys that were checked. One that is there already stays; `400 M_INVALID_PARAM` if another one has its ID.
pub fn add(
    step: &mut Step<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
    keys: &[(KeyId, Value)],
) -> Result<(), ApiError> {
    let mut counts = counts(step, user_id, device_id)?;
    let mut total: usize = counts.one_time.values().map(|count| *count as usize).sum();
    for (key_id, key) in keys {
        let (algorithm, key) = (key_id.algorithm(), key.to_bytes());
        if let Some(order) = BY_ID.get(step, (user_id, device_id, key_id.as_str()))? {
            let stored = ONE_TIME_KEYS.get(step, (user_id, device_id, algorithm, order))?;
            if stored.is_some_and(|stored| stored.key != key) {
                return Err(ApiError::invalid_param(alloc::format!("Another one-time key has the ID {key_id}")));
            }
            continue;
        }
        total += 1;
        if total > MAX_ONE_TIME_KEYS {
            let message = alloc::format!("A device has at most {MAX_ONE_TIME_KEYS} one-time keys");
            return Err(ApiError::new(400, "M_TOO_LARGE", message));
        }
        let row = StoredKey { key_id: key_id.to_string(), key };
        ONE_TIME_KEYS.put(step, (user_id, device_id, algorithm, counts.next), &row);
        BY_ID.put(step, (user_id, device_id, key_id.as_str()), &counts.next);
        counts.next += 1;
        *counts.one_time.entry(algorithm.to_string()).or_default() += 1;
    }
    COUNTS.put(step, (user_id, device_id), &counts);
    Ok(())
}

/// Sets fallback keys that were checked, one for each algorithm. One that is there already stays as used as it is.
pub fn set_fallback(
    step: &mut Step<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
    keys: &[(KeyId, Value)],
) -> Result<(), ApiError> {
    let mut counts = counts(step, user_id, device_id)?;
    for (key_id, key) in keys {
        let at = (user_id, device_id, key_id.algorithm());
        let key = StoredKey { key_id: key_id.to_string(), key: key.to_bytes() };
        if FALLBACK_KEYS.get(step, at)?.is_some_and(|stored| stored.key == key) {
            continue;
        }
        FALLBACK_KEYS.put(step, at, &FallbackKey { key, used: false });
        if !counts.unused_fallback.iter().any(|algorithm| algorithm == key_id.algorithm()) {
            counts.unused_fallback.push(key_id.algorithm().to_string());
        }
    }
    let mut algorithms = 0;
    FALLBACK_KEYS.scan::<StorageError>(step, (user_id, device_id), Order::Ascending, |_, _| {
        algorithms += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    if algorithms > MAX_FALLBACK_KEYS {
        let message = alloc::format!("A device has fallback keys for at most {MAX_FALLBACK_KEYS} algorithms");
        return Err(ApiError::new(400, "M_TOO_LARGE", message));
    }
    COUNTS.put(step, (user_id, device_id), &counts);
    Ok(())
}

/// Gives out a key of a device: its ID and the key. Nobody gets a one-time key that somebody else has.
pub fn claim(
    step: &mut Step<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
    algorithm: &str,
) -> Result<Option<(String, Value)>, StorageError> {
    let mut first = None;
    ONE_TIME_KEYS.scan::<StorageError>(step, (user_id, device_id, algorithm), Order::Ascending, |key, row| {
        first = Some((key.3, row));
        Ok(ControlFlow::Break(()))
    })?;
    let mut counts = counts(step, user_id, device_id)?;
    let key = if let Some((order, row)) = first {
        ONE_TIME_KEYS.delete(step, (user_id, device_id, algorithm, order));
        BY_ID.delete(step, (user_id, device_id, row.key_id.as_str()));
        if let Some(count) = counts.one_time.get_mut(algorithm) {
            *count = count.saturating_sub(1);
        }
        counts.one_time.retain(|_, count| *count > 0);
        row
    } else {
        let Some(mut fallback) = FALLBACK_KEYS.get(step, (user_id, device_id, algorithm))? else { return Ok(None) };
        if fallback.used {
            return Ok(Some(read_key(fallback.key)?));
        }
        fallback.used = true;
        FALLBACK_KEYS.put(step, (user_id, device_id, algorithm), &fallback);
        counts.unused_fallback.retain(|unused| unused != algorithm);
        fallback.key
    };
    COUNTS.put(step, (user_id, device_id), &counts);
    Ok(Some(read_key(key)?))
}

fn read_key(row: StoredKey) -> Result<(String, Value), StorageError> {
    let key = canonical_json::parse(&row.key)
        .map_err(|error| StorageError(alloc::format!("the stored key {}: {error}", row.key_id)))?;
    Ok((row.key_id, key))
}

/// Deletes every key of a device.
pub(super) fn forget(step: &mut Step<'_>, user_id: &UserId, device_id: &DeviceId) -> Result<(), StorageError> {
    let mut one_time = Vec::new();
    ONE_TIME_KEYS.scan::<StorageError>(step, (user_id, device_id), Order::Ascending, |key, row| {
        one_time.push((key, row.key_id));
        Ok(ControlFlow::Continue(()))
    })?;
    for (key, key_id) in one_time {
        ONE_TIME_KEYS.delete(step, key);
        BY_ID.delete(step, (user_id, device_id, key_id));
    }
    let mut fallback = Vec::new();
    FALLBACK_KEYS.scan::<StorageError>(step, (user_id, device_id), Order::Ascending, |key, _| {
        fallback.push(key);
        Ok(ControlFlow::Continue(()))
    })?;
    for key in fallback {
        FALLBACK_KEYS.delete(step, key);
    }
    COUNTS.delete(step, (user_id, device_id));
    Ok(())
}

/// The counts by algorithm, as clients are told them.
#[must_use]
pub fn describe(counts: &Counts) -> Object {
    counts.one_time.iter().map(|(algorithm, count)| (algorithm.clone(), *count)).collect()
}
