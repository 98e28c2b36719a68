//! Signed JSON objects (Appendices, "Signing JSON").
//!
//! To sign an event, sign its redacted form and add the signature to the event itself:
//! `add_signature(&mut event, server, key.key_id(), &signature_of(&redacted, key))`.

use alloc::vec::Vec;
use core::fmt;

use super::base64;
use super::ed25519::{SigningKey, VerifyError, verify};
use crate::canonical_json::{Object, Value};
use crate::identifiers::KeyId;

/// What a signature does not cover.
const UNCOVERED: &[&str] = &["signatures", "unsigned"];

/// `signatures`, or the entity's entry in it, is there and is not an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedSignatures;

impl fmt::Display for MalformedSignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("signatures is not an object of objects")
    }
}

impl core::error::Error for MalformedSignatures {}

/// The bytes that a signature of `object` covers: its canonical JSON without `signatures` and `unsigned`.
#[must_use]
pub fn signed_bytes(object: &Object) -> Vec<u8> {
    object.to_bytes_except(UNCOVERED)
}

/// Signs `object` in the name of `entity` (a server name, or a user ID for cross-signing keys).
pub fn sign_json(object: &mut Object, entity: &str, key: &SigningKey) -> Result<(), MalformedSignatures> {
    let signature = signature_of(object, key);
    add_signature(object, entity, key.key_id(), &signature)
}

/// The signature of `object` by `key`.
#[must_use]
pub fn signature_of(object: &Object, key: &SigningKey) -> [u8; 64] {
    key.sign(&signed_bytes(object))
}

/// Puts a signature at `signatures.{entity}.{key_id}`, beside those that are there.
pub fn add_signature(
    object: &mut Object,
    entity: &str,
    key_id: &KeyId,
    signature: &[u8; 64],
) -> Result<(), MalformedSignatures> {
    let signatures = object_at(object, "signatures")?;
    let of_entity = object_at(signatures, entity)?;
    of_entity.insert(key_id.as_str(), base64::encode_unpadded(signature));
    Ok(())
}

/// The object at `name`, made if nothing is there.
fn object_at<'a>(object: &'a mut Object, name: &str) -> Result<&'a mut Object, MalformedSignatures> {
    if !object.contains(name) {
        object.insert(name, Object::new());
    }
    object.get_mut(name).and_then(Value::as_object_mut).ok_or(MalformedSignatures)
}

/// The keys of a known algorithm with which `entity` claims to have signed `object`. Names that are not key IDs are passed over
/// (Appendices, "Checking for a Signature", step 2).
pub fn signing_key_ids(object: &Object, entity: &str) -> impl Iterator<Item = KeyId> {
    object
        .object("signatures")
        .and_then(|signatures| signatures.object(entity))
        .into_iter()
        .flat_map(Object::iter)
        .filter_map(|(name, _)| KeyId::parse(name).ok())
        .filter(|key_id| key_id.algorithm() == "ed25519")
}

/// The signature at `signatures.{entity}.{key_id}`.
pub fn signature(object: &Object, entity: &str, key_id: &KeyId) -> Result<[u8; 64], VerifyError> {
    let text = object
        .object("signatures")
        .and_then(|signatures| signatures.object(entity))
        .and_then(|of_entity| of_entity.get(key_id))
        .ok_or(VerifyError::NoSignature)?;
    let text = text.as_str().ok_or(VerifyError::MalformedSignature)?;
    base64::decode_array(text).map_err(|_| VerifyError::MalformedSignature)
}

/// Checks the signature of `entity` with one of its keys. For an event, `object` is its redacted form.
pub fn verify_json(object: &Object, entity: &str, key_id: &KeyId, public_key: &[u8; 32]) -> Result<(), VerifyError> {
    let signature = signature(object, entity, key_id)?;
    verify(public_key, &signed_bytes(object), &signature)
}
