//! The reference hash, which names an event from room version 3 on (Server-Server API, "Calculating the reference hash for an
//! event").

use sha2::{Digest, Sha256};

use super::json::signed_bytes;
use crate::canonical_json::Object;

/// SHA-256 of the *redacted* event's canonical JSON without `signatures` and `unsigned`: the bytes that a signature covers.
#[must_use]
pub fn reference_hash(redacted: &Object) -> [u8; 32] {
    Sha256::digest(signed_bytes(redacted)).into()
}
