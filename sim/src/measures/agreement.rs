//! When servers that share a room agreed about it.

use std::collections::BTreeMap;

use crate::clock::{Span, Time};

/// A fingerprint of what a server thinks.
pub type Digest = [u8; 16];

/// What is under way is no disagreement: what lasts longer than this is one.
pub const IN_FLIGHT: Span = Span::secs(10);

/// What a server thinks of a room from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: Time,
    pub server: u32,
    /// Somebody of it is in the room, as far as it knows.
    pub inside: bool,
    pub opinion: Digest,
}

/// The times of disagreements that were longer than [`IN_FLIGHT`]; without an end, they last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disagreements(Vec<(Time, Option<Time>)>);

impl Disagreements {
    /// Adds those of one room: `moments` by time, and the pairs of servers that are compared.
    pub fn add(&mut self, moments: &[Moment], pairs: &[(u32, u32)], end: Time) {
        let mut opinions: BTreeMap<u32, Moment> = BTreeMap::new();
        let mut since: BTreeMap<(u32, u32), Time> = BTreeMap::new();
        for moment in moments {
            opinions.insert(moment.server, *moment);
            for pair in pairs.iter().filter(|(a, b)| *a == moment.server || *b == moment.server) {
                let [a, b] = [pair.0, pair.1].map(|server| opinions.get(&server).filter(|moment| moment.inside));
                match a.zip(b).is_some_and(|(a, b)| a.opinion != b.opinion) {
                    true => drop(since.entry(*pair).or_insert(moment.at)),
                    false => {
                        let since = since.remove(pair).filter(|since| moment.at - *since > IN_FLIGHT);
                        self.0.extend(since.map(|since| (since, Some(moment.at))));
                    }
                }
            }
        }
        self.0.extend(since.into_values().filter(|since| end - *since > IN_FLIGHT).map(|since| (since, None)));
    }

    /// How long after `from` the last one ended; `None` if one never did.
    #[must_use]
    pub fn over_after(&self, from: Time) -> Option<Span> {
        self.0.iter().try_fold(Span(0), |longest, (_, end)| end.map(|end| longest.max(end - from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(secs: u64, server: u32, opinion: u8) -> Moment {
        Moment { at: Time(secs * 1_000_000), server, inside: opinion > 0, opinion: [opinion; 16] }
    }

    fn over_after(moments: &[Moment], pairs: &[(u32, u32)], from: u64) -> Option<u64> {
        let mut disagreements = Disagreements::default();
        disagreements.add(moments, pairs, Time(1_000_000_000));
        disagreements.over_after(Time(from * 1_000_000)).map(|span| span.0 / 1_000_000)
    }

    #[test]
    fn the_last_long_disagreement_counts() {
        let both = [(0, 1)];
        let long = [moment(1, 0, 1), moment(1, 1, 1), moment(5, 0, 2), moment(65, 1, 2)];
        assert_eq!(over_after(&long, &both, 30), Some(35));
        assert_eq!(over_after(&long, &both, 70), Some(0));
        assert_eq!(over_after(&long, &[], 30), Some(0), "who shares no room need not agree");
        // What is under way.
        let short = [moment(1, 0, 1), moment(1, 1, 1), moment(5, 0, 2), moment(9, 1, 2)];
        assert_eq!(over_after(&short, &both, 0), Some(0));
        // For ever.
        assert_eq!(over_after(&long[..3], &both, 0), None);
        // One of them is out meanwhile.
        let out = [moment(1, 0, 1), moment(1, 1, 1), moment(5, 0, 2), moment(6, 1, 0), moment(80, 1, 2)];
        assert_eq!(over_after(&out, &both, 0), Some(0));
    }
}
