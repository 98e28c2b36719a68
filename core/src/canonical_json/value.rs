//! The value type.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::number;

/// The largest integer that canonical JSON has; the smallest is its negative.
pub(crate) const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    /// A number without fraction or exponent, within ±(2^53-1).
    Integer(i64),
    /// Any other number, as it was written. Not canonical JSON; allowed in room versions 1 to 5 and outside events.
    ///
    /// Encoded as it was written too, because that is what its sender hashed and signed, except that `-0` becomes `0` and an
    /// integer with an exponent is written out (`1e10`, see the examples of canonical JSON in the Appendices).
    Number(Box<str>),
    String(String),
    Array(Vec<Value>),
    Object(Object),
}

/// The value holds a number that canonical JSON does not have (strict from room version 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStrict {
    /// The number as it was written.
    pub number: Box<str>,
}

impl fmt::Display for NotStrict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not an integer between -(2^53-1) and 2^53-1", self.number)
    }
}

impl Value {
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
    /// An integer of canonical JSON, also one that was written as `-0` or with an exponent: the answer is the same before and
    /// after encoding.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            Value::Number(text) => number::as_safe_integer(text),
            _ => None,
        }
    }
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }
    /// The member `name` of an object; `None` on anything else.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }

    /// How many arrays and objects stand around the innermost value; 0 for one that is neither.
    #[must_use]
    pub fn nesting(&self) -> usize {
        match self {
            Value::Array(items) => 1 + items.iter().map(Value::nesting).max().unwrap_or(0),
            Value::Object(object) => object.nesting(),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    /// The number without what follows its decimal point, saturated at the bounds of `i64`, as power levels of room versions 1
    /// to 5 are read ("`m.room.power_levels` events accept values as floats"). `None` if this is not a number, or one that is
    /// too large for a double.
    #[must_use]
    pub fn truncated_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            Value::Number(text) => number::truncated(text),
            _ => None,
        }
    }

    /// Refuses numbers that canonical JSON does not have (room version 6 and later).
    pub fn require_strict(&self) -> Result<(), NotStrict> {
        match self {
            Value::Number(number) => Err(NotStrict { number: number.clone() }),
            Value::Array(items) => items.iter().try_for_each(Value::require_strict),
            Value::Object(object) => object.require_strict(),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::String(_) => Ok(()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_string())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}
impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Value {
        debug_assert!(
            number.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs(),
            "canonical JSON has no integer {number}"
        );
        Value::Integer(number)
    }
}
impl From<u64> for Value {
    /// Numbers above 2^53-1 become 2^53-1.
    fn from(number: u64) -> Value {
        Value::Integer(i64::try_from(number).unwrap_or(MAX_SAFE_INTEGER).min(MAX_SAFE_INTEGER))
    }
}
impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Integer(i64::from(number))
    }
}
impl From<Object> for Value {
    fn from(object: Object) -> Value {
        Value::Object(object)
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}
impl From<crate::time::Timestamp> for Value {
    fn from(time: crate::time::Timestamp) -> Value {
        Value::from(time.0)
    }
}

/// A JSON object: its members sorted by name, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    members: Vec<(String, Value)>,
}

impl Object {
    #[must_use]
    pub const fn new() -> Object {
        Object { members: Vec::new() }
    }

    /// Sorts `members`. Of two with one name, the later stays.
    pub(super) fn from_members(mut members: Vec<(String, Value)>) -> Object {
        if !members.is_sorted_by(|a, b| a.0 < b.0) {
            members.sort_by(|a, b| a.0.cmp(&b.0));
            members.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    core::mem::swap(later, kept);
                }
                same
            });
        }
        Object { members }
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.members.binary_search_by(|member| member.0.as_str().cmp(name))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.find(name).ok().map(|at| &self.members[at].1)
    }
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.find(name).ok().map(|at| &mut self.members[at].1)
    }
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }
    /// The member `name` if it is a string.
    #[must_use]
    pub fn str(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }
    /// The member `name` if it is an integer.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_integer()
    }
    /// The member `name` if it is a boolean.
    #[must_use]
    pub fn bool(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }
    /// The member `name` if it is an array.
    #[must_use]
    pub fn array(&self, name: &str) -> Option<&[Value]> {
        self.get(name)?.as_array()
    }
    /// The member `name` if it is an object.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.get(name)?.as_object()
    }

    /// Sets a member and returns what was there.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let name = name.into();
        match self.find(&name) {
            Ok(at) => Some(core::mem::replace(&mut self.members[at].1, value.into())),
            Err(at) => {
                self.members.insert(at, (name, value.into()));
                None
            }
        }
    }
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.find(name).ok().map(|at| self.members.remove(at).1)
    }
    /// Builder form of [`Object::insert`].
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Object {
        self.insert(name, value);
        self
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
    /// The members in canonical order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> + ExactSizeIterator {
        self.members.iter().map(|member| (member.0.as_str(), &member.1))
    }
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.members.retain_mut(|member| keep(&member.0, &mut member.1));
    }
    /// See [`Value::nesting`].
    #[must_use]
    pub fn nesting(&self) -> usize {
        1 + self.members.iter().map(|member| member.1.nesting()).max().unwrap_or(0)
    }
    /// See [`Value::require_strict`].
    pub fn require_strict(&self) -> Result<(), NotStrict> {
        self.members.iter().try_for_each(|member| member.1.require_strict())
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = alloc::vec::IntoIter<(String, Value)>;
    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Object {
    /// Of two members with one name, the later wins.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(members: I) -> Object {
        Object::from_members(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<String>, V: Into<Value>> Extend<(N, V)> for Object {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, members: I) {
        for (name, value) in members {
            self.insert(name, value);
        }
    }
}
