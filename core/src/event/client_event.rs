//! Events as clients see them (Client-Server API, "Room event format"), put together from the stored bytes.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt::Write;
use core::ops::Range;

use super::content::Membership;
use super::members::{Layout, text, write_object};
use super::{Pdu, Places};
use crate::canonical_json::encode_str;
use crate::identifiers::{EventId, RoomId};
use crate::room_version::RoomVersionRules;

/// What a client is told beside the event itself. Texts and identifiers are plain, JSON is JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unsigned<'a> {
    /// Milliseconds since the event was sent; may be negative.
    pub age: Option<i64>,
    /// The transaction ID, if the event was sent by the device that is now shown it.
    pub transaction_id: Option<&'a str>,
    /// The membership of the user who is shown the event, at the event.
    pub membership: Option<Membership>,
    /// For state: the event that this one replaced, and its content as JSON.
    pub replaces_state: Option<&'a EventId>,
    pub prev_content: Option<&'a [u8]>,
    /// The redaction in the client's format, as JSON.
    pub redacted_because: Option<&'a [u8]>,
    /// Bundled aggregations (`m.relations`), as JSON.
    pub relations: Option<&'a [u8]>,
    /// `invite_room_state` and `knock_room_state`: arrays of stripped state, as JSON.
    pub invite_room_state: Option<&'a [u8]>,
    pub knock_room_state: Option<&'a [u8]>,
}

/// A view of a stored event, cheap to make: nothing is parsed or copied.
#[derive(Clone, Copy, Debug)]
pub struct ClientEvent<'a> {
    event_id: &'a EventId,
    // Each is canonical JSON.
    content: &'a [u8],
    origin_server_ts: &'a [u8],
    redacts: Option<&'a [u8]>,
    sender: &'a [u8],
    state_key: Option<&'a [u8]>,
    kind: &'a [u8],
    redacts_in_content: bool,
}

impl<'a> ClientEvent<'a> {
    /// Looks at stored JSON (see [`Pdu::json`]), of which `places` was made.
    #[must_use]
    pub fn new(event_id: &'a EventId, json: &'a [u8], places: &Places, rules: &RoomVersionRules) -> ClientEvent<'a> {
        let value = |place: &Range<usize>| &json[place.clone()];
        ClientEvent {
            event_id,
            content: value(&places.content),
            origin_server_ts: value(&places.origin_server_ts),
            redacts: places.redacts.as_ref().map(value),
            sender: value(&places.sender),
            state_key: places.state_key.as_ref().map(value),
            kind: value(&places.kind),
            redacts_in_content: rules.redacts_in_content,
        }
    }

    #[must_use]
    pub fn of(pdu: &'a Pdu, rules: &RoomVersionRules) -> ClientEvent<'a> {
        let places = Places::of(pdu.json()).expect("an event's JSON has an event's members");
        ClientEvent::new(&pdu.event_id, pdu.json(), &places, rules)
    }

    #[must_use]
    pub fn event_id(&self) -> &'a EventId {
        self.event_id
    }
    /// `type`.
    #[must_use]
    pub fn kind(&self) -> Cow<'a, str> {
        text(self.kind).unwrap_or_default()
    }
    #[must_use]
    pub fn sender(&self) -> Cow<'a, str> {
        text(self.sender).unwrap_or_default()
    }
    #[must_use]
    pub fn state_key(&self) -> Option<Cow<'a, str>> {
        text(self.state_key?)
    }
    /// As canonical JSON.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.content
    }
    #[must_use]
    pub fn origin_server_ts(&self) -> i64 {
        core::str::from_utf8(self.origin_server_ts).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Appends the event in the client's format; with `room_id` where the context does not give it (`/sync` does).
    pub fn write(&self, room_id: Option<&RoomId>, unsigned: &Unsigned<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"content\":");
        let redacts = self.write_content(out);
        out.extend_from_slice(b",\"event_id\":");
        encode_str(self.event_id, out);
        out.extend_from_slice(b",\"origin_server_ts\":");
        out.extend_from_slice(self.origin_server_ts);
        if let Some(redacts) = redacts {
            out.extend_from_slice(b",\"redacts\":");
            out.extend_from_slice(redacts);
        }
        if let Some(room_id) = room_id {
            out.extend_from_slice(b",\"room_id\":");
            encode_str(room_id, out);
        }
        out.extend_from_slice(b",\"sender\":");
        out.extend_from_slice(self.sender);
        if let Some(state_key) = self.state_key {
            out.extend_from_slice(b",\"state_key\":");
            out.extend_from_slice(state_key);
        }
        out.extend_from_slice(b",\"type\":");
        out.extend_from_slice(self.kind);
        unsigned.write(out);
        out.push(b'}');
    }

    /// Appends the content and returns what goes to the event's own `redacts`: a redaction has it in both places, whichever its
    /// version has (room version 11, "Moving the `redacts` property").
    fn write_content(&self, out: &mut Vec<u8>) -> Option<&'a [u8]> {
        let redacts = match self.kind {
            b"\"m.room.redaction\"" if self.redacts_in_content => {
                Layout::of(self.content).and_then(|layout| layout.value(self.content, "redacts"))
            }
            b"\"m.room.redaction\"" => self.redacts,
            _ => None,
        };
        match redacts {
            Some(redacts) if !self.redacts_in_content => {
                let mut rest = Vec::new();
                if let Some(layout) = Layout::of(self.content) {
                    write_object(layout.members(self.content).filter(|member| member.name != b"redacts"), &mut rest);
                }
                out.extend_from_slice(b"{\"redacts\":");
                out.extend_from_slice(redacts);
                if rest.len() > 2 {
                    out.push(b',');
                    out.extend_from_slice(&rest[1..]);
                } else {
                    out.push(b'}');
                }
            }
            _ => out.extend_from_slice(self.content),
        }
        redacts
    }
}

impl Unsigned<'_> {
    /// Appends `,"unsigned":{…}`, or nothing if there is nothing to say.
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        if let Some(age) = self.age {
            name(start, "age", out);
            write!(Text(out), "{age}").expect("writing to memory does not fail");
        }
        if let Some(json) = self.invite_room_state {
            name(start, "invite_room_state", out);
            out.extend_from_slice(json);
        }
        if let Some(json) = self.knock_room_state {
            name(start, "knock_room_state", out);
            out.extend_from_slice(json);
        }
        if let Some(json) = self.relations {
            name(start, "m.relations", out);
            out.extend_from_slice(json);
        }
        if let Some(membership) = self.membership {
            name(start, "membership", out);
            encode_str(membership.as_str(), out);
        }
        if let Some(json) = self.prev_content {
            name(start, "prev_content", out);
            out.extend_from_slice(json);
        }
        if let Some(json) = self.redacted_because {
            name(start, "redacted_because", out);
            out.extend_from_slice(json);
        }
        if let Some(event_id) = self.replaces_state {
            name(start, "replaces_state", out);
            encode_str(event_id, out);
        }
        if let Some(transaction_id) = self.transaction_id {
            name(start, "transaction_id", out);
            encode_str(transaction_id, out);
        }
        if out.len() > start {
            out.push(b'}');
        }
    }
}

/// Appends what comes before a member's value: the beginning of `unsigned` if this is its first.
fn name(start: usize, name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(if out.len() == start { b",\"unsigned\":{\"" } else { b",\"" });
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

struct Text<'a>(&'a mut Vec<u8>);

impl core::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
