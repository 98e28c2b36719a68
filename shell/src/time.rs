//! Time: the wall clock, kept from running backwards, and stopwatches. Nothing else in the shell reads the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
        let millis = u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.last.fetch_max(millis, Ordering::Relaxed).max(millis))
    }
}

/// The time since 1970-01-01 00:00 UTC; zero on a clock that is set to before.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[must_use]
    #[allow(clippy::disallowed_methods)]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// The time from the start of `earlier` to the start of this one.
    #[must_use]
    pub fn since(&self, earlier: &Stopwatch) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}
