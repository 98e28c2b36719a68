//! Grammars that several kinds of identifiers share, and parts of grammars.

use crate::limits::MAX_IDENTIFIER;

/// Whether `text` has the grammar of opaque identifiers: one to 255 of `0-9 A-Z a-z - . _ ~` (Appendices, "Opaque
/// Identifiers").
#[must_use]
pub fn is_opaque_identifier(text: &str) -> bool {
    (1..=MAX_IDENTIFIER).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// Whether `text` has the common namespaced identifier grammar: one to 255 of `a-z 0-9 - _ .`, the first of `a-z` (Appendices,
/// "Common Namespaced Identifier Grammar"). That names beginning with `m.` are the specification's is up to the caller.
#[must_use]
pub fn is_namespaced_identifier(text: &str) -> bool {
    text.len() <= MAX_IDENTIFIER
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}

/// `localpart:server`. Localparts are any text without `:` and NUL, the empty one included.
pub(super) fn check_delimited(text: &str) -> Result<(), &'static str> {
    let (localpart, server) = text.split_once(':').ok_or("has no : and server name")?;
    if localpart.contains('\0') {
        return Err("the localpart has a NUL");
    }
    super::server_name::check(server)
}

/// The length of 32 bytes in unpadded base64.
const HASH_LENGTH: usize = 43;

/// A reference hash in unpadded base64, in the standard or the URL-safe alphabet.
pub(super) fn is_hash(text: &str, url_safe: bool) -> bool {
    let others = if url_safe { b"-_" } else { b"+/" };
    text.len() == HASH_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}
