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
    /// Where `content` is in the JSON.
    pub content: Range<usize>,
}

impl<'a> Essentials<'a> {
    /// Reads them from stored JSON ([`super::Pdu::json`]). `None` if it is not an event.
    #[must_use]
    pub fn read(json: &'a [u8]) -> Option<Essentials<'a>> {
        let layout = Layout::of(json)?;
        let state_key = match layout.value(json, "state_key") {
            Some(value) => Some(text(value)?),
            None => None,
        };
        let sent = core::str::from_utf8(layout.value(json, "origin_server_ts")?).ok()?;
        Some(Essentials {
            sender: text(layout.value(json, "sender")?)?,
            kind: text(layout.value(json, "type")?)?,
            state_key,
            // Another server may claim any time; one before 1970 counts as 1970.
            origin_server_ts: Timestamp(sent.parse::<i64>().ok()?.max(0).cast_unsigned()),
            content: layout.place(json, "content")?,
        })
    }
}
