//! What keys look like (Client-Server API, "Key algorithms", "Device keys", "Cross-signing"): whatever is stored or passed on has
//! been through here.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

use super::cross_signing::Usage;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::identifiers::{DeviceId, KeyId, UserId};
use crate::limits::{MAX_DEVICE_KEYS, MAX_ONE_TIME_KEY};
use crate::signing::{SignedMessage, base64, signature, signed_bytes};

/// Why a key is refused.
pub type Fault = String;

fn invalid(fault: impl Into<String>) -> ApiError {
    ApiError::invalid_param(fault)
}

/// `400 M_INVALID_SIGNATURE`.
#[must_use]
pub fn invalid_signature(what: &str) -> ApiError {
    ApiError::new(400, "M_INVALID_SIGNATURE", alloc::format!("The signature of {what} is missing or wrong"))
}

/// The Ed25519 key of a device: the one under which it signs.
#[must_use]
pub fn device_key_id(device_id: &DeviceId) -> Option<KeyId> {
    KeyId::parse(&alloc::format!("ed25519:{device_id}")).ok()
}

/// Checks the identity keys of a device: whose they are, and that each key is one.
pub fn check_device_keys(keys: &Object, user_id: &UserId, device_id: &DeviceId) -> Result<(), Fault> {
    if keys.str("user_id") != Some(user_id.as_str()) {
        return Err("device_keys.user_id is not the device's user".into());
    }
    if keys.str("device_id") != Some(device_id.as_str()) {
        return Err("device_keys.device_id is not the device".into());
    }
    let algorithms = keys.array("algorithms").ok_or("device_keys.algorithms is not an array")?;
    if algorithms.iter().any(|algorithm| algorithm.as_str().is_none()) {
        return Err("device_keys.algorithms is not an array of strings".into());
    }
    let own = keys.object("keys").ok_or("device_keys.keys is not an object")?;
    for (name, key) in own.iter() {
        let key_id = KeyId::parse(name).map_err(|error| alloc::format!("A key ID in device_keys {error}"))?;
        if key_id.name() != device_id.as_str() || key.as_str().is_none() {
            return Err(alloc::format!("device_keys.keys.{name} is not a key of this device"));
        }
    }
    if signatures_are_malformed(keys) {
        return Err("device_keys.signatures is not an object of objects of strings".into());
    }
    if keys.to_bytes().len() > MAX_DEVICE_KEYS {
        return Err(alloc::format!("device_keys has more than {MAX_DEVICE_KEYS} bytes"));
    }
    Ok(())
}

/// The public key with which a device signs.
#[must_use]
pub fn device_public_key(keys: &Object, device_id: &DeviceId) -> Option<[u8; 32]> {
    let key = keys.object("keys")?.str(&device_key_id(device_id)?)?;
    base64::decode_array(key).ok()
}

/// `signatures` is there and is not what it must be.
fn signatures_are_malformed(object: &Object) -> bool {
    let is_good = |of_entity: &Value| {
        of_entity.as_object().is_some_and(|of_entity| of_entity.iter().all(|(_, text)| text.as_str().is_some()))
    };
    match object.get("signatures") {
        None => false,
        Some(Value::Object(signatures)) => !signatures.iter().all(|(_, of_entity)| is_good(of_entity)),
        Some(_) => true,
    }
}

/// Reads one-time or fallback keys by their IDs: each a string, or an object with a key and, if it is a signed one, signatures.
pub fn one_time_keys(keys: &Object) -> Result<Vec<(KeyId, Value)>, ApiError> {
    let mut found = Vec::with_capacity(keys.len());
    for (name, key) in keys.iter() {
        let key_id = KeyId::parse(name).map_err(|error| invalid(alloc::format!("The key ID {name} {error}")))?;
        let is_signed = key_id.algorithm().starts_with("signed_");
        let is_good = match key {
            Value::String(_) => !is_signed,
            Value::Object(object) => {
                object.str("key").is_some()
                    && !signatures_are_malformed(object)
                    && (!is_signed || object.contains("signatures"))
            }
            _ => false,
        };
        if !is_good {
            return Err(invalid(alloc::format!("{name} is not a key of the algorithm {}", key_id.algorithm())));
        }
        if key.to_bytes().len() > MAX_ONE_TIME_KEY {
            return Err(invalid(alloc::format!("{name} has more than {MAX_ONE_TIME_KEY} bytes")));
        }
        found.push((key_id, key.clone()));
    }
    Ok(found)
}

/// Reads fallback keys: [`one_time_keys`], at most one of each algorithm.
pub fn fallback_keys(keys: &Object) -> Result<Vec<(KeyId, Value)>, ApiError> {
    let keys = one_time_keys(keys)?;
    // The IDs are sorted, so equal algorithms are neighbours.
    if keys.windows(2).any(|pair| pair[0].0.algorithm() == pair[1].0.algorithm()) {
        return Err(invalid("There is at most one fallback key for each algorithm"));
    }
    Ok(keys)
}

/// Checks a cross-signing key and returns its public half, in base64 and in bytes.
pub fn check_cross_signing_key(key: &Object, user_id: &UserId, usage: Usage) -> Result<(String, [u8; 32]), Fault> {
    let name = usage.name();
    if key.str("user_id") != Some(user_id.as_str()) {
        return Err(alloc::format!("The {name} key's user_id is not its user"));
    }
    let is_for_it = |usages: &[Value]| usages.iter().any(|usage| usage.as_str() == Some(name));
    if !key.array("usage").is_some_and(is_for_it) {
        return Err(alloc::format!("The {name} key's usage is not {name}"));
    }
    let mut keys = key.object("keys").into_iter().flat_map(Object::iter);
    let (Some((key_id, public)), None) = (keys.next(), keys.next()) else {
        return Err(alloc::format!("The {name} key's keys have to be one"));
    };
    let public = public.as_str().unwrap_or_default();
    if key_id.strip_prefix("ed25519:") != Some(public) {
        return Err(alloc::format!("The {name} key is not named by its public key"));
    }
    let bytes =
        base64::decode_array(public).map_err(|_| alloc::format!("The {name} key is not the base64 of 32 bytes"))?;
    if signatures_are_malformed(key) || key.to_bytes().len() > MAX_DEVICE_KEYS {
        return Err(alloc::format!("The {name} key's signatures are not what they should be"));
    }
    Ok((public.into(), bytes))
}

/// The check that a job makes of a signature on `object`; `None` if there is no such signature.
#[must_use]
pub fn to_verify(object: &Object, user_id: &UserId, key_id: &KeyId, public_key: [u8; 32]) -> Option<SignedMessage> {
    let signature = signature(object, user_id, key_id).ok()?;
    Some(SignedMessage {
        public_key,
        message: signed_bytes(object).into(),
        signature: Bytes::copy_from_slice(&signature),
    })
}
