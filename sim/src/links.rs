//! The links between servers: some far, some slow, some bad; and what cuts them for a while.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::{Span, Time};
use crate::draw::{Draw, stream};
use crate::fault::Fault;

/// How the links between servers differ from each other. All of it is nothing where there is one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkOptions {
    /// In how many places servers stand; 0 and 1 say that all are near each other.
    pub places: u32,
    /// How much longer the way between two places takes at most.
    pub distance: Span,
    /// How many of 1000 links are slow.
    pub slow: u64,
    /// By which factor.
    pub slowness: u64,
    /// How many of 1000 links are bad.
    pub bad: u64,
    /// How many of 1000 requests and answers get lost on those.
    pub loss: u64,
    /// How many of 1000 requests arrive twice.
    pub twice: u64,
    /// How many of 1000 requests and answers are held up, so that later ones overtake them.
    pub held_up: u64,
    /// For how long at most.
    pub hold: Span,
}

impl LinkOptions {
    /// Each of them is left out in most worlds.
    #[must_use]
    pub fn draw(draw: &mut Draw) -> LinkOptions {
        let mut maybe = |per_mille: u64, low: u64, high: u64| {
            let drawn = draw.between(low, high);
            if draw.chance(per_mille) { drawn } else { 0 }
        };
        LinkOptions {
            places: u32::try_from(maybe(400, 2, 4)).expect("places are few"),
            distance: Span::millis(maybe(1_000, 5, 400)),
            slow: maybe(300, 50, 400),
            slowness: maybe(1_000, 2, 30),
            bad: maybe(300, 50, 400),
            loss: maybe(1_000, 50, 400),
            twice: maybe(300, 10, 300),
            held_up: maybe(300, 10, 150),
            hold: Span::millis(maybe(1_000, 100, 120_000)),
        }
    }
}

/// What two servers have between them, in one direction.
#[derive(Clone, Copy, Debug)]
struct Link {
    distance: Span,
    slowness: u64,
    loss: u64,
}

/// A link that is down for one period, up for the next, and so on.
#[derive(Clone, Copy, Debug)]
struct Flapping {
    since: Time,
    until: Time,
    period: Span,
}

/// The servers are apart by islands.
#[derive(Clone, Copy, Debug)]
struct Split {
    islands: u32,
    stride: u32,
    one_way: bool,
    until: Time,
}

impl Split {
    fn cuts(&self, from: u32, to: u32) -> bool {
        let island = |server: u32| server / self.stride.max(1) % self.islands.max(1);
        if self.one_way { island(from) < island(to) } else { island(from) != island(to) }
    }
}

/// Every link between two servers.
#[derive(Debug)]
pub struct Links {
    options: LinkOptions,
    draw: Draw,
    links: BTreeMap<(u32, u32), Link>,
    /// Until when nothing gets from one server to another.
    partitions: BTreeMap<(u32, u32), Time>,
    flapping: BTreeMap<(u32, u32), Flapping>,
    splits: Vec<Split>,
    /// Until when nothing gets to a server from others, nor back.
    alone: BTreeMap<u32, Time>,
    healed: bool,
}

impl Links {
    /// The links of the world of `seed` between so many servers.
    #[must_use]
    pub fn new(options: LinkOptions, seed: u64, servers: u32) -> Links {
        let mut draw = stream(seed, "links");
        let places = options.places.max(1);
        let place_of: Vec<u64> = (0..servers).map(|_| draw.below(places.into())).collect();
        let between: BTreeMap<(u64, u64), Span> = (0..u64::from(places))
            .flat_map(|from| (0..u64::from(places)).map(move |to| (from, to)))
            .map(|(from, to)| {
                let distance = draw.span(Span::default(), options.distance);
                ((from, to), if from == to { Span::default() } else { distance })
            })
            .collect();
        let mut links = BTreeMap::new();
        for from in 0..servers {
            for to in 0..servers {
                let (slow, bad) = (draw.chance(options.slow), draw.chance(options.bad));
                let distance = between[&(place_of[from as usize], place_of[to as usize])];
                let (slowness, loss) =
                    (if slow { options.slowness.max(1) } else { 1 }, if bad { options.loss } else { 0 });
                links.insert((from, to), Link { distance, slowness, loss });
            }
        }
        Links {
            options,
            draw,
            links,
            partitions: BTreeMap::new(),
            flapping: BTreeMap::new(),
            splits: Vec::new(),
            alone: BTreeMap::new(),
            healed: false,
        }
    }

    /// A fault strikes `server`. Those that are not of links change nothing here.
    pub fn strike(&mut self, server: u32, fault: Fault, now: Time) {
        match fault {
            Fault::Partition { from, one_way, lasts } => {
                for link in ways(from, server, one_way) {
                    self.partitions.insert(link, now + lasts);
                }
            }
            Fault::Flapping { from, one_way, period, lasts } => {
                let period = period.max(Span::millis(1));
                for link in ways(from, server, one_way) {
                    self.flapping.insert(link, Flapping { since: now, until: now + lasts, period });
                }
            }
            Fault::Split { islands, stride, one_way, lasts } => {
                self.splits.push(Split { islands, stride, one_way, until: now + lasts });
            }
            Fault::Isolation { lasts } => {
                self.alone.insert(server, now + lasts);
            }
            _ => {}
        }
    }

    /// Every link is up, and as good as the best; far stays far.
    pub fn heal(&mut self) {
        self.healed = true;
        self.partitions.clear();
        self.flapping.clear();
        self.splits.clear();
        self.alone.clear();
    }

    /// Whether what goes from one server to another is lost.
    pub fn loses(&mut self, link: (u32, u32), now: Time) -> bool {
        let loss = self.links.get(&link).map_or(0, |link| link.loss);
        let lost = loss > 0 && self.draw.chance(loss) && !self.healed;
        lost || self.is_cut(link, now)
    }

    fn is_cut(&self, (from, to): (u32, u32), now: Time) -> bool {
        let lasts = |until: Option<&Time>| until.is_some_and(|until| now < *until);
        let flaps = |flapping: &Flapping| {
            now < flapping.until && ((now - flapping.since).0 / flapping.period.0).is_multiple_of(2)
        };
        lasts(self.partitions.get(&(from, to)))
            || lasts(self.alone.get(&from))
            || lasts(self.alone.get(&to))
            || self.flapping.get(&(from, to)).is_some_and(flaps)
            || self.splits.iter().any(|split| now < split.until && split.cuts(from, to))
    }

    /// How long something is under way on a link that would take `latency` if it were like all others.
    pub fn takes(&mut self, link: (u32, u32), latency: Span) -> Span {
        let Some(&Link { distance, slowness, .. }) = self.links.get(&link) else { return latency };
        if self.healed {
            return latency + distance;
        }
        let held_up = self.options.held_up > 0 && self.draw.chance(self.options.held_up);
        let hold = if held_up { self.draw.span(Span::default(), self.options.hold) } else { Span::default() };
        latency.times(slowness) + distance + hold
    }

    /// Whether a request arrives twice.
    pub fn makes_two(&mut self) -> bool {
        self.options.twice > 0 && !self.healed && self.draw.chance(self.options.twice)
    }
}

/// From one server to another, and back unless it is `one_way`.
fn ways(from: u32, to: u32, one_way: bool) -> impl Iterator<Item = (u32, u32)> {
    std::iter::once((from, to)).chain((!one_way).then_some((to, from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(options: LinkOptions) -> Links {
        Links::new(options, 1, 6)
    }

    /// The links between six servers that are cut at some second.
    fn cut(fault: Fault, second: u64) -> Vec<(u32, u32)> {
        let mut links = links(LinkOptions::default());
        links.strike(1, fault, Time(0));
        let all = (0..6).flat_map(|from| (0..6).map(move |to| (from, to)));
        all.filter(|link| links.loses(*link, Time(second * 1_000_000))).collect()
    }

    #[test]
    fn faults_cut_what_they_say() {
        let lasts = Span::secs(10);
        assert_eq!(cut(Fault::Partition { from: 2, one_way: true, lasts }, 1), [(2, 1)]);
        assert_eq!(cut(Fault::Partition { from: 2, one_way: false, lasts }, 1), [(1, 2), (2, 1)]);
        assert_eq!(cut(Fault::Partition { from: 2, one_way: false, lasts }, 10), []);
        assert_eq!(cut(Fault::Isolation { lasts }, 1).len(), 11);
        let flapping = Fault::Flapping { from: 2, one_way: true, period: Span::secs(2), lasts };
        for (second, expected) in [(0, 1), (2, 0), (3, 0), (4, 1), (8, 1), (12, 0)] {
            assert_eq!(cut(flapping, second).len(), expected, "after {second} s");
        }
        let split = |stride, one_way| Fault::Split { islands: 2, stride, one_way, lasts };
        assert_eq!(cut(split(3, false), 1).len(), 18);
        assert!(!cut(split(3, false), 1).contains(&(0, 2)) && cut(split(1, false), 1).contains(&(0, 1)));
        assert!(cut(split(3, true), 1).iter().all(|(from, to)| *from < 3 && *to >= 3));
    }

    #[test]
    fn links_differ_until_the_world_is_healed() {
        let options =
            LinkOptions { slow: 500, slowness: 10, bad: 500, loss: 1_000, twice: 1_000, ..LinkOptions::default() };
        let mut links = links(options);
        let of_all = |links: &mut Links| {
            let all = (0..6).flat_map(|from| (0..6).map(move |to| (from, to)));
            let (mut slow, mut lost) = (0, 0);
            for link in all {
                slow += u32::from(links.takes(link, Span::millis(1)) == Span::millis(10));
                lost += u32::from(links.loses(link, Time(0)));
            }
            (slow > 5, lost > 5, links.makes_two())
        };
        assert_eq!(of_all(&mut links), (true, true, true));
        links.heal();
        assert_eq!(of_all(&mut links), (false, false, false));
    }

    #[test]
    fn later_requests_overtake() {
        let mut links = links(LinkOptions { held_up: 300, hold: Span::secs(60), ..LinkOptions::default() });
        let spans: Vec<Span> = (0..100).map(|_| links.takes((0, 1), Span::millis(5))).collect();
        assert!(spans.iter().any(|span| *span > Span::secs(10)) && spans.contains(&Span::millis(5)));
    }
}
