//! What goes wrong with servers and around them, as plain data.

use serde::{Deserialize, Serialize};

use crate::clock::{Span, Time};
use crate::key_server::WrongKeys;
use crate::names::{Way, Wrong};

/// Something that goes wrong with a server or around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Fault {
    /// The server carries out `effects` more effects, then crashes and stays down.
    Crash {
        effects: u64,
        down: Span,
    },
    /// Commits fail. The host's answer to that is to crash and start again.
    DiskFull {
        lasts: Span,
    },
    SlowDisk {
        lasts: Span,
    },
    /// One read in so many fails.
    BadReads {
        one_in: u64,
        lasts: Span,
    },
    /// The server's clock jumps.
    ClockJump {
        millis: i64,
    },
    /// Nothing gets through to the server or from it.
    Outage {
        lasts: Span,
    },
    /// Nothing gets to the server from another one, nor back unless it is `one_way`.
    Partition {
        from: u32,
        one_way: bool,
        lasts: Span,
    },
    /// As [`Fault::Partition`] for one period, not for the next, and so on.
    Flapping {
        from: u32,
        one_way: bool,
        period: Span,
        lasts: Span,
    },
    /// All servers are on islands, `stride` in a row on one and the next on the next, until the first island's turn comes again.
    /// Nothing gets from one to another; `one_way`: it does from later islands to earlier ones.
    Split {
        islands: u32,
        stride: u32,
        one_way: bool,
        lasts: Span,
    },
    /// The server is to be found elsewhere, in this way, and nobody answers where it was.
    Move {
        way: Way,
    },
    /// The server's `.well-known` is not as it should be.
    WrongWellKnown {
        wrong: Wrong,
        lasts: Span,
    },
    /// DNS says nothing of the server.
    NoNames {
        lasts: Span,
    },
    /// The server stops and starts again with a new signing key, and publishes the former ones as old.
    KeyRotation {
        down: Span,
    },
    /// Whoever asks the server for its signing keys gets none, or wrong ones. All the rest of it works.
    WrongKeys {
        wrong: WrongKeys,
        lasts: Span,
    },
    /// The server crashes, and its operator restores a backup that is so old. What it acknowledged since is lost. Backups are not taken
    /// before everybody has signed up.
    OlderStore {
        age: Span,
        down: Span,
    },
    /// Nothing gets to the server from any other, nor back. Its own people go on.
    Isolation {
        lasts: Span,
    },
}

impl Fault {
    /// How long after it strikes it is over.
    #[must_use]
    pub fn lasts(self) -> Span {
        match self {
            Fault::Crash { down, .. } | Fault::OlderStore { down, .. } => down,
            Fault::ClockJump { .. } | Fault::Move { .. } => Span(0),
            Fault::KeyRotation { down } => down,
            Fault::DiskFull { lasts }
            | Fault::SlowDisk { lasts }
            | Fault::BadReads { lasts, .. }
            | Fault::Outage { lasts }
            | Fault::Partition { lasts, .. }
            | Fault::Flapping { lasts, .. }
            | Fault::Split { lasts, .. }
            | Fault::Isolation { lasts }
            | Fault::WrongWellKnown { lasts, .. }
            | Fault::WrongKeys { lasts, .. }
            | Fault::NoNames { lasts } => lasts,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFault {
    pub at: Time,
    pub server: u32,
    pub fault: Fault,
}
