//! Drawing: every choice of a world comes from one seed, through one stream per component. Integers only, so that debug and
//! release draw alike.

use orrery_core::random::Random;
use serde::{Deserialize, Serialize};

use crate::clock::Span;

/// The stream of `component` in the world of `seed`.
#[must_use]
pub fn stream(seed: u64, component: &str) -> Draw {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Draw(Random::new(&bytes, component))
}

/// A stream of choices.
#[derive(Clone, Debug)]
pub struct Draw(Random);

impl Draw {
    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below(high - low + 1)
    }

    /// A number in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// An index of something `len` long, which must not be empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.0.below(len as u64)).expect("an index fits where its length did")
    }

    /// `true` in `per_mille` of 1000 draws.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.0.below(1_000) < per_mille
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.index(from.len())]
    }

    /// An index of `weights`, each as likely as its weight; `None` if all are zero.
    pub fn weighted(&mut self, weights: &[u64]) -> Option<usize> {
        let total = weights.iter().sum();
        if total == 0 {
            return None;
        }
        let mut at = self.0.below(total);
        weights.iter().position(|weight| match at.checked_sub(*weight) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        })
    }

    pub fn span(&mut self, low: Span, high: Span) -> Span {
        Span(self.between(low.0, high.0))
    }

    pub fn seed(&mut self) -> [u8; 32] {
        self.0.seed()
    }

    pub fn u64(&mut self) -> u64 {
        self.0.u64()
    }
}

/// How long something takes: mostly between two bounds, and now and then far longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub low: Span,
    pub high: Span,
    /// How many of 1000 take [`Latency::SLOW`] times as long.
    pub slow: u64,
}

impl Latency {
    /// The factor of the slow ones.
    pub const SLOW: u64 = 20;

    pub fn draw(&self, draw: &mut Draw) -> Span {
        let span = draw.span(self.low, self.high);
        if draw.chance(self.slow) { span.times(Latency::SLOW) } else { span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_what_is_drawn() {
        let mut draw = stream(1, "test");
        assert_eq!(draw.weighted(&[0, 0]), None);
        let mut counts = [0u32; 3];
        for _ in 0..1_000 {
            counts[draw.weighted(&[1, 0, 3]).unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!(counts[2] > 2 * counts[0], "{counts:?}");
    }

    #[test]
    fn streams_are_apart() {
        assert_ne!(stream(1, "a").u64(), stream(1, "b").u64());
        assert_ne!(stream(1, "a").u64(), stream(2, "a").u64());
        assert_eq!(stream(1, "a").u64(), stream(1, "a").u64());
    }
}
