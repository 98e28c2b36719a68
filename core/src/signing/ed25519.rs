//! Ed25519 (RFC 8032), the one signing algorithm of Matrix (Appendices, "Signing Details").

use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use ed25519_dalek::Signer;
use serde::{Deserialize, Serialize};

use crate::identifiers::{InvalidIdentifier, KeyId};

/// A private key and its ID. The seed is wiped from memory on drop and does not appear in `Debug`.
#[derive(Clone)]
pub struct SigningKey {
    key_id: KeyId,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key `ed25519:{version}` that the seed stands for.
    pub fn from_seed(version: &str, seed: &[u8; 32]) -> Result<SigningKey, InvalidIdentifier> {
        let key_id = KeyId::parse(&format!("ed25519:{version}"))?;
        Ok(SigningKey { key_id, key: ed25519_dalek::SigningKey::from_bytes(seed) })
    }

    /// `ed25519:{version}`.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The part of the key ID after `ed25519:`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.key_id.name()
    }

    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// What the key is made from: as secret as the key.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerifyError {
    /// `signatures` has no entry for this entity and key.
    NoSignature,
    /// The signature is not the base64 of 64 bytes.
    MalformedSignature,
    /// The public key is not a point of the curve, not written canonically, or one that verifies anything.
    BadKey,
    /// Key, message and signature do not belong together.
    Mismatch,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VerifyError::NoSignature => "no signature by this entity and key",
            VerifyError::MalformedSignature => "the signature is not the base64 of 64 bytes",
            VerifyError::BadKey => "the public key is not a usable Ed25519 key",
            VerifyError::Mismatch => "the signature does not match",
        })
    }
}

impl core::error::Error for VerifyError {}

/// Checks one signature.
///
/// Keys and signature points of small order, and keys that are not written in the one canonical way, are refused, as libsodium
/// does: servers must agree about odd signatures too.
pub fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), VerifyError> {
    verify_with(&usable_key(public_key)?, message, signature)
}

/// A message, a signature over it and the key that should have made it. The job of [`verify_batch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedMessage {
    pub public_key: [u8; 32],
    pub message: Bytes,
    /// Any length: what is not 64 bytes is [`VerifyError::MalformedSignature`].
    pub signature: Bytes,
}

/// Checks many signatures; the results are in the order of `messages`.
///
/// Each one is judged by the same equation as in [`verify`]. The usual "batch verification" (one random combination of all the
/// equations) is not used: for keys with a small-order component its verdict depends on what else is in the batch, and then
/// two servers could differ about an event for ever.
#[must_use]
pub fn verify_batch(messages: &[SignedMessage]) -> Vec<Result<(), VerifyError>> {
    let mut last: Option<([u8; 32], Result<ed25519_dalek::VerifyingKey, VerifyError>)> = None;
    messages
        .iter()
        .map(|item| {
            let signature = item.signature.as_ref().try_into().map_err(|_| VerifyError::MalformedSignature)?;
            let key = match &last {
                Some((bytes, key)) if *bytes == item.public_key => *key,
                _ => {
                    let key = usable_key(&item.public_key);
                    last = Some((item.public_key, key));
                    key
                }
            };
            verify_with(&key?, &item.message, signature)
        })
        .collect()
}

fn usable_key(bytes: &[u8; 32]) -> Result<ed25519_dalek::VerifyingKey, VerifyError> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| VerifyError::BadKey)?;
    if key.is_weak() || !is_canonical(bytes) { Err(VerifyError::BadKey) } else { Ok(key) }
}

/// Whether the y coordinate (little-endian, below the sign bit) is less than the field's prime, 2^255-19.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    bytes[0] < 0xed || bytes[1..31].iter().any(|&byte| byte != 0xff) || bytes[31] & 0x7f != 0x7f
}

fn verify_with(key: &ed25519_dalek::VerifyingKey, message: &[u8], signature: &[u8; 64]) -> Result<(), VerifyError> {
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    key.verify_strict(message, &signature).map_err(|_| VerifyError::Mismatch)
}
