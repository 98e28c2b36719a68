//! Signatures and hashes (Appendices, "Signing JSON"; Server-Server API, "Signing Events"): Ed25519 over canonical JSON, the
//! content hash and the reference hash of events, and base64 as Matrix writes it.
//!
//! Everything here is a pure function of its arguments. Which key may sign what, and until when, is decided elsewhere; so is
//! redaction, which depends on the room version: functions that need a redacted event take one.

pub mod base64;
mod content_hash;
mod ed25519;
mod json;
mod key_file;
mod reference_hash;

pub use content_hash::{content_hash, content_hash_matches, set_content_hash};
pub use ed25519::{SignedMessage, SigningKey, VerifyError, verify, verify_batch};
pub use json::{
    MalformedSignatures, add_signature, sign_json, signature, signature_of, signed_bytes, signing_key_ids, verify_json,
};
pub use key_file::{KeyFileError, format_key_file, parse_key_file};
pub use reference_hash::reference_hash;

#[cfg(test)]
mod tests;
