//! Everything that can happen to a homeserver.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::effect::{CallId, CommitId};
use crate::http::Request;

pub use crate::http::RequestId;

/// One thing that happened outside. A log of these, with their times, is a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A request arrived whole.
    Request { id: RequestId, request: Request },
    /// The client of a request went away before its answer.
    Hangup { id: RequestId },
    /// The answer to a call that an effect made.
    Resolved { call: CallId, outcome: Outcome },
    /// The commit, and every one before it, is on disk, and the storage snapshot shows it.
    Durable { commit: CommitId },
    /// [`crate::Homeserver::next_deadline`] has come.
    Wake,
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A password was hashed: the PHC string.
    PasswordHash(String),
    /// A password was compared with a PHC string.
    PasswordMatches(bool),
    /// There was nothing to do.
    Nothing,
    /// The host could not do it.
    Failed(String),
}

/// Hashes of passwords never appear in logs.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::PasswordHash(_) => f.write_str("PasswordHash"),
            Outcome::PasswordMatches(matches) => f.debug_tuple("PasswordMatches").field(matches).finish(),
            Outcome::Nothing => f.write_str("Nothing"),
            Outcome::Failed(why) => f.debug_tuple("Failed").field(why).finish(),
        }
    }
}
