//! Medians and percentiles of measured durations.

use std::time::Duration;

/// Durations of single operations.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    nanoseconds: Vec<u64>,
    sorted: bool,
}

impl Samples {
    pub fn add(&mut self, duration: Duration) {
        self.nanoseconds.push(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        self.sorted = false;
    }

    pub fn append(&mut self, mut other: Samples) {
        self.nanoseconds.append(&mut other.nanoseconds);
        self.sorted = false;
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.nanoseconds.len()
    }

    /// The smallest sample that `percent` of all samples do not exceed (nearest rank); zero without samples.
    pub fn percentile(&mut self, percent: u32) -> Duration {
        if !self.sorted {
            self.nanoseconds.sort_unstable();
            self.sorted = true;
        }
        let count = self.nanoseconds.len();
        let rank = (count * percent as usize).div_ceil(100).max(1);
        Duration::from_nanos(self.nanoseconds.get(rank - 1).copied().unwrap_or(0))
    }

    pub fn median(&mut self) -> Duration {
        self.percentile(50)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(samples: &[u64], percent: u32, expected: u64) {
        let mut all = Samples::default();
        for &sample in samples {
            all.add(Duration::from_nanos(sample));
        }
        assert_eq!(all.percentile(percent), Duration::from_nanos(expected), "{percent} % of {samples:?}");
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        check(&[], 50, 0);
        check(&[7], 50, 7);
        check(&[7], 99, 7);
        check(&[3, 1, 2], 50, 2);
        check(&[4, 3, 2, 1], 50, 2);
        check(&[4, 3, 2, 1], 100, 4);
        check(&[4, 3, 2, 1], 0, 1);
        let hundred: Vec<u64> = (1..=100).rev().collect();
        check(&hundred, 95, 95);
        check(&hundred, 99, 99);
    }

    #[test]
    fn samples_join() {
        let (mut a, mut b) = (Samples::default(), Samples::default());
        a.add(Duration::from_nanos(5));
        assert_eq!(a.median(), Duration::from_nanos(5));
        b.add(Duration::from_nanos(1));
        b.add(Duration::from_nanos(2));
        a.append(b);
        assert_eq!((a.count(), a.median()), (3, Duration::from_nanos(2)));
    }
}
