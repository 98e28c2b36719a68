//! The one place in the simulator that reads a clock: how long a sweep takes, which no world sees.

use std::time::{Duration, Instant};

/// Runs from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[must_use]
    pub fn start() -> Stopwatch {
        #[allow(clippy::disallowed_methods, reason = "progress is for the person who waits")]
        Stopwatch(Instant::now())
    }

    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
