//! Base64 as Matrix writes and reads it (Appendices, "Unpadded Base64").

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};

/// Written without padding, read with or without. Unused bits at the end are ignored, as the servers and clients in the field
/// do: a signature is the bytes it decodes to.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A text is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBase64;

impl fmt::Display for NotBase64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not base64")
    }
}

impl core::error::Error for NotBase64 {}

/// Standard alphabet, no padding.
#[must_use]
pub fn encode_unpadded(bytes: &[u8]) -> String {
    general_purpose::STANDARD_NO_PAD.encode(bytes)
}

/// URL-safe alphabet (`-` and `_`), no padding.
#[must_use]
pub fn encode_url_safe_unpadded(bytes: &[u8]) -> String {
    general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// [`encode_unpadded`] to the end of `out`.
pub fn append_unpadded(bytes: &[u8], out: &mut Vec<u8>) {
    append(&general_purpose::STANDARD_NO_PAD, bytes, out);
}

/// [`encode_url_safe_unpadded`] to the end of `out`.
pub fn append_url_safe_unpadded(bytes: &[u8], out: &mut Vec<u8>) {
    append(&general_purpose::URL_SAFE_NO_PAD, bytes, out);
}

fn append(engine: &GeneralPurpose, bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Four characters for three bytes, the last group cut short.
    out.resize(start + (bytes.len() * 4).div_ceil(3), 0);
    let written = engine.encode_slice(bytes, &mut out[start..]);
    assert_eq!(written, Ok(out.len() - start), "the room made for the text is its length");
}

/// Reads either alphabet, with or without padding.
///
/// The specification asks for leniency about padding. The alphabets are read alike because that is what most servers do with
/// signatures and hashes of events: being stricter would only split rooms. Where one alphabet is required, as in event IDs,
/// the grammar of the identifier says so.
pub fn decode(text: &str) -> Result<Vec<u8>, NotBase64> {
    if text.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        let standard: Vec<u8> = text.bytes().map(to_standard).collect();
        return LENIENT.decode(standard).map_err(|_| NotBase64);
    }
    LENIENT.decode(text).map_err(|_| NotBase64)
}

/// [`decode`] for keys, signatures and hashes, whose length is known.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], NotBase64> {
    decode(text)?.try_into().map_err(|_| NotBase64)
}

/// The bytes of a text as [`encode_unpadded`] or, if it has `-` or `_`, [`encode_url_safe_unpadded`] makes it, and of no other.
pub fn decode_exact<const N: usize>(text: &[u8]) -> Result<[u8; N], NotBase64> {
    let engine = if is_url_safe(text) { &general_purpose::URL_SAFE_NO_PAD } else { &general_purpose::STANDARD_NO_PAD };
    // The engine wants room for whole groups.
    let mut bytes = [0; 96];
    match engine.decode_slice(text, &mut bytes) {
        Ok(len) => bytes[..len].try_into().map_err(|_| NotBase64),
        Err(_) => Err(NotBase64),
    }
}

/// Whether a text has characters of the URL-safe alphabet alone.
pub fn is_url_safe(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'-' | b'_'))
}

fn to_standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}
