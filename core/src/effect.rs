//! Everything that a homeserver can ask of its host.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::http::{Method, RequestId, Response};
use crate::identifiers::ServerName;
use crate::signing::SignedMessage;

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
    /// Send one request to another server over TLS; answered by `Input::Resolved` with `Outcome::Fetched`, or `Failed` if no
    /// answer came.
    Fetch { call: CallId, fetch: Fetch },
    /// Ask DNS for the SRV records of `name`; answered by `Outcome::Services`, or `Failed` if DNS did not answer.
    Lookup { call: CallId, name: String },
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

/// One request to another server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    pub method: Method,
    /// Where to connect: a DNS name, or an IP address without brackets. The host refuses private addresses after resolution,
    /// unless its configuration allows them.
    pub host: String,
    pub port: u16,
    /// Whose certificate it has to be, and the name that is asked for: a DNS name, or an IP address without brackets.
    pub tls_name: String,
    /// The value of the `Host` header.
    pub host_header: String,
    /// Path and query as sent.
    pub target: String,
    /// The value of the `Authorization` header.
    pub authorization: Option<String>,
    /// Sent as `application/json` unless it is empty.
    pub body: Bytes,
    /// From the first attempt to connect to the last byte of the answer.
    pub timeout: Duration,
    /// An answer with a longer body is a failure, in bytes.
    pub max_body: u32,
}

/// What is sent to other servers may be private.
impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch")
            .field("method", &self.method)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("target", &self.target)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Pure work that is too heavy for the core's thread.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Job {
    /// Hash a password with argon2id; answered by `Outcome::PasswordHash`.
    HashPassword { password: String, salt: [u8; 16], cost: PasswordCost },
    /// Compare a password with a PHC string; answered by `Outcome::PasswordMatches`.
    CheckPassword { password: String, hash: String },
    /// Check signatures, all of which come from other servers; answered by `Outcome::Verified`.
    Verify(Vec<SignedMessage>),
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
            Job::Verify(messages) => f.debug_tuple("Verify").field(&messages.len()).finish(),
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
    /// The server that asks, on endpoints of the Server-Server API.
    pub origin: Option<ServerName>,
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
