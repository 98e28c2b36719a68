//! Making events of this server (Server-Server API, "Adding hashes and signatures to outgoing events").

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::format::{FormatError, check_short, check_size};
use super::members::{Layout, Member, write_object};
use super::pdu::{self, Parts, Pdu};
use super::received::{content_hash, sha256};
use super::redaction;
use crate::canonical_json::{MAX_SAFE_INTEGER, Object, Value, encode_str};
use crate::error::ApiError;
use crate::identifiers::{EventId, RoomId, ServerName, UserId};
use crate::limits::{MAX_AUTH_EVENTS, MAX_EVENT_NESTING, MAX_PREV_EVENTS};
use crate::room_version::{EventIdFormat, RoomVersion, RoomVersionRules};
use crate::signing::{SigningKey, base64};
use crate::store::StorageError;
use crate::time::Timestamp;

/// Looks up an event's reference hash. `None` if it is not known: then the reference goes without, as no server looks at it.
pub type ReferenceHashOf<'a> = &'a dyn Fn(&EventId) -> Result<Option<[u8; 32]>, StorageError>;

/// An event to be made. Whether it is allowed is not judged here.
pub struct NewEvent<'a> {
    pub version: RoomVersion,
    /// `None` for the create event of a version whose room IDs are made of it.
    pub room_id: Option<&'a RoomId>,
    pub sender: &'a UserId,
    /// `type`.
    pub kind: &'a str,
    pub state_key: Option<&'a str>,
    pub content: Object,
    pub prev_events: &'a [EventId],
    pub auth_events: &'a [EventId],
    /// One more than the largest of `prev_events`; beyond the version's largest, that is taken.
    pub depth: i64,
    pub origin_server_ts: Timestamp,
    /// What an `m.room.redaction` redacts; goes where the version keeps it.
    pub redacts: Option<&'a EventId>,
    /// The reference hash of a previous or auth event ([`Pdu::reference_hash`]). Asked in versions 1 and 2 only.
    pub reference_hash: ReferenceHashOf<'a>,
}

/// Why an event cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// What a client asked for breaks a limit or the event format.
    Format(FormatError),
    /// It could not be read.
    Storage(StorageError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Format(error) => error.fmt(f),
            BuildError::Storage(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BuildError {}

impl From<FormatError> for BuildError {
    fn from(error: FormatError) -> BuildError {
        BuildError::Format(error)
    }
}

impl From<BuildError> for ApiError {
    fn from(error: BuildError) -> ApiError {
        match error {
            BuildError::Format(error) => error.into(),
            BuildError::Storage(error) => error.into(),
        }
    }
}

impl NewEvent<'_> {
    /// Hashes and signs the event in the name of `server`.
    pub fn build(mut self, server: &ServerName, key: &SigningKey) -> Result<Pdu, BuildError> {
        let rules = self.version.rules();
        self.check(rules)?;
        if let Some(redacts) = self.redacts
            && rules.redacts_in_content
        {
            self.content.insert("redacts", redacts);
        }
        let depth = self.depth.clamp(0, rules.max_depth);

        let mut draft = self.draft(depth, rules)?;
        let stated_id = match rules.event_ids {
            EventIdFormat::Stated => {
                let event_id = stated_id(&draft, server)?;
                draft.add("event_id", |out| encode_str(&event_id, out));
                Some(event_id)
            }
            EventIdFormat::Base64 | EventIdFormat::UrlSafeBase64 => None,
        };
        let hash = base64::encode_unpadded(&content_hash(draft.members()));
        draft.add("hashes", |out| Object::new().with("sha256", hash).encode(out));
        let signed_bytes = redaction::signed_bytes(draft.members(), self.kind, &self.content, rules);
        let signature = base64::encode_unpadded(&key.sign(&signed_bytes));
        draft.add("signatures", |out| {
            let of_server = Object::new().with(key.key_id(), signature);
            Object::new().with(server, of_server).encode(out);
        });

        let mut json = Vec::with_capacity(draft.values.len() + 256);
        write_object(draft.members(), &mut json);
        check_size(json.len())?;
        let layout = Layout::of(&json).expect("encoded just now");
        let content_at = layout.place(&json, "content").expect("every event has a content");
        let parts = Parts {
            room_id: self.room_id.cloned(),
            sender: self.sender.clone(),
            kind: String::from(self.kind),
            state_key: self.state_key.map(String::from),
            content: self.content,
            origin_server_ts: milliseconds(self.origin_server_ts),
            depth,
            prev_events: self.prev_events.to_vec(),
            auth_events: self.auth_events.to_vec(),
            redacts: self.redacts.cloned(),
        };
        Ok(Pdu::from_parts(parts, pdu::event_id(stated_id, &sha256(&signed_bytes), rules), json, content_at))
    }

    fn check(&self, rules: &RoomVersionRules) -> Result<(), FormatError> {
        check_short("type", self.kind)?;
        check_short("state_key", self.state_key.unwrap_or_default())?;
        if self.prev_events.len() > MAX_PREV_EVENTS {
            return Err(FormatError::TooMany("prev_events"));
        }
        if self.auth_events.len() > MAX_AUTH_EVENTS {
            return Err(FormatError::TooMany("auth_events"));
        }
        if 1 + self.content.nesting() > MAX_EVENT_NESTING {
            return Err(FormatError::TooDeep);
        }
        if rules.strict_canonical_json {
            self.content.require_strict().map_err(FormatError::NotCanonical)?;
        }
        Ok(())
    }

    /// Everything but what is computed from everything else.
    fn draft(&self, depth: i64, rules: &RoomVersionRules) -> Result<Draft, BuildError> {
        let mut draft = Draft { values: Vec::with_capacity(1024), places: Vec::with_capacity(12) };
        let auth_events = self.references(self.auth_events, rules)?;
        let prev_events = self.references(self.prev_events, rules)?;
        draft.add("auth_events", |out| auth_events.encode(out));
        draft.add("content", |out| self.content.encode(out));
        draft.add("depth", |out| encode_integer(depth, out));
        draft.add("origin_server_ts", |out| encode_integer(milliseconds(self.origin_server_ts), out));
        draft.add("prev_events", |out| prev_events.encode(out));
        if let Some(redacts) = self.redacts
            && !rules.redacts_in_content
        {
            draft.add("redacts", |out| encode_str(redacts, out));
        }
        if let Some(room_id) = self.room_id {
            draft.add("room_id", |out| encode_str(room_id, out));
        }
        draft.add("sender", |out| encode_str(self.sender, out));
        if let Some(state_key) = self.state_key {
            draft.add("state_key", |out| encode_str(state_key, out));
        }
        draft.add("type", |out| encode_str(self.kind, out));
        Ok(draft)
    }

    fn references(&self, events: &[EventId], rules: &RoomVersionRules) -> Result<Value, BuildError> {
        if !rules.references_have_hashes {
            return Ok(Value::Array(events.iter().map(Value::from).collect()));
        }
        let pairs = events.iter().map(|event_id| {
            let hash = (self.reference_hash)(event_id).map_err(BuildError::Storage)?;
            let hashes = hash.map(|hash| Object::new().with("sha256", base64::encode_unpadded(&hash)));
            let hashes = hashes.unwrap_or_default();
            Ok(Value::Array(vec![Value::from(event_id), Value::Object(hashes)]))
        });
        pairs.collect::<Result<_, _>>().map(Value::Array)
    }
}

/// An event in the making: its members' values, each encoded once.
struct Draft {
    values: Vec<u8>,
    /// In canonical order.
    places: Vec<(&'static str, Range<usize>)>,
}

impl Draft {
    fn add(&mut self, name: &'static str, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.values.len();
        encode(&mut self.values);
        let at = self.places.partition_point(|(other, _)| *other < name);
        self.places.insert(at, (name, start..self.values.len()));
    }

    fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.places.iter().map(|(name, at)| Member { name: name.as_bytes(), value: &self.values[at.clone()] })
    }
}

/// The ID that an event of this server states, where versions have that: unique because it is a hash of everything else.
fn stated_id(draft: &Draft, server: &ServerName) -> Result<EventId, FormatError> {
    let opaque = base64::encode_url_safe_unpadded(&content_hash(draft.members()));
    EventId::parse(&format!("${opaque}:{server}"))
        .map_err(|error| FormatError::Identifier { member: "event_id", error })
}

fn encode_integer(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(number.to_string().as_bytes());
}

fn milliseconds(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(MAX_SAFE_INTEGER).min(MAX_SAFE_INTEGER)
}
