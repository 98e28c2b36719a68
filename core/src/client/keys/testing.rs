//! Devices with real keys, for tests.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

use crate::canonical_json::{Object, Value};
use crate::identifiers::UserId;
use crate::signing::{SigningKey, base64, sign_json};
use crate::testing::{User, json};

/// A key that is drawn from its name.
pub(crate) fn key(name: &str, purpose: &str) -> SigningKey {
    SigningKey::from_seed(name, &Sha256::digest(purpose).into()).unwrap()
}

/// The key of a device.
pub(crate) fn device_key(user: &User) -> SigningKey {
    key(&user.device_id, &alloc::format!("{} {}", user.user_id, user.device_id))
}

fn signed(value: Value, by: &UserId, key: &SigningKey) -> Object {
    let Value::Object(mut object) = value else { panic!("only objects are signed") };
    sign_json(&mut object, by, key).unwrap();
    object
}

/// Signs an object in a user's name.
pub(crate) fn sign(object: &Object, by: &UserId, key: &SigningKey) -> Object {
    signed(object.clone().into(), by, key)
}

/// Identity keys of a device, signed by it.
pub(crate) fn device_keys(user: &User) -> Object {
    let key = device_key(user);
    let device_id = user.device_id.as_str();
    let keys = Object::new()
        .with(&alloc::format!("ed25519:{device_id}"), base64::encode_unpadded(&key.public_key()))
        .with(&alloc::format!("curve25519:{device_id}"), "AAAA");
    let algorithms = json!(["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"]);
    let object =
        json!({ "user_id": (&user.user_id), "device_id": (device_id), "algorithms": (algorithms), "keys": (keys) });
    signed(object, &user.user_id, &key)
}

/// Signed one-time keys with these names; `fallback` marks a fallback key.
pub(crate) fn one_time_keys(user: &User, names: &[&str], fallback: bool) -> Object {
    let one = |name: &&str| {
        let mut key = Object::new().with("key", alloc::format!("public {name}"));
        if fallback {
            key.insert("fallback", true);
        }
        (alloc::format!("signed_curve25519:{name}"), signed(key.into(), &user.user_id, &device_key(user)))
    };
    names.iter().map(one).collect()
}

/// A cross-signing key of a user, signed by these others.
pub(crate) fn cross_signing_key(user_id: &UserId, usage: &str, purpose: &str, by: &[&SigningKey]) -> Object {
    let key = cross_key(purpose);
    let public = key.version().to_string();
    let keys = Object::new().with(&alloc::format!("ed25519:{public}"), public.as_str());
    let usages: Vec<Value> = alloc::vec![Value::from(usage)];
    let mut object = json!({ "user_id": (user_id), "usage": (usages), "keys": (keys) }).as_object().unwrap().clone();
    for key in by {
        sign_json(&mut object, user_id, key).unwrap();
    }
    object
}

/// A key that is named by its public half.
pub(crate) fn cross_key(purpose: &str) -> SigningKey {
    let public: String = base64::encode_unpadded(&key("x", purpose).public_key());
    key(&public, purpose)
}
