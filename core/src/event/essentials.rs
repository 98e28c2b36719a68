//! What is asked of nearly every stored event, read from its canonical JSON without parsing the rest.

use alloc::borrow::Cow;
use core::ops::Range;

use super::members::{Layout, text};
use crate::time::Timestamp;

/// The parts of an event by which it is found, filtered and judged visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Essentials<'a> {
    pub sender: Cow<'a, str>,
    /// `type`.
    pub kind: Cow<'a, str>,
    pub state_key: Option<Cow<'a, str>>,
    pub origin_server_ts: Timestamp,
    pub places: Places,
}

/// Where the values that clients are shown are in an event's canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub content: Range<usize>,
    pub(super) origin_server_ts: Range<usize>,
    pub(super) redacts: Option<Range<usize>>,
    pub(super) sender: Range<usize>,
    pub(super) state_key: Option<Range<usize>>,
    pub(super) kind: Range<usize>,
}

impl Places {
    /// Finds them in stored JSON ([`super::Pdu::json`]). `None` if it is not an event.
    #[must_use]
    pub fn of(json: &[u8]) -> Option<Places> {
        let layout = Layout::of(json)?;
        Some(Places {
            content: layout.place(json, "content")?,
            origin_server_ts: layout.place(json, "origin_server_ts")?,
            redacts: layout.place(json, "redacts"),
            sender: layout.place(json, "sender")?,
            state_key: layout.place(json, "state_key"),
            kind: layout.place(json, "type")?,
        })
    }
}

impl<'a> Essentials<'a> {
    /// Reads them from stored JSON ([`super::Pdu::json`]). `None` if it is not an event.
    #[must_use]
    pub fn read(json: &'a [u8]) -> Option<Essentials<'a>> {
        let places = Places::of(json)?;
        let state_key = match &places.state_key {
            Some(place) => Some(text(&json[place.clone()])?),
            None => None,
        };
        let sent = core::str::from_utf8(&json[places.origin_server_ts.clone()]).ok()?;
        Some(Essentials {
            sender: text(&json[places.sender.clone()])?,
            kind: text(&json[places.kind.clone()])?,
            state_key,
            // Another server may claim any time; one before 1970 counts as 1970.
            origin_server_ts: Timestamp(sent.parse::<i64>().ok()?.max(0).cast_unsigned()),
            places,
        })
    }
}
