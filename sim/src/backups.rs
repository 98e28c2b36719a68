//! Backups of disks, for the faults that restore them.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Time;
use crate::fault::PlannedFault;
use crate::server::Server;
use crate::storage::Backup;

/// Backups by the number of the fault that restores them.
#[derive(Debug, Default)]
pub struct Backups {
    taken: BTreeMap<usize, (Backup, Time)>,
    /// Those that were due before there was anything worth it.
    early: BTreeSet<usize>,
    begun: bool,
}

impl Backups {
    /// The time has come to take one.
    pub fn take(&mut self, fault: usize, server: &Server, now: Time) {
        if self.begun {
            self.taken.insert(fault, (server.disk().back_up(), now));
        } else {
            self.early.insert(fault);
        }
    }

    /// Everybody has an account: from now on backups are taken.
    pub fn begin(&mut self, faults: &[PlannedFault], servers: &[Server], now: Time) {
        self.begun = true;
        for fault in std::mem::take(&mut self.early) {
            self.take(fault, &servers[faults[fault].server as usize], now);
        }
    }

    /// The backup for a fault, and when it was taken.
    #[must_use]
    pub fn of(&self, fault: usize) -> Option<(Backup, Time)> {
        self.taken.get(&fault).cloned()
    }
}
