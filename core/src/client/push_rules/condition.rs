//! The conditions of push rules (Client-Server API, "Conditions"), in a form that is cheap to ask.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::OnceCell;

use super::default_rules::USER_ID;
use super::glob::{Glob, Text};
use crate::canonical_json::{Object, Value};
use crate::client::filter::property_path;
use crate::identifiers::{RoomId, UserId};
use crate::limits::{MAX_MATCHED_TEXT, MAX_PUSH_PATTERN};
use crate::room::StoredEvent;
use crate::store::StorageError;

/// What conditions ask of the room as it is now, looked up when one asks.
pub trait Surroundings {
    /// The joined members, as [`MemberCount`] sees them.
    fn member_count(&mut self, condition: MemberCount) -> bool;
    /// What the user is called in the room.
    fn display_name(&mut self) -> Result<Option<String>, StorageError>;
    /// Whether `sender` has the power to notify everybody in the way `key`.
    fn may_notify(&mut self, sender: &UserId, key: &str) -> Result<bool, StorageError>;
}

/// An event that rules are asked about, and whose rules they are.
#[derive(Debug)]
pub struct Candidate<'e> {
    event_id: &'e str,
    room_id: &'e RoomId,
    sender: &'e UserId,
    kind: &'e str,
    state_key: Option<&'e str>,
    content: &'e Object,
    user_id: &'e UserId,
    body: OnceCell<Option<Text>>,
}

impl<'e> Candidate<'e> {
    /// `content` is that of the event, parsed.
    #[must_use]
    pub fn new(event: &'e StoredEvent, room_id: &'e RoomId, content: &'e Object, user_id: &'e UserId) -> Candidate<'e> {
        let header = &event.header;
        Candidate {
            event_id: &header.event_id,
            room_id,
            sender: &header.sender,
            kind: &header.kind,
            state_key: header.state_key.as_deref(),
            content,
            user_id,
            body: OnceCell::new(),
        }
    }

    /// `content.body`, as far as patterns look at it.
    fn body(&self) -> Option<&Text> {
        let text = || Some(Text::new(beginning(self.content.str("body")?)));
        self.body.get_or_init(text).as_ref()
    }

    /// The string under a path.
    fn string(&self, path: &[String]) -> Option<&str> {
        let [name] = path else { return self.property(path)?.as_str() };
        match name.as_str() {
            "type" => Some(self.kind),
            "sender" => Some(self.sender),
            "state_key" => self.state_key,
            "room_id" => Some(self.room_id),
            "event_id" => Some(self.event_id),
            _ => None,
        }
    }

    /// What stands in the content under a path.
    fn property(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let (name, below) = rest.split_first().filter(|_| first == "content")?;
        below.iter().try_fold(self.content.get(name)?, |value, name| value.get(name))
    }
}

/// The beginning of a text that is matched.
fn beginning(text: &str) -> &str {
    let end = (0..=MAX_MATCHED_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `event_match`
    Match { path: Vec<String>, pattern: Glob },
    /// `event_match` of `content.body`, and the `pattern` of content rules.
    BodyMatch(Glob),
    /// `event_match` of the user's ID, and nothing else.
    MatchUser { path: Vec<String> },
    /// `event_property_is`
    Is { path: Vec<String>, value: Value },
    /// `event_property_contains`
    Contains { path: Vec<String>, value: Value },
    /// `event_property_contains` with the user's ID.
    ContainsUser { path: Vec<String> },
    /// `contains_display_name`
    ContainsDisplayName,
    /// `room_member_count`
    MemberCount(MemberCount),
    /// `sender_notification_permission`
    SenderMayNotify { key: String },
    /// What a room rule asks.
    InRoom(String),
    /// What a sender rule asks.
    SentBy(String),
    /// A condition that this server does not know, or that is none.
    Never,
}

/// The `is` of `room_member_count`: the numbers of members from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberCount {
    pub least: u32,
    pub most: u32,
}

impl MemberCount {
    fn parse(text: &str) -> Option<MemberCount> {
        let digits = text.trim_start_matches(['=', '<', '>']);
        let number: u32 =
            if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok()? } else { return None };
        let (least, most) = match &text[..text.len() - digits.len()] {
            "" | "==" => (number, number),
            "<" => (0, number.checked_sub(1)?),
            ">" => (number.checked_add(1)?, u32::MAX),
            "<=" => (0, number),
            ">=" => (number, u32::MAX),
            _ => return None,
        };
        Some(MemberCount { least, most })
    }

    #[must_use]
    pub fn holds(self, members: u32) -> bool {
        (self.least..=self.most).contains(&members)
    }
}

impl Condition {
    /// Reads a condition. In a server-default rule a certain text stands for the user's ID.
    #[must_use]
    pub fn read(condition: &Value, default: bool) -> Condition {
        condition.as_object().and_then(|condition| Condition::of(condition, default)).unwrap_or(Condition::Never)
    }

    fn of(condition: &Object, default: bool) -> Option<Condition> {
        let path = || condition.str("key").map(property_path);
        let is_user = |text: &str| default && text == USER_ID;
        Some(match condition.str("kind")? {
            "event_match" => {
                let (path, pattern) = (path()?, condition.str("pattern")?);
                match &path[..] {
                    _ if is_user(pattern) => Condition::MatchUser { path },
                    [content, body] if content == "content" && body == "body" => Condition::body_match(pattern),
                    _ => Condition::Match { path, pattern: glob(pattern)? },
                }
            }
            "event_property_is" => Condition::Is { path: path()?, value: simple(condition)?.clone() },
            "event_property_contains" => match simple(condition)? {
                Value::String(text) if is_user(text) => Condition::ContainsUser { path: path()? },
                value => Condition::Contains { path: path()?, value: value.clone() },
            },
            "contains_display_name" => Condition::ContainsDisplayName,
            "room_member_count" => Condition::MemberCount(MemberCount::parse(condition.str("is")?)?),
            "sender_notification_permission" => Condition::SenderMayNotify { key: condition.str("key")?.to_string() },
            _ => return None,
        })
    }

    /// What the `pattern` of a content rule asks.
    #[must_use]
    pub fn body_match(pattern: &str) -> Condition {
        glob(pattern).map_or(Condition::Never, Condition::BodyMatch)
    }

    /// Whether it asks for the room, which costs more than to look at the event.
    #[must_use]
    pub fn asks_room(&self) -> bool {
        use Condition::{ContainsDisplayName, MemberCount, SenderMayNotify};
        matches!(self, ContainsDisplayName | MemberCount(_) | SenderMayNotify { .. })
    }

    pub fn holds(&self, event: &Candidate<'_>, room: &mut impl Surroundings) -> Result<bool, StorageError> {
        Ok(match self {
            Condition::Match { path, pattern } => {
                event.string(path).is_some_and(|text| pattern.matches_str(beginning(text)))
            }
            Condition::BodyMatch(pattern) => event.body().is_some_and(|body| pattern.matches_words(body)),
            Condition::MatchUser { path } => event.string(path) == Some(event.user_id.as_str()),
            Condition::Is { path, value } => match event.string(path) {
                Some(text) => value.as_str() == Some(text),
                None => event.property(path).is_some_and(|property| same(property, value)),
            },
            Condition::Contains { path, value } => contains(event.property(path), |item| same(item, value)),
            Condition::ContainsUser { path } => {
                contains(event.property(path), |item| item.as_str() == Some(event.user_id.as_str()))
            }
            Condition::ContainsDisplayName => match (event.body(), room.display_name()?) {
                (Some(body), Some(name)) if !name.is_empty() => Glob::literal(&name).matches_words(body),
                _ => false,
            },
            Condition::MemberCount(count) => room.member_count(*count),
            Condition::SenderMayNotify { key } => room.may_notify(event.sender, key)?,
            Condition::InRoom(room_id) => event.room_id.as_str() == room_id,
            Condition::SentBy(user_id) => event.sender.as_str() == user_id,
            Condition::Never => false,
        })
    }
}

fn glob(pattern: &str) -> Option<Glob> {
    (pattern.len() <= MAX_PUSH_PATTERN).then(|| Glob::new(pattern))
}

/// The `value` of a condition, if it is neither an array nor an object.
fn simple(condition: &Object) -> Option<&Value> {
    condition.get("value").filter(|value| is_simple(value))
}

fn is_simple(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(_) | Value::Integer(_) | Value::String(_))
}

/// Whether a property has a value, which is simple. An integer may have been written in another way.
fn same(property: &Value, value: &Value) -> bool {
    match value {
        Value::Integer(number) => property.as_integer() == Some(*number),
        value => property == value,
    }
}

fn contains(property: Option<&Value>, wanted: impl Fn(&Value) -> bool) -> bool {
    property.and_then(Value::as_array).is_some_and(|items| items.iter().any(wanted))
}

#[cfg(test)]
pub(super) mod testing;
