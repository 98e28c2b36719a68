//! JSON as Matrix signs it (Appendices, "Canonical JSON"): one value type for events, requests and responses, whose encoding
//! is always canonical: members sorted by code point, no white space, shortest escapes, integers in ±(2^53-1).
//!
//! Room versions below 6 let other numbers through; they are kept as written ([`Value::Number`]) and can be refused with
//! [`Value::require_strict`].

mod encode;
mod number;
mod parse;
mod scan;
mod value;

pub(crate) use encode::encode_str;
pub use parse::{ParseError, parse};
pub(crate) use value::MAX_SAFE_INTEGER;
pub use value::{NotStrict, Object, Value};

#[cfg(test)]
mod tests;
