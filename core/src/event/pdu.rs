//! An event as servers exchange it.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;

use super::content::Membership;
use super::format::{FormatError, check_size, redacts_beside_content, redacts_in_content};
use super::members::{Layout, split_array, text};
use super::received::{ReceivedPdu, sha256};
use super::redaction;
use crate::canonical_json::{Object, Value, parse};
use crate::identifiers::{EventId, InvalidIdentifier, KeyId, RoomId, ServerName, UserId};
use crate::room_version::{EventIdFormat, RoomVersion, RoomVersionRules};
use crate::signing::{SigningKey, add_signature, base64};
use crate::time::Timestamp;

/// A persistent data unit whose format has been checked (Server-Server API, "PDUs").
///
/// Its canonical JSON is what is stored and sent to other servers. It lacks `unsigned`, which is neither hashed nor signed and
/// which each server makes for its own clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Pdu {
    pub event_id: EventId,
    /// Of the create event too, where it is the event's own ID.
    pub room_id: RoomId,
    pub sender: UserId,
    /// `type`.
    pub kind: String,
    pub state_key: Option<String>,
    pub content: Object,
    /// As the sender's server claims, which may be any number; see [`Pdu::timestamp`].
    pub origin_server_ts: i64,
    /// From 0 to the version's largest.
    pub depth: i64,
    pub prev_events: Vec<EventId>,
    pub auth_events: Vec<EventId>,
    /// What an `m.room.redaction` redacts, wherever its room version says so.
    pub redacts: Option<EventId>,
    json: Bytes,
    content_at: Range<usize>,
}

/// A [`Pdu`] without its ID and its JSON.
pub(super) struct Parts {
    /// `None` only in a create event of a version whose create events have no room ID.
    pub room_id: Option<RoomId>,
    pub sender: UserId,
    pub kind: String,
    pub state_key: Option<String>,
    pub content: Object,
    pub origin_server_ts: i64,
    pub depth: i64,
    pub prev_events: Vec<EventId>,
    pub auth_events: Vec<EventId>,
    pub redacts: Option<EventId>,
}

impl Pdu {
    /// Checks the format of an event from elsewhere and computes its ID. Who must check signatures and hashes too takes
    /// [`ReceivedPdu::parse`].
    pub fn parse(event: Object, version: RoomVersion) -> Result<Pdu, FormatError> {
        ReceivedPdu::parse(event, version).map(|received| received.pdu)
    }

    /// [`Pdu::parse`] of a JSON text.
    pub fn parse_bytes(json: &[u8], version: RoomVersion) -> Result<Pdu, FormatError> {
        match parse(json).map_err(FormatError::NotJson)? {
            Value::Object(event) => Pdu::parse(event, version),
            _ => Err(FormatError::NotAnObject),
        }
    }

    /// Reads what [`Pdu::json`] gave, without the checks that it passed before. An error means that it is something else.
    pub fn from_stored(event_id: EventId, json: Bytes, version: RoomVersion) -> Result<Pdu, FormatError> {
        let rules = version.rules();
        let layout = Layout::of(&json).ok_or(FormatError::NotAnObject)?;
        let raw = |name: &'static str| layout.value(&json, name).ok_or(FormatError::Missing(name));
        let string =
            |name: &'static str| text(raw(name)?).ok_or(FormatError::WrongType { member: name, expected: "a string" });
        let optional_string = |name: &'static str| match layout.place(&json, name) {
            Some(_) => string(name).map(Some),
            None => Ok(None),
        };
        let integer = |name: &'static str| {
            let number = core::str::from_utf8(raw(name)?).ok().and_then(|text| text.parse().ok());
            number.ok_or(FormatError::WrongType { member: name, expected: "an integer" })
        };
        let kind = string("type")?.into_owned();
        let content_at = layout.place(&json, "content").ok_or(FormatError::Missing("content"))?;
        let content = match parse(&json[content_at.clone()]).map_err(FormatError::NotJson)? {
            Value::Object(content) => content,
            _ => return Err(FormatError::WrongType { member: "content", expected: "an object" }),
        };
        let redacts = if rules.redacts_in_content {
            redacts_in_content(&kind, &content)
        } else {
            redacts_beside_content(&kind, optional_string("redacts")?.as_deref())
        };
        let room_id = match optional_string("room_id")? {
            Some(room_id) => RoomId::parse(&room_id),
            None => room_id_of_create(&event_id),
        };
        let sender = string("sender")?;
        let pdu = Pdu {
            room_id: room_id.map_err(|error| FormatError::Identifier { member: "room_id", error })?,
            sender: UserId::parse(&sender).map_err(|error| FormatError::Identifier { member: "sender", error })?,
            state_key: optional_string("state_key")?.map(|text| text.into_owned()),
            origin_server_ts: integer("origin_server_ts")?,
            depth: integer("depth")?,
            prev_events: references("prev_events", raw("prev_events")?, rules)?,
            auth_events: references("auth_events", raw("auth_events")?, rules)?,
            redacts,
            event_id,
            kind,
            content,
            content_at,
            json: Bytes::new(),
        };
        Ok(Pdu { json, ..pdu })
    }

    pub(super) fn from_parts(parts: Parts, event_id: EventId, json: Vec<u8>, content_at: Range<usize>) -> Pdu {
        Pdu {
            room_id: parts.room_id.unwrap_or_else(|| {
                room_id_of_create(&event_id).expect("it is no longer than the event ID it is made of")
            }),
            event_id,
            sender: parts.sender,
            kind: parts.kind,
            state_key: parts.state_key,
            content: parts.content,
            origin_server_ts: parts.origin_server_ts,
            depth: parts.depth,
            prev_events: parts.prev_events,
            auth_events: parts.auth_events,
            redacts: parts.redacts,
            json: Bytes::from(json),
            content_at,
        }
    }

    /// The canonical JSON, without `unsigned`: what is stored, and what other servers are sent.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The canonical JSON of the content: a part of [`Pdu::json`].
    #[must_use]
    pub fn content_bytes(&self) -> &[u8] {
        &self.json[self.content_at.clone()]
    }

    #[must_use]
    pub fn is_state(&self) -> bool {
        self.state_key.is_some()
    }

    /// Whether this is the state event of `kind` and `state_key`.
    #[must_use]
    pub fn is_state_of(&self, kind: &str, state_key: &str) -> bool {
        self.kind == kind && self.state_key.as_deref() == Some(state_key)
    }

    /// The membership, if this is an `m.room.member` with one.
    #[must_use]
    pub fn membership(&self) -> Option<Membership> {
        if self.kind != "m.room.member" {
            return None;
        }
        Membership::of(&self.content)
    }

    /// `origin_server_ts`, with negative ones as zero.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        Timestamp(u64::try_from(self.origin_server_ts).unwrap_or(0))
    }

    /// The event as JSON, without `unsigned`.
    #[must_use]
    pub fn to_object(&self) -> Object {
        match parse(&self.json) {
            Ok(Value::Object(object)) => object,
            _ => Object::new(),
        }
    }

    /// The bytes that signatures of this event cover.
    #[must_use]
    pub fn signed_bytes(&self, rules: &RoomVersionRules) -> Vec<u8> {
        redaction::signed_bytes(self.layout().members(&self.json), &self.kind, &self.content, rules)
    }

    /// The reference hash, which events of versions 1 and 2 put beside this event's ID when they refer to it.
    #[must_use]
    pub fn reference_hash(&self, rules: &RoomVersionRules) -> [u8; 32] {
        sha256(&self.signed_bytes(rules))
    }

    /// What redaction leaves of this event. Its ID stays the same.
    #[must_use]
    pub fn redacted(&self, rules: &RoomVersionRules) -> Pdu {
        let content = redaction::redact_content(&self.kind, &self.content, rules);
        let json = redaction::redacted_json(self.layout().members(&self.json), &content, rules);
        let layout = Layout::of(&json).expect("encoded just now");
        let content_at = layout.place(&json, "content").expect("redaction keeps the content");
        let redacts = if rules.redacts_in_content { redacts_in_content(&self.kind, &content) } else { None };
        Pdu { content, redacts, json: Bytes::from(json), content_at, ..self.clone() }
    }

    /// The same event, with the same ID, beside whose signatures there is another one.
    pub fn with_signature(
        &self,
        server: &ServerName,
        (key_id, signature): (&KeyId, &[u8; 64]),
        version: RoomVersion,
    ) -> Result<Pdu, FormatError> {
        let mut event = self.to_object();
        add_signature(&mut event, server, key_id, signature).map_err(|_| FormatError::WrongType {
            member: "signatures",
            expected: "an object of objects of strings",
        })?;
        let json = Value::Object(event).to_bytes();
        check_size(json.len())?;
        Pdu::from_stored(self.event_id.clone(), Bytes::from(json), version)
    }

    /// [`Pdu::with_signature`] by a key of this server.
    pub fn signed_by(&self, server: &ServerName, key: &SigningKey, version: RoomVersion) -> Result<Pdu, FormatError> {
        let signature = key.sign(&self.signed_bytes(version.rules()));
        self.with_signature(server, (key.key_id(), &signature), version)
    }

    /// The server whose signature a member event needs because its content says that a user of that server authorised it (the
    /// rule of version 8 and later on `join_authorised_via_users_server`). `None` also if the content names no user: the
    /// authorization rules reject such an event.
    #[must_use]
    pub fn authorising_server(&self, rules: &RoomVersionRules) -> Option<ServerName> {
        if !rules.auth.restricted_joins || self.kind != "m.room.member" {
            return None;
        }
        let user = self.content.str("join_authorised_via_users_server")?;
        UserId::parse(user).ok().map(|user| user.server_name())
    }

    /// Whether `room_id` is made of this event's ID, as room IDs are of the create event's in versions that have no other
    /// (room version 12, "Event format").
    #[must_use]
    pub fn names_room(&self, room_id: &RoomId) -> bool {
        room_id[1..] == self.event_id[1..]
    }

    fn layout(&self) -> Layout {
        Layout::of(&self.json).expect("an event's JSON is canonical")
    }
}

/// The ID of an event with this reference hash. `stated` is what the event says itself, where versions have that.
pub(super) fn event_id(stated: Option<EventId>, reference_hash: &[u8; 32], rules: &RoomVersionRules) -> EventId {
    let hash = match rules.event_ids {
        EventIdFormat::Stated => return stated.expect("the format of these versions requires an event ID"),
        EventIdFormat::Base64 => base64::encode_unpadded(reference_hash),
        EventIdFormat::UrlSafeBase64 => base64::encode_url_safe_unpadded(reference_hash),
    };
    EventId::parse(&alloc::format!("${hash}")).expect("$ and base64 is an event ID")
}

fn room_id_of_create(event_id: &EventId) -> Result<RoomId, InvalidIdentifier> {
    RoomId::parse(&alloc::format!("!{}", &event_id[1..]))
}

fn references(member: &'static str, raw: &[u8], rules: &RoomVersionRules) -> Result<Vec<EventId>, FormatError> {
    let wrong = || FormatError::WrongType { member, expected: "an array of references to events" };
    split_array(raw)
        .ok_or_else(wrong)?
        .into_iter()
        .map(|item| {
            let id = if rules.references_have_hashes {
                split_array(item).and_then(|pair| pair.first().copied()).ok_or_else(wrong)?
            } else {
                item
            };
            let id = text(id).ok_or_else(wrong)?;
            EventId::parse(&id).map_err(|error| FormatError::Identifier { member, error })
        })
        .collect()
}
