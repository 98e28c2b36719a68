//! Whether an event passes a filter.

use alloc::string::String;

use super::{EventFilter, RoomEventFilter, RoomSelection};
use crate::room::StoredEvent;

/// An event type of a filter, in which `*` stands for any sequence of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    wild: bool,
}

/// What filters ask of an event. The content is only looked at when the filter asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub kind: &'a str,
    pub sender: &'a str,
    /// In canonical JSON.
    pub content: &'a [u8],
}

impl<'a> From<&'a StoredEvent> for Candidate<'a> {
    fn from(event: &'a StoredEvent) -> Candidate<'a> {
        let header = &event.header;
        Candidate { kind: &header.kind, sender: &header.sender, content: event.content_bytes() }
    }
}

impl Pattern {
    #[must_use]
    pub fn new(text: &str) -> Pattern {
        Pattern { text: String::from(text), wild: text.contains('*') }
    }

    #[must_use]
    pub fn matches(&self, kind: &str) -> bool {
        if !self.wild {
            return self.text == kind;
        }
        // Greedy: a `*` that took too little is the only thing ever to go back to.
        let (pattern, kind) = (self.text.as_bytes(), kind.as_bytes());
        let (mut p, mut k) = (0, 0);
        let mut star = None;
        while k < kind.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p + 1, k));
                    p += 1;
                }
                Some(byte) if *byte == kind[k] => {
                    p += 1;
                    k += 1;
                }
                _ => {
                    let Some((after, taken)) = star else { return false };
                    p = after;
                    k = taken + 1;
                    star = Some((after, k));
                }
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

impl RoomSelection {
    #[must_use]
    pub fn selects(&self, room_id: &str) -> bool {
        !self.not_rooms.contains(room_id) && self.rooms.as_ref().is_none_or(|rooms| rooms.contains(room_id))
    }
}

impl EventFilter {
    #[must_use]
    pub fn passes_type(&self, kind: &str) -> bool {
        let among = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(kind));
        !among(&self.not_types) && self.types.as_deref().is_none_or(among)
    }

    #[must_use]
    pub fn passes_sender(&self, sender: &str) -> bool {
        !self.not_senders.contains(sender) && self.senders.as_ref().is_none_or(|senders| senders.contains(sender))
    }
}

impl RoomEventFilter {
    /// Whether an event of a room passes; whether the room itself does is asked once ([`RoomSelection::selects`]).
    #[must_use]
    pub fn passes(&self, event: &Candidate<'_>) -> bool {
        self.events.passes_type(event.kind)
            && self.events.passes_sender(event.sender)
            && self.contains_url.is_none_or(|wanted| has_url(event.content) == wanted)
    }

    /// Whether an event of the room `room_id` passes.
    #[must_use]
    pub fn matches_event(&self, event: &StoredEvent, room_id: &str) -> bool {
        self.rooms.selects(room_id) && self.passes(&event.into())
    }

    /// Whether every event passes.
    #[must_use]
    pub fn passes_all(&self) -> bool {
        let events = &self.events;
        events.types.is_none()
            && events.not_types.is_empty()
            && events.senders.is_none()
            && events.not_senders.is_empty()
            && self.contains_url.is_none()
    }
}

/// Whether the content has a `url`.
fn has_url(content: &[u8]) -> bool {
    // A cheap look first: a key, or a text that looks like one.
    content.windows(6).any(|window| window == b"\"url\":")
        && crate::canonical_json::parse(content).is_ok_and(|content| content.get("url").is_some())
}
