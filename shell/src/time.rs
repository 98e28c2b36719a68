//! Time: the wall clock, kept from running backwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use orrery_core::time::Timestamp;

/// The clock that every thread of the server reads.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    last: Arc<AtomicU64>,
}

impl Clock {
    /// Milliseconds since the Unix epoch, never fewer than were read before.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        // A clock before 1970 is not set; the last reading is the better guess.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.last.fetch_max(millis, Ordering::Relaxed).max(millis))
    }
}
