//! A recording: everything that a host gave a core, from what was stored when it started, so that it can be given again and the same
//! comes of it.
//!
//! A recording is [`MAGIC`], then frames: the length of an entry in bytes as a little-endian `u32`, and the entry in postcard. What a
//! crash of the host has cut off at the end is no loss but of itself. It holds keys, passwords and messages.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::effect::Effect;
use crate::input::Input;
use crate::limits::MAX_RECORDED_ENTRY;
use crate::time::Timestamp;

/// What a recording begins with.
pub const MAGIC: &[u8] = b"orrery recording 1\n";

/// The length of a frame's head, in bytes.
pub const FRAME_HEAD: usize = 4;

/// One thing of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// Rows that the storage has on which the next life begins, by ascending key.
    Rows(Vec<(Bytes, Bytes)>),
    /// A core starts, on the rows since the last life ended.
    Start(Box<Start>),
    /// The core is given an input.
    Input { now: Timestamp, input: Input },
    /// The host takes all effects that the core has to hand out: the [digest] of each.
    Drained(Vec<u64>),
    /// The life of the core is over.
    End { why: String },
}

/// What a core is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// What made the recording.
    pub made_by: String,
    pub config: Config,
    pub seed: [u8; 32],
    pub now: Timestamp,
}

/// A frame that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenFrame;

impl fmt::Display for BrokenFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an entry of a recording that this version knows")
    }
}

impl core::error::Error for BrokenFrame {}

/// The frame of an entry.
#[must_use]
pub fn encode(entry: &Entry) -> Vec<u8> {
    let mut frame = alloc::vec![0; FRAME_HEAD];
    frame = postcard::to_extend(entry, frame).expect("entries have no type that postcard refuses");
    let len = u32::try_from(frame.len() - FRAME_HEAD).expect("hosts and core have smaller bounds for all that goes in");
    frame[..FRAME_HEAD].copy_from_slice(&len.to_le_bytes());
    frame
}

/// The length of the entry that follows a frame's head, in bytes.
pub fn entry_len(head: [u8; FRAME_HEAD]) -> Result<usize, BrokenFrame> {
    let len = u32::from_le_bytes(head);
    if len > MAX_RECORDED_ENTRY { Err(BrokenFrame) } else { Ok(len as usize) }
}

/// The entry of a frame, without its head.
pub fn decode(entry: &[u8]) -> Result<Entry, BrokenFrame> {
    match postcard::take_from_bytes(entry) {
        Ok((entry, [])) => Ok(entry),
        _ => Err(BrokenFrame),
    }
}

/// What tells effects apart.
#[must_use]
pub fn digest(effect: &Effect) -> u64 {
    let bytes = postcard::to_allocvec(effect).expect("effects have no type that postcard refuses");
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    hash.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

impl Start {
    #[must_use]
    pub fn new(made_by: &str, config: &Config, seed: [u8; 32], now: Timestamp) -> Start {
        Start { made_by: made_by.to_string(), config: config.clone(), seed, now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::CallId;

    #[test]
    fn an_entry_comes_back() {
        for entry in [
            Entry::Rows(alloc::vec![(Bytes::from_static(b"key"), Bytes::from_static(b"value"))]),
            Entry::Input { now: Timestamp(7), input: Input::Wake },
            Entry::Drained(alloc::vec![1, u64::MAX]),
            Entry::End { why: "the test is over".to_string() },
        ] {
            let frame = encode(&entry);
            let (head, rest) = frame.split_first_chunk().unwrap();
            assert_eq!(entry_len(*head), Ok(rest.len()));
            assert_eq!(decode(rest), Ok(entry));
            assert_eq!(decode(&rest[..rest.len() - 1]), Err(BrokenFrame));
            assert_eq!(decode(&[rest, b"x"].concat()), Err(BrokenFrame));
        }
        assert_eq!(entry_len([0xff; 4]), Err(BrokenFrame));
        assert_eq!(decode(&[99]), Err(BrokenFrame));
    }

    #[test]
    fn effects_are_told_apart() {
        let abandon = |call| digest(&Effect::Abandon { call: CallId(call) });
        assert_eq!(abandon(1), abandon(1));
        assert_ne!(abandon(1), abandon(2));
    }
}
