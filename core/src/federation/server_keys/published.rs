//! A server's list of its keys, as it is published and passed on (Server-Server API, "Publishing Keys").

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::canonical_json::{Object, Value};
use crate::config::Config;
use crate::identifiers::{KeyId, ServerName};
use crate::limits::MAX_SERVER_KEYS;
use crate::signing::{self, SignedMessage, SigningKey, base64};
use crate::time::Timestamp;

/// The list of this server, signed.
#[must_use]
pub fn own_keys(config: &Config, key: &SigningKey, now: Timestamp) -> Object {
    let current = Object::new().with("key", base64::encode_unpadded(&key.public_key()));
    let old = config.federation.old_verify_keys.iter().map(|old| {
        let key = Object::new().with("key", base64::encode_unpadded(&old.key)).with("expired_ts", old.expired_ts);
        (old.key_id.as_str(), key)
    });
    let mut object = Object::new()
        .with("server_name", &config.server_name)
        .with("verify_keys", Object::new().with(key.key_id(), current))
        .with("old_verify_keys", old.collect::<Object>())
        .with("valid_until_ts", now + config.federation.keys_lifetime);
    signing::sign_json(&mut object, &config.server_name, key).expect("the object has no signatures yet");
    object
}

/// A list of keys that another server gave, or that a notary passed on. Its signatures are not checked yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub server: ServerName,
    pub verify_keys: BTreeMap<KeyId, [u8; 32]>,
    /// With `expired_ts`.
    pub old_verify_keys: BTreeMap<KeyId, ([u8; 32], Timestamp)>,
    /// As the server says.
    pub valid_until: Timestamp,
    /// All of it, as it is signed.
    pub object: Object,
}

impl Published {
    /// Keys of other algorithms, and those that are not keys, are passed over.
    pub fn parse(object: Object) -> Result<Published, &'static str> {
        let server = object.str("server_name").ok_or("server_name is missing")?;
        let server = ServerName::parse(server).map_err(|_| "server_name is not a server name")?;
        let verify_keys = object.object("verify_keys").ok_or("verify_keys is missing")?;
        let none = Object::new();
        let old_verify_keys = object.object("old_verify_keys").unwrap_or(&none);
        if verify_keys.len() + old_verify_keys.len() > MAX_SERVER_KEYS {
            return Err("it has too many keys");
        }
        let valid_until = object.get("valid_until_ts").and_then(timestamp).ok_or("valid_until_ts is missing")?;
        Ok(Published {
            server,
            verify_keys: keys(verify_keys).map(|(id, key, _)| (id, key)).collect(),
            old_verify_keys: keys(old_verify_keys)
                .filter_map(|(id, key, object)| Some((id, (key, object.get("expired_ts").and_then(timestamp)?))))
                .collect(),
            valid_until,
            object,
        })
    }

    /// The signatures that the server has made with the keys that it says are its own. One at least has to be there, and all of
    /// them have to be good, for the list to count.
    #[must_use]
    pub fn self_signatures(&self) -> Vec<SignedMessage> {
        self.signatures_by(&self.server, |key_id| self.verify_keys.get(key_id).copied())
    }

    /// The signatures of `server`, this one or a notary, with those of its keys that `find` knows.
    pub fn signatures_by(&self, server: &ServerName, find: impl Fn(&KeyId) -> Option<[u8; 32]>) -> Vec<SignedMessage> {
        let message = Bytes::from(signing::signed_bytes(&self.object));
        signing::signing_key_ids(&self.object, server)
            .filter_map(|key_id| {
                let public_key = find(&key_id)?;
                let text = self.object.object("signatures")?.object(server)?.str(&key_id)?;
                // What is not base64 is a signature that does not match.
                let signature = base64::decode(text).unwrap_or_default().into();
                Some(SignedMessage { public_key, message: message.clone(), signature })
            })
            .collect()
    }
}

/// The usable keys of `verify_keys` or `old_verify_keys`.
fn keys(object: &Object) -> impl Iterator<Item = (KeyId, [u8; 32], &Object)> {
    object.iter().filter_map(|(key_id, key)| {
        let key_id = KeyId::parse(key_id).ok().filter(|key_id| key_id.algorithm() == "ed25519")?;
        let key = key.as_object()?;
        Some((key_id, base64::decode_array(key.str("key")?).ok()?, key))
    })
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    value.as_integer().and_then(|millis| u64::try_from(millis).ok()).map(Timestamp)
}
