//! The content hash, which covers the whole of an event (Server-Server API, "Calculating the content hash for an event").

use sha2::{Digest, Sha256};

use super::base64;
use crate::canonical_json::Object;

/// SHA-256 of the unredacted event's canonical JSON without `unsigned`, `signatures` and `hashes`.
#[must_use]
pub fn content_hash(event: &Object) -> [u8; 32] {
    Sha256::digest(event.to_bytes_except(&["hashes", "signatures", "unsigned"])).into()
}

/// Whether `hashes.sha256` is the event's content hash. When it is not, the event is to be treated as redacted
/// (Server-Server API, "Validating hashes and signatures on received events").
#[must_use]
pub fn content_hash_matches(event: &Object) -> bool {
    let claimed = event.object("hashes").and_then(|hashes| hashes.str("sha256"));
    claimed.is_some_and(|claimed| base64::decode_array(claimed) == Ok(content_hash(event)))
}

/// Sets `hashes` to the content hash, as an event has it before it is signed.
pub fn set_content_hash(event: &mut Object) {
    let hash = content_hash(event);
    event.insert("hashes", Object::new().with("sha256", base64::encode_unpadded(&hash)));
}
