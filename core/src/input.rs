//! Everything that can happen to a homeserver.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::effect::{CallId, CommitId};
use crate::http::{Request, Response};

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

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    /// Without the final dot.
    pub target: String,
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A password was hashed: the PHC string.
    PasswordHash(String),
    /// A password was compared with a PHC string.
    PasswordMatches(bool),
    /// Signatures were checked: whether each is good, in the order of the job.
    Verified(Vec<bool>),
    /// Another server answered, whatever the status.
    Fetched(Response),
    /// DNS answered: the records, and for how many seconds they may be kept. No records is an answer too.
    Services { records: Vec<Service>, ttl: u32 },
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
            Outcome::Verified(good) => {
                let bad = good.iter().filter(|good| !**good).count();
                f.debug_struct("Verified").field("checked", &good.len()).field("bad", &bad).finish()
            }
            Outcome::Fetched(response) => f.debug_tuple("Fetched").field(response).finish(),
            Outcome::Services { records, ttl } => {
                f.debug_struct("Services").field("records", records).field("ttl", ttl).finish()
            }
            Outcome::Nothing => f.write_str("Nothing"),
            Outcome::Failed(why) => f.debug_tuple("Failed").field(why).finish(),
        }
    }
}
