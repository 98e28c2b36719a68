//! What the fuzzer's bytes decide: numbers, texts, JSON, and how good JSON becomes bad. Once the bytes are used up, everything is
//! the first of its choices, which is always the honest one.

use libfuzzer_sys::arbitrary::Unstructured;
use orrery_core::canonical_json::{Object, Value, parse};

pub struct Draw<'i> {
    bytes: Unstructured<'i>,
    /// Identifiers that mean something in this world.
    pub names: Vec<String>,
}

/// Values that something somewhere may stumble over.
const ODD: [&str; 22] = [
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "0",
    "-1",
    "1",
    "9007199254740991",
    "9007199254740992",
    "-9007199254740991",
    "9223372036854775807",
    "18446744073709551616",
    "1.5",
    "1e3",
    "1e400",
    "-0",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "[[[[[[]]]]]]",
    "{\"\":{}}",
    "\"..\"",
];

/// Members and values of the specification.
const WORDS: [&str; 44] = [
    "type",
    "content",
    "state_key",
    "sender",
    "room_id",
    "event_id",
    "hashes",
    "sha256",
    "signatures",
    "depth",
    "prev_events",
    "auth_events",
    "origin_server_ts",
    "unsigned",
    "redacts",
    "membership",
    "third_party_invite",
    "signed",
    "mxid",
    "token",
    "join_authorised_via_users_server",
    "users",
    "users_default",
    "events",
    "state_default",
    "ban",
    "kick",
    "allow",
    "deny",
    "join_rule",
    "creator",
    "additional_creators",
    "room_version",
    "join",
    "leave",
    "invite",
    "knock",
    "restricted",
    "public",
    "m.room.create",
    "m.room.member",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.server_acl",
];

impl<'i> Draw<'i> {
    pub fn new(bytes: &'i [u8], names: Vec<String>) -> Draw<'i> {
        Draw { bytes: Unstructured::new(bytes), names }
    }

    pub fn is_over(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.bytes.arbitrary().unwrap_or_default()
    }

    /// A number below `bound`, which is at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// Whether something happens that happens once in `of` times.
    pub fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// Bytes as they are, at most 255.
    pub fn raw(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.bytes.len());
        self.bytes.bytes(length).unwrap_or_default().to_vec()
    }

    /// A name of this world, a word of the specification, or anything.
    pub fn text(&mut self) -> String {
        match self.below(8) {
            0..5 => {
                let names = self.names.clone();
                self.pick(&names)
            }
            5 => self.pick(&WORDS).to_owned(),
            6 => "x".repeat(self.below(256) * self.below(256)),
            _ => String::from_utf8_lossy(&self.raw()).into_owned(),
        }
    }

    pub fn value(&mut self) -> Value {
        match self.below(8) {
            0..3 => Value::from(self.text()),
            3..5 => parse(self.pick(&ODD).as_bytes()).unwrap_or(Value::Null),
            5 => Value::Array((0..self.below(4)).map(|_| self.value()).collect()),
            6 => (0..self.below(4)).map(|_| (self.text(), self.value())).collect::<Object>().into(),
            _ => parse(&self.raw()).unwrap_or(Value::Null),
        }
    }

    /// Now and then, changes something somewhere inside, or several things.
    pub fn disturb(&mut self, value: &mut Value) {
        for _ in 0..[0, 0, 0, 1, 1, 2, 3, 5][self.below(8)] {
            self.change(value);
        }
    }

    fn change(&mut self, value: &mut Value) {
        let size = match value {
            Value::Array(items) => items.len(),
            Value::Object(object) => object.len(),
            _ => 0,
        };
        let at = self.below(size.clamp(1, 256));
        match (self.below(8), value) {
            (0..4, Value::Array(items)) if size > 0 => self.change(&mut items[at]),
            (0..4, Value::Object(object)) if size > 0 => {
                let mut index = 0;
                object.retain(|_, member| {
                    if index == at {
                        self.change(member);
                    }
                    index += 1;
                    true
                });
            }
            (4, Value::Array(items)) if size > 0 => drop(items.remove(at)),
            (4, Value::Object(object)) => {
                let mut index = 0;
                object.retain(|_, _| {
                    index += 1;
                    index != at + 1
                });
            }
            // More than anybody would send.
            (5, Value::Array(items)) if size > 0 => {
                let again = items[at].clone();
                items.extend(std::iter::repeat_n(again, [1, 2, 20, 60, 600][self.below(5)]));
            }
            (5, Value::Array(items)) => items.push(self.value()),
            (6, Value::Object(object)) => drop(object.insert(self.text(), self.value())),
            (_, value) => *value = self.value(),
        }
    }
}
