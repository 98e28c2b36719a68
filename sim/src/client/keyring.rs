//! The keys of a device, and of its user: made from names, so that they are the same in every run. They sign as real ones do.

use orrery_core::canonical_json::{Object, Value};
use orrery_core::signing::{SigningKey, base64, sign_json};
use sha2::{Digest, Sha256};

/// The algorithm of one-time and fallback keys.
pub const ALGORITHM: &str = "signed_curve25519";

/// Whose keys they are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    pub user_id: &'a str,
    pub device_id: &'a str,
}

fn key(version: &str, seed: &str) -> SigningKey {
    SigningKey::from_seed(version, &Sha256::digest(seed).into()).expect("device IDs and public keys name keys")
}

fn signed(mut object: Object, user_id: &str, key: &SigningKey) -> Object {
    sign_json(&mut object, user_id, key).expect("it has no signatures that could be malformed");
    object
}

impl Owner<'_> {
    fn key(&self) -> SigningKey {
        key(self.device_id, &format!("{} {}", self.user_id, self.device_id))
    }

    /// The identity keys, signed by the device.
    #[must_use]
    pub fn identity(&self) -> Object {
        let key = self.key();
        let public = base64::encode_unpadded(&key.public_key());
        let keys = Object::new()
            .with(&format!("ed25519:{}", self.device_id), public.as_str())
            .with(&format!("curve25519:{}", self.device_id), public.as_str());
        let algorithms = vec!["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"];
        let object = Object::new()
            .with("user_id", self.user_id)
            .with("device_id", self.device_id)
            .with("algorithms", algorithms)
            .with("keys", keys);
        signed(object, self.user_id, &key)
    }

    /// A one-time key, or (`fallback`) one that may be used again, signed by the device: its ID, and it.
    #[must_use]
    pub fn one_time(&self, name: &str, fallback: bool) -> (String, Object) {
        let mut object = Object::new().with("key", format!("public {name}"));
        if fallback {
            object.insert("fallback", true);
        }
        (format!("{ALGORITHM}:{name}"), signed(object, self.user_id, &self.key()))
    }
}

/// New cross-signing keys of a user, as they are uploaded; the master key has signed the others.
#[must_use]
pub fn cross_signing(user_id: &str, name: &str) -> Object {
    let master = public_key(user_id, name, "master");
    let mut upload = Object::new();
    for usage in ["master", "self_signing", "user_signing"] {
        let public = public_key(user_id, name, usage).version().to_string();
        let object = Object::new()
            .with("user_id", user_id)
            .with("usage", vec![usage])
            .with("keys", Object::new().with(&format!("ed25519:{public}"), public.as_str()));
        let object = if usage == "master" { object } else { signed(object, user_id, &master) };
        upload.insert(format!("{usage}_key"), Value::Object(object));
    }
    upload
}

/// A key that is named by its public half.
fn public_key(user_id: &str, name: &str, usage: &str) -> SigningKey {
    let seed = format!("{user_id} {name} {usage}");
    let public = base64::encode_unpadded(&key("x", &seed).public_key());
    key(&public, &seed)
}
