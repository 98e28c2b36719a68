//! What JSON texts mean, by Orrery and by `serde_json`.

use orrery_core::canonical_json::{ParseError, Value};

/// Why the two parsers may differ about this text.
pub fn difference(
    ours: &Result<Value, ParseError>,
    theirs: &serde_json::Result<serde_json::Value>,
) -> Option<&'static str> {
    match (ours, theirs) {
        // Room versions 1 to 5 let any number through, and we never compute its value.
        (Ok(_), Err(error)) if error.to_string().starts_with("number out of range") => Some("a number beyond doubles"),
        // Both stop at 128 levels, they one level earlier.
        (Ok(value), Err(error)) if error.to_string().starts_with("recursion limit") && value.nesting() == 128 => {
            Some("128 levels")
        }
        _ => None,
    }
}

/// Whether our number is their double.
fn same_double(ours: &str, theirs: &serde_json::Number) -> bool {
    ours.parse().ok() == theirs.as_f64()
}

/// Numbers other than safe integers are compared as doubles.
pub fn same_meaning(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
        (Value::Integer(a), serde_json::Value::Number(b)) => Some(*a) == b.as_i64(),
        (Value::Number(a), serde_json::Value::Number(b)) => same_double(a, b),
        (Value::String(a), serde_json::Value::String(b)) => a == b,
        (Value::Array(a), serde_json::Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_meaning(a, b))
        }
        (Value::Object(a), serde_json::Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same_meaning(a, b)))
        }
        _ => false,
    }
}

/// [`same_meaning`], where an integer of ours may have been written as another number.
pub fn same_number_apart(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Integer(a), serde_json::Value::Number(b)) => Some(*a as f64) == b.as_f64(),
        (Value::Array(a), serde_json::Value::Array(b)) => a.iter().zip(b).all(|(a, b)| same_number_apart(a, b)),
        (Value::Object(a), serde_json::Value::Object(b)) => a.iter().all(|(name, a)| same_number_apart(a, &b[name])),
        _ => same_meaning(ours, theirs),
    }
}
