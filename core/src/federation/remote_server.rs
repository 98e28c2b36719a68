//! What is remembered of each other server, so that one that is down is not asked once per event, and not at once after a
//! restart either. All of it can be found out again: the rows are a ring, and the newest server takes the place of the one
//! that came longest ago, so that names that somebody made up cannot fill the disk.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::flow::{Cx, Notice, Step};
use crate::identifiers::ServerName;
use crate::limits::MAX_REMOTE_SERVERS;
use crate::random::Random;
use crate::store::ring::Ring;
use crate::store::tables::{Table, tags};
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteServer {
    /// Where the ring has its name.
    slot: u32,
    /// Requests to it that found nobody.
    pub reaching: Backoff,
    /// Requests for its keys that did not bring the key that was sought.
    pub keys: Backoff,
    /// Questions about its keys that notaries could not answer.
    pub notaries: Backoff,
    /// Where it was when it was sought last.
    pub discovered: Option<Discovered>,
}

/// Where to connect, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// A DNS name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// Whose certificate it has to be: a DNS name, or an IP address without brackets.
    pub tls_name: String,
    pub host_header: String,
}

/// What came of resolving a server's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    /// To be tried in this order.
    pub places: Vec<Place>,
    /// From then on they are sought again.
    pub expires: Timestamp,
    pub well_known: WellKnown,
}

/// What `/.well-known/matrix/server` said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WellKnown {
    /// `m.server`, if there was one.
    pub delegate: Option<ServerName>,
    /// When it was asked for; of a `delegate` that is kept although it could not be asked for again, when it was had.
    pub fetched: Timestamp,
    /// From then on it is asked for again.
    pub expires: Timestamp,
    /// How often in a row it could not be asked for.
    pub failures: u32,
}

const REMOTE_SERVERS: Table<ServerName, RemoteServer> = Table::new(tags::REMOTE_SERVER);
const SLOTS: Table<u32, ServerName> = Table::new(tags::REMOTE_SERVER_SLOT);
const RING: Ring = Ring::new(tags::REMOTE_SERVER_NEXT_SLOT, MAX_REMOTE_SERVERS);

/// What is known of `server`; the default if nothing is.
pub fn get(read: &(impl Read + ?Sized), server: &ServerName) -> Result<RemoteServer, StorageError> {
    Ok(REMOTE_SERVERS.get(read, server)?.unwrap_or_default())
}

/// Changes what is known of `server`.
pub fn update(
    step: &mut Step<'_>,
    server: &ServerName,
    change: impl FnOnce(&mut RemoteServer, &mut Random),
) -> Result<(), StorageError> {
    let mut row = match REMOTE_SERVERS.get(step, server)? {
        Some(row) => row,
        None => RemoteServer { slot: take_slot(step, server)?, ..RemoteServer::default() },
    };
    change(&mut row, step.random);
    REMOTE_SERVERS.put(step, server, &row);
    Ok(())
}

fn take_slot(step: &mut Step<'_>, server: &ServerName) -> Result<u32, StorageError> {
    let (slot, before) = RING.put(step, &SLOTS, server)?;
    if let Some(before) = before {
        REMOTE_SERVERS.delete(step, &before);
    }
    Ok(slot)
}

/// The server has shown that it is up: whatever kept it from being asked is over.
pub fn is_up(cx: &Cx, server: &ServerName) -> Result<(), ApiError> {
    cx.step(|step| {
        if get(step, server)?.reaching != Backoff::default() {
            update(step, server, |row, _| row.reaching = Backoff::default())?;
            step.notify(Notice::ServerIsUp(server.clone()));
        }
        Ok(())
    })
}

/// When something that failed may be tried again: twice as late each time, with some jitter, so that what failed together is not
/// tried again together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    pub failures: u32,
    pub failed_at: Timestamp,
    pub until: Timestamp,
}

impl Backoff {
    /// Until when it is not to be tried. A clock that was ahead when this was written says nothing: it has been set back since, and
    /// might keep the server from being tried for as long as it was wrong.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> Option<Timestamp> {
        (self.failed_at <= now && now < self.until).then_some(self.until)
    }

    /// Something that began at `started` has failed. What was under way together counts as one failure. `first` is the pause
    /// after one failure, `most` the longest, before jitter of up to a quarter.
    pub fn failed(
        &mut self,
        (started, now): (Timestamp, Timestamp),
        (first, most): (Duration, Duration),
        random: &mut Random,
    ) {
        if self.failures > 0 && (started..=now).contains(&self.failed_at) {
            return;
        }
        let doublings = self.failures.min(20);
        let pause = first.saturating_mul(1 << doublings).min(most);
        let jitter = random.below(1 + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / 4);
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        self.until = now + pause + Duration::from_millis(jitter);
    }
}

#[cfg(test)]
mod tests;
