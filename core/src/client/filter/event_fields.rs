//! `event_fields`: the parts of an event that a client wants (Appendices, "Dot-separated property paths").

use alloc::string::String;
use alloc::vec::Vec;

use crate::canonical_json::{self, Object, Value};

/// Paths of properties; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFields(Vec<Vec<String>>);

impl EventFields {
    /// `None` if no paths are given: a client that wants no part of an event is not there to be served, one whose list happens
    /// to be empty is.
    #[must_use]
    pub fn parse(paths: &[&str]) -> Option<EventFields> {
        (!paths.is_empty()).then(|| EventFields(paths.iter().map(|path| split(path)).collect()))
    }

    /// Replaces the event that begins at `start` of `out` by its fields.
    pub fn apply(&self, start: usize, out: &mut Vec<u8>) {
        let Ok(Value::Object(event)) = canonical_json::parse(&out[start..]) else { return };
        out.truncate(start);
        let paths: Vec<&[String]> = self.0.iter().map(Vec::as_slice).collect();
        pick(&event, &paths).encode(out);
    }
}

/// The members of `object` that `paths` lead to.
fn pick(object: &Object, paths: &[&[String]]) -> Object {
    let mut out = Object::new();
    for (name, value) in object.iter() {
        let below: Vec<&[String]> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(first, _)| *first == name)
            .map(|(_, rest)| rest)
            .collect();
        if below.iter().any(|rest| rest.is_empty()) {
            out.insert(name, value.clone());
        } else if let (Value::Object(inner), false) = (value, below.is_empty()) {
            let inner = pick(inner, &below);
            if !inner.is_empty() {
                out.insert(name, inner);
            }
        }
    }
    out
}

/// The names of which a dot-separated path is made.
#[must_use]
pub fn split(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut chars = path.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            '\\' => match chars.next_if(|escaped| matches!(escaped, '.' | '\\')) {
                Some(escaped) => name.push(escaped),
                None => name.push('\\'),
            },
            '.' => names.push(core::mem::take(&mut name)),
            _ => name.push(next),
        }
    }
    names.push(name);
    names
}
