//! Time: the wall clock, and stopwatches. Nothing else in the shell reads the clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use orrery_core::time::Timestamp;

/// Milliseconds since the Unix epoch, as the wall clock shows them. It may be set back: the core sees to it that its time goes on.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX))
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
