//! The tokens that clients hand back: where they are in the stream of `/sync`, and places in a room's timeline.
//!
//! ```text
//! s72594_3_12_7   next_batch: position 72594; in life 3 of the server, typing up to 12 and presence up to 7
//! s72594_3_12_7_9 the same, of messages to the device only those up to position 9: more wait
//! t5120           prev_batch, start, end: after the event of order 5120
//! ```
//!
//! Both are opaque to clients. Either is a place in a timeline, so that `/messages` takes a `next_batch` too.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::store::tables::Position;
use crate::store::{Read, StorageError, log};

/// Where a client is in the server-wide stream: `next_batch` of one `/sync`, `since` of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamToken {
    pub position: Position,
    pub ephemeral: EphemeralToken,
    /// The last message to the device that the client was sent, if there are more up to `position`.
    pub to_device: Option<Position>,
}

/// How much a client has seen of what lives in memory only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EphemeralToken {
    /// The life of the server that the serials count in: another one has seen nothing of this one's.
    pub boot: u32,
    pub typing: u64,
    pub presence: u64,
}

impl StreamToken {
    /// Parses what [`fmt::Display`] writes and nothing else: no signs, no leading zeros, no missing parts.
    #[must_use]
    pub fn parse(text: &str) -> Option<StreamToken> {
        let mut parts = text.strip_prefix('s')?.split('_').map(number);
        let mut next = || parts.next().flatten();
        let position = Position(next()?);
        let ephemeral = EphemeralToken { boot: u32::try_from(next()?).ok()?, typing: next()?, presence: next()? };
        let to_device = match parts.next() {
            None => None,
            Some(number) => Some(Position(number?)).filter(|to_device| *to_device < position),
        };
        let token = StreamToken { position, ephemeral, to_device };
        (parts.next().is_none() && token.to_device.is_some() == (text.matches('_').count() == 4)).then_some(token)
    }

    /// Up to where the client has the messages to its device.
    #[must_use]
    pub fn to_device_position(&self) -> Position {
        self.to_device.unwrap_or(self.position)
    }

    /// A token that this server gave out, which has come to `now`. One from beyond that is none of ours; nor is one of a place that
    /// was lost when an older store was restored.
    pub fn known(read: &dyn Read, text: &str, now: Position) -> Result<Option<StreamToken>, StorageError> {
        match StreamToken::parse(text).filter(|token| token.position <= now) {
            Some(token) if log::is_taken(read, token.position)? => Ok(Some(token)),
            _ => Ok(None),
        }
    }

    /// The `since` of a `/sync`.
    pub fn require(read: &dyn Read, text: &str, now: Position) -> Result<StreamToken, ApiError> {
        StreamToken::known(read, text, now)?.ok_or_else(|| invalid("since"))
    }
}

/// The digits of a number as it is written: at most 2^63-1, as positions are.
fn number(text: &str) -> Option<u64> {
    let written = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    let number: u64 = written.then_some(text)?.parse().ok()?;
    (number <= i64::MAX.unsigned_abs()).then_some(number)
}

impl fmt::Display for StreamToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EphemeralToken { boot, typing, presence } = self.ephemeral;
        write!(f, "s{}_{boot}_{typing}_{presence}", self.position.0)?;
        self.to_device.map_or(Ok(()), |to_device| write!(f, "_{}", to_device.0))
    }
}

/// A place between the events of a timeline: the order of the event before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimelineToken(pub i64);

impl TimelineToken {
    /// Before the event of this order.
    #[must_use]
    pub fn before(order: i64) -> TimelineToken {
        TimelineToken(order.saturating_sub(1))
    }

    /// Parses a token of a timeline or of the stream.
    #[must_use]
    pub fn parse(text: &str) -> Option<TimelineToken> {
        if let Some(token) = StreamToken::parse(text) {
            return i64::try_from(token.position.0).ok().map(TimelineToken);
        }
        let digits = text.strip_prefix('t')?;
        let magnitude = number(digits.strip_prefix('-').unwrap_or(digits))?;
        let order = i64::try_from(magnitude).ok()?;
        match digits.starts_with('-') {
            true => (order != 0).then_some(TimelineToken(-order)),
            false => Some(TimelineToken(order)),
        }
    }

    /// The token in the query parameter `name`.
    pub fn require(text: &str, name: &str) -> Result<TimelineToken, ApiError> {
        TimelineToken::parse(text).ok_or_else(|| invalid(name))
    }
}

impl fmt::Display for TimelineToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

fn invalid(name: &str) -> ApiError {
    let message: String = alloc::format!("{name} is not a token that this server gave out");
    ApiError::invalid_param(message)
}

#[cfg(test)]
mod tests;
