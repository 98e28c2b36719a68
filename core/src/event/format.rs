//! The event formats of the room versions ("Event format" on each version's page) and the limits on every event
//! (Client-Server API, "Size limits"; Server-Server API, "PDUs").

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::pdu::Parts;
use crate::canonical_json::{NotStrict, Object, ParseError, Value};
use crate::error::ApiError;
use crate::identifiers::{EventId, InvalidIdentifier, RoomId, UserId};
use crate::limits::{MAX_AUTH_EVENTS, MAX_EVENT_NESTING, MAX_EVENT_SIZE, MAX_IDENTIFIER};
use crate::room_version::{EventIdFormat, RoomIdFormat, RoomVersionRules};

/// Why something is not an event of its room version. Such an event is dropped (Server-Server API, "Checks performed on
/// receipt of a PDU", 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    NotJson(ParseError),
    NotAnObject,
    /// A number that canonical JSON does not have, in a version that is strict about it.
    NotCanonical(NotStrict),
    /// The canonical JSON has this many bytes.
    TooLarge(usize),
    /// The content of an event that is made here is nested deeper than [`MAX_EVENT_NESTING`] allows.
    TooDeep,
    Missing(&'static str),
    WrongType {
        member: &'static str,
        expected: &'static str,
    },
    /// A type or state key of more than 255 bytes.
    TooLong(&'static str),
    /// More `auth_events` or `prev_events` than allowed.
    TooMany(&'static str),
    DepthOutOfRange,
    Identifier {
        member: &'static str,
        error: InvalidIdentifier,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::NotJson(error) => write!(f, "the event is not JSON: {error}"),
            FormatError::NotAnObject => f.write_str("an event is a JSON object"),
            FormatError::NotCanonical(error) => write!(f, "the event is not canonical JSON: {error}"),
            FormatError::TooLarge(size) => write!(f, "the event has {size} bytes; {MAX_EVENT_SIZE} are allowed"),
            FormatError::TooDeep => write!(f, "the event is nested deeper than {MAX_EVENT_NESTING} levels"),
            FormatError::Missing(member) => write!(f, "the event has no {member}"),
            FormatError::WrongType { member, expected } => write!(f, "{member} is not {expected}"),
            FormatError::TooLong(member) => write!(f, "{member} is longer than {MAX_IDENTIFIER} bytes"),
            FormatError::TooMany(member) => write!(f, "{member} has too many entries"),
            FormatError::DepthOutOfRange => f.write_str("depth is out of range"),
            FormatError::Identifier { member, error } => write!(f, "{member}: {error}"),
        }
    }
}

impl core::error::Error for FormatError {}

impl From<FormatError> for ApiError {
    fn from(error: FormatError) -> ApiError {
        let message = error.to_string();
        match error {
            FormatError::NotJson(_) => ApiError::not_json(message),
            FormatError::TooLarge(_) | FormatError::TooLong(_) => ApiError::new(413, "M_TOO_LARGE", message),
            _ => ApiError::bad_json(message),
        }
    }
}

/// The members of an event that every server reads, checked.
pub(super) struct Header {
    /// As the event states it, in versions where it does.
    pub event_id: Option<EventId>,
    pub parts: Parts,
    pub signatures: Object,
    /// `hashes.sha256`.
    pub sha256: String,
}

/// The size in canonical JSON, without `unsigned`: that is neither signed nor kept, and servers on the way may change it.
pub(super) fn check_size(size: usize) -> Result<(), FormatError> {
    if size > MAX_EVENT_SIZE { Err(FormatError::TooLarge(size)) } else { Ok(()) }
}

/// The type or the state key of an event.
pub(super) fn check_short(member: &'static str, text: &str) -> Result<(), FormatError> {
    if text.len() > MAX_IDENTIFIER { Err(FormatError::TooLong(member)) } else { Ok(()) }
}

/// Reads and checks the members of an event. Members that the format does not name are allowed.
/// `prev_events` may have up to `most_prev_events` entries.
pub(super) fn check(event: Object, rules: &RoomVersionRules, most_prev_events: usize) -> Result<Header, FormatError> {
    let mut event_id = None;
    let mut room_id = None;
    let mut sender = None;
    let mut kind = None;
    let mut state_key = None;
    let mut content = None;
    let mut origin_server_ts = None;
    let mut depth = None;
    let mut prev_events = None;
    let mut auth_events = None;
    let mut redacts = None;
    let mut signatures = None;
    let mut hashes = None;
    for (name, value) in event {
        match name.as_str() {
            "auth_events" => auth_events = Some(value),
            "content" => content = Some(object("content", value)?),
            "depth" => depth = Some(integer("depth", &value)?),
            "event_id" => event_id = Some(value),
            "hashes" => hashes = Some(object("hashes", value)?),
            "origin_server_ts" => origin_server_ts = Some(integer("origin_server_ts", &value)?),
            "prev_events" => prev_events = Some(value),
            "redacts" => redacts = Some(value),
            "room_id" => room_id = Some(string("room_id", value)?),
            "sender" => sender = Some(string("sender", value)?),
            "signatures" => signatures = Some(object("signatures", value)?),
            "state_key" => state_key = Some(short("state_key", value)?),
            "type" => kind = Some(short("type", value)?),
            _ => {}
        }
    }

    let kind = kind.ok_or(FormatError::Missing("type"))?;
    let event_id = match rules.event_ids {
        EventIdFormat::Stated => {
            let text = string("event_id", event_id.ok_or(FormatError::Missing("event_id"))?)?;
            Some(EventId::parse(&text).map_err(|error| FormatError::Identifier { member: "event_id", error })?)
        }
        EventIdFormat::Base64 | EventIdFormat::UrlSafeBase64 => None,
    };
    let room_id = match room_id {
        Some(text) => Some(RoomId::parse(&text).map_err(|error| FormatError::Identifier { member: "room_id", error })?),
        None if rules.room_ids == RoomIdFormat::CreateHash && kind == "m.room.create" => None,
        None => return Err(FormatError::Missing("room_id")),
    };
    let sender = sender.ok_or(FormatError::Missing("sender"))?;
    let sender = UserId::parse(&sender).map_err(|error| FormatError::Identifier { member: "sender", error })?;
    let content = content.ok_or(FormatError::Missing("content"))?;
    let depth = depth.ok_or(FormatError::Missing("depth"))?;
    if !(0..=rules.max_depth).contains(&depth) {
        return Err(FormatError::DepthOutOfRange);
    }
    let redacts = if rules.redacts_in_content {
        redacts_in_content(&kind, &content)
    } else {
        let redacts = redacts.map(|value| string("redacts", value)).transpose()?;
        redacts_beside_content(&kind, redacts.as_deref())
    };
    let signatures = signatures.ok_or(FormatError::Missing("signatures"))?;
    check_signatures(&signatures)?;
    let mut hashes = hashes.ok_or(FormatError::Missing("hashes"))?;
    let sha256 = hashes.remove("sha256").ok_or(FormatError::Missing("hashes.sha256"))?;

    let parts = Parts {
        room_id,
        sender,
        state_key,
        content,
        origin_server_ts: origin_server_ts.ok_or(FormatError::Missing("origin_server_ts"))?,
        depth,
        prev_events: references("prev_events", prev_events, most_prev_events, rules)?,
        auth_events: references("auth_events", auth_events, MAX_AUTH_EVENTS, rules)?,
        redacts,
        kind,
    };
    Ok(Header { event_id, parts, signatures, sha256: string("hashes.sha256", sha256)? })
}

/// What an `m.room.redaction` redacts in versions where its content says so. Contents are no part of the event format: one
/// that names no event redacts nothing.
pub(super) fn redacts_in_content(kind: &str, content: &Object) -> Option<EventId> {
    if kind != "m.room.redaction" {
        return None;
    }
    EventId::parse(content.str("redacts")?).ok()
}

/// The same in versions where it stands beside the content.
pub(super) fn redacts_beside_content(kind: &str, redacts: Option<&str>) -> Option<EventId> {
    if kind != "m.room.redaction" {
        return None;
    }
    EventId::parse(redacts?).ok()
}

fn string(member: &'static str, value: Value) -> Result<String, FormatError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(FormatError::WrongType { member, expected: "a string" }),
    }
}

fn short(member: &'static str, value: Value) -> Result<String, FormatError> {
    let text = string(member, value)?;
    check_short(member, &text)?;
    Ok(text)
}

fn object(member: &'static str, value: Value) -> Result<Object, FormatError> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(FormatError::WrongType { member, expected: "an object" }),
    }
}

/// An integer; in versions that are not strict about canonical JSON it may be beyond 2^53.
fn integer(member: &'static str, value: &Value) -> Result<i64, FormatError> {
    let number = match value {
        Value::Integer(number) => Some(*number),
        Value::Number(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or(FormatError::WrongType { member, expected: "an integer" })
}

fn check_signatures(signatures: &Object) -> Result<(), FormatError> {
    let well_formed = signatures.iter().all(|(_, of_entity)| {
        of_entity.as_object().is_some_and(|of_entity| of_entity.iter().all(|(_, value)| value.as_str().is_some()))
    });
    if well_formed {
        Ok(())
    } else {
        Err(FormatError::WrongType { member: "signatures", expected: "an object of objects of strings" })
    }
}

fn references(
    member: &'static str,
    value: Option<Value>,
    most: usize,
    rules: &RoomVersionRules,
) -> Result<Vec<EventId>, FormatError> {
    let value = value.ok_or(FormatError::Missing(member))?;
    let Value::Array(items) = value else { return Err(FormatError::WrongType { member, expected: "an array" }) };
    if items.len() > most {
        return Err(FormatError::TooMany(member));
    }
    items
        .iter()
        .map(|item| {
            let (text, expected) = if rules.references_have_hashes {
                (id_of_pair(item), "an array of pairs of an event ID and hashes")
            } else {
                (item.as_str(), "an array of event IDs")
            };
            let text = text.ok_or(FormatError::WrongType { member, expected })?;
            EventId::parse(text).map_err(|error| FormatError::Identifier { member, error })
        })
        .collect()
}

fn id_of_pair(item: &Value) -> Option<&str> {
    match item.as_array()? {
        [id, hashes] => hashes.as_object().and_then(|_| id.as_str()),
        _ => None,
    }
}
