//! Encoding: always canonical.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::number;
use super::scan::plain_prefix;
use super::value::{Object, Value};

impl Value {
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Integer(number) => encode_integer(*number, out),
            Value::Number(text) => match number::as_safe_integer(text) {
                Some(number) => encode_integer(number, out),
                None => out.extend_from_slice(text.as_bytes()),
            },
            Value::String(text) => encode_str(text, out),
            Value::Array(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.encode(out);
                }
                out.push(b']');
            }
            Value::Object(object) => object.encode(out),
        }
    }

    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.encode(&mut out);
        out
    }
}

impl Object {
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_except(&[], out);
    }

    /// Appends the canonical encoding of what is left without the members `names`. Nested objects keep theirs.
    pub fn encode_except(&self, names: &[&str], out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        for (name, value) in self.iter() {
            if names.contains(&name) {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            encode_str(name, out);
            out.push(b':');
            value.encode(out);
        }
        out.push(b'}');
    }

    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_except(&[])
    }

    /// See [`Object::encode_except`].
    #[must_use]
    pub fn to_bytes_except(&self, names: &[&str]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        self.encode_except(names, &mut out);
        out
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8(self.to_bytes()).expect("the encoding of strings is UTF-8");
        f.write_str(&text)
    }
}

fn encode_integer(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `text` as a JSON string with the shortest escapes (Appendices, "Grammar" of canonical JSON).
pub(crate) fn encode_str(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_prefix(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        rest = after;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.push(b'"');
}
