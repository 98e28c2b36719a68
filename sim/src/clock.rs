//! Time: the world's, which nobody inside can see, and each server's own clock, which may be wrong.

mod written;

use core::fmt;
use core::ops::{Add, Sub};

use orrery_core::time::Timestamp;

pub use written::NoSpan;

/// Microseconds since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// A length of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

impl Span {
    #[must_use]
    pub const fn micros(micros: u64) -> Span {
        Span(micros)
    }
    #[must_use]
    pub const fn millis(millis: u64) -> Span {
        Span(millis * 1_000)
    }
    #[must_use]
    pub const fn secs(secs: u64) -> Span {
        Span(secs * 1_000_000)
    }
    #[must_use]
    pub const fn times(self, factor: u64) -> Span {
        Span(self.0 * factor)
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0 + span.0)
    }
}
impl Sub<Time> for Time {
    type Output = Span;
    /// Zero if `earlier` is later.
    fn sub(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}
impl Add<Span> for Span {
    type Output = Span;
    fn add(self, span: Span) -> Span {
        Span(self.0 + span.0)
    }
}

/// Seconds with six decimals, as in the trace.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// When every world begins, by a correct clock: 2025-01-01T00:00:00Z, in milliseconds since the Unix epoch.
const BEGINNING: u64 = 1_735_689_600_000;

/// A server's clock: the world's time, wrong by some milliseconds, and by more and more if it drifts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Milliseconds ahead of the world's time.
    pub skew: i64,
    /// How many microseconds it gains in each second of the world's time; fewer than a second's.
    pub drift: i64,
}

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

impl Clock {
    /// What the clock shows at `time`.
    #[must_use]
    pub fn read(&self, time: Time) -> Timestamp {
        let millis = self.shown(time).div_euclid(1_000);
        Timestamp(BEGINNING.saturating_add_signed(millis).saturating_add_signed(self.skew))
    }

    /// How many of its microseconds have passed since the world began.
    fn shown(&self, time: Time) -> i64 {
        let micros = i128::from(time.0) * i128::from(SECOND + self.drift) / i128::from(SECOND);
        i64::try_from(micros).unwrap_or(i64::MAX)
    }

    /// The first instant, at or after `now`, at which the clock shows `timestamp`.
    #[must_use]
    pub fn when(&self, timestamp: Timestamp, now: Time) -> Time {
        let millis = timestamp.0.saturating_add_signed(-self.skew).saturating_sub(BEGINNING);
        let micros = u128::from(millis) * 1_000 * u128::from(SECOND.unsigned_abs());
        let pace = u128::from((SECOND + self.drift).unsigned_abs());
        Time(u64::try_from(micros.div_ceil(pace)).unwrap_or(u64::MAX)).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_come_when_its_wake_arrives() {
        for skew in [-90_000, -1, 0, 1, 7_000] {
            for drift in [-50_000, -7, 0, 3, 50_000] {
                let clock = Clock { skew, drift };
                let now = Time(5_000_123);
                let deadline = Timestamp(clock.read(now).0 + 30);
                let wake = clock.when(deadline, now);
                assert!(clock.read(wake) >= deadline, "skew {skew}, drift {drift}");
                assert!(clock.read(Time(wake.0 - 1)) < deadline, "skew {skew}, drift {drift}");
            }
        }
    }

    #[test]
    fn a_clock_that_drifts_is_more_and_more_wrong() {
        let wrong = |drift, secs: u64| Clock { skew: 0, drift }.read(Time(secs * 1_000_000)).0 - BEGINNING;
        assert_eq!((wrong(50_000, 100), wrong(50_000, 3_600)), (105_000, 3_780_000));
        assert_eq!((wrong(-50_000, 100), wrong(-50_000, 3_600)), (95_000, 3_420_000));
    }
}
