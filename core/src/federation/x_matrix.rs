//! The `X-Matrix` scheme (Server-Server API, "Request Authentication"): what of a request is signed, and the header that says so.

use alloc::string::{String, ToString};

use crate::canonical_json::{Object, Value};
use crate::http::Method;
use crate::identifiers::{KeyId, ServerName};
use crate::signing::{self, SigningKey, base64};

/// The parameters of an `Authorization: X-Matrix` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XMatrix {
    pub origin: ServerName,
    /// Absent from servers older than v1.3 of the specification.
    pub destination: Option<ServerName>,
    pub key: KeyId,
    pub signature: [u8; 64],
}

/// The value of the `Authorization` header of a request to `destination`.
#[must_use]
pub fn authorization(
    key: &SigningKey,
    (origin, destination): (&ServerName, &ServerName),
    method: Method,
    target: &str,
    content: Option<Value>,
) -> String {
    let signed = signed_object(method, target, (origin, destination), content);
    let signature = base64::encode_unpadded(&signing::signature_of(&signed, key));
    alloc::format!(
        "X-Matrix origin=\"{origin}\",destination=\"{destination}\",key=\"{}\",sig=\"{signature}\"",
        key.key_id()
    )
}

/// What is signed: step 1 of the section.
#[must_use]
pub fn signed_object(
    method: Method,
    target: &str,
    (origin, destination): (&ServerName, &ServerName),
    content: Option<Value>,
) -> Object {
    let mut signed = Object::new()
        .with("method", method.as_str())
        .with("uri", target)
        .with("origin", origin.as_str())
        .with("destination", destination.as_str());
    if let Some(content) = content {
        signed.insert("content", content);
    }
    signed
}

impl XMatrix {
    /// Parses the header's value; `None` if it is another scheme, or lacks a parameter that the scheme needs.
    #[must_use]
    pub fn parse(header: &str) -> Option<XMatrix> {
        let (scheme, rest) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("X-Matrix") {
            return None;
        }
        let (mut origin, mut destination, mut key, mut signature) = (None, None, None, None);
        let mut rest = rest.trim_matches([' ', '\t']);
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = parameter_value(after)?;
            match name.to_ascii_lowercase().as_str() {
                "origin" => origin = Some(ServerName::parse(&value).ok()?),
                "destination" => destination = Some(ServerName::parse(&value).ok()?),
                "key" => key = Some(KeyId::parse(&value).ok()?),
                "sig" => signature = Some(base64::decode_array(&value).ok()?),
                _ => {}
            }
            rest = after.trim_start_matches([' ', '\t']);
            if !rest.is_empty() {
                rest = rest.strip_prefix(',')?.trim_start_matches([' ', '\t']);
            }
        }
        Some(XMatrix { origin: origin?, destination, key: key?, signature: signature? })
    }
}

/// A token or a quoted string, and what follows it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_string(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}
