//! Backups that were restored: what was acknowledged between the backup and its restoration is lost, and nothing else is.

use crate::clock::Time;

/// A server's store is again what it was when a backup was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restore {
    pub server: u32,
    pub taken: Time,
    pub at: Time,
}

impl Restore {
    /// Whether what was acknowledged then may be lost.
    #[must_use]
    pub fn loses(&self, acknowledged: Time) -> bool {
        (self.taken..=self.at).contains(&acknowledged)
    }

    /// The same of what may not have been acknowledged at all: whoever asks for it again cannot know that it was done.
    #[must_use]
    pub fn may_lose(&self, acknowledged: Option<Time>) -> bool {
        acknowledged.is_none_or(|at| self.loses(at))
    }
}
