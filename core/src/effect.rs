//! Everything that a homeserver can ask of its host.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::http::{RequestId, Response};

/// Numbers the commits of one life of the core: 1, 2, 3, …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CommitId(pub u64);

/// Names a call (an effect that is answered by `Input::Resolved`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// One thing for the host to do. No effect other than `Commit` is handed out before every earlier commit is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Write `batch` as one atomic unit, after all earlier ones; answered by `Input::Durable`.
    Commit { id: CommitId, batch: Batch },
    /// Send the answer of a request.
    Reply { id: RequestId, response: Response },
    /// Run a read-only request against a durable snapshot that is at least as new as every commit before this effect, on any
    /// thread ([`crate::query::run`]), and send its answer.
    Query { id: RequestId, query: Query },
    /// Run a job ([`Job::run`]) on any thread; answered by `Input::Resolved`.
    Compute { call: CallId, job: Job },
    /// Nobody waits for this call any more: stop it if that is cheap, and do not answer.
    Abandon { call: CallId },
}

/// The writes of one step, sorted by key.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// A key and its new value; `None` deletes.
    pub writes: Vec<(Bytes, Option<Bytes>)>,
}

/// What is stored is private, and some of it secret: a batch is told by its size.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("writes", &self.writes.len()).finish_non_exhaustive()
    }
}

/// Pure work that is too heavy for the core's thread.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Job {
    /// Hash a password with argon2id; answered by `Outcome::PasswordHash`.
    HashPassword { password: String, salt: [u8; 16], cost: PasswordCost },
    /// Compare a password with a PHC string; answered by `Outcome::PasswordMatches`.
    CheckPassword { password: String, hash: String },
    /// Nothing: a long flow lets others have their turn. Answered by `Outcome::Nothing`.
    Nothing,
}

/// The cost of argon2id (RFC 9106): memory in KiB, passes, lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordCost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// Passwords never appear in logs or traces.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Job::HashPassword { cost, .. } => {
                f.debug_struct("HashPassword").field("cost", cost).finish_non_exhaustive()
            }
            Job::CheckPassword { .. } => f.debug_struct("CheckPassword").finish_non_exhaustive(),
            Job::Nothing => f.write_str("Nothing"),
        }
    }
}

/// A read-only request, authenticated and routed, with what of memory it needs beside the durable snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    pub request: crate::http::Request,
    /// Who asks; `None` on endpoints without authentication.
    pub requester: Option<Requester>,
    /// Typing and presence at this moment, for `/sync`.
    pub ephemeral: Option<Bytes>,
}

/// The authenticated sender of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    pub user_id: crate::identifiers::UserId,
    pub device_id: crate::identifiers::DeviceId,
    pub guest: bool,
}
