//! Pace: rooms in which no Byzantine server takes part keep moving while others are attacked.

use std::collections::BTreeSet;

use crate::clock::{Span, Time};
use crate::failure::Failure;

const CHECKER: &str = "pace";

/// A message that an honest server took: when it was first sent, attempts that were lost included, and when the server said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub server: u32,
    pub room: String,
    pub sent: Time,
    pub came: Time,
}

impl Taken {
    /// How long it took, without the time for which its server was down: then it takes nothing, attacked or not.
    fn span(&self, down: &[Vec<(Time, Time)>]) -> Span {
        let down = down.get(self.server as usize).map_or(&[] as &[_], Vec::as_slice);
        let within = |(from, to): &(Time, Time)| ((*to).min(self.came) - (*from).max(self.sent)).0;
        Span((self.came - self.sent).0.saturating_sub(down.iter().map(within).sum()))
    }
}

/// The messages to rooms without a Byzantine server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    pub messages: u64,
    pub total: Span,
    pub longest: Span,
}

impl Pace {
    /// How long one takes, in the mean.
    #[must_use]
    pub fn mean(&self) -> Span {
        Span(self.total.0 / self.messages.max(1))
    }
}

/// The longest that clients may have to wait through crashes, outages and slow disks, which honest worlds have, too. Attacks must
/// not add to that.
const LONGEST: Span = Span::secs(120);

/// `touched`: rooms that a Byzantine server has heard of. `down`: when each server was.
pub fn check(taken: &[Taken], touched: &BTreeSet<String>, down: &[Vec<(Time, Time)>]) -> Result<Pace, Failure> {
    let mut pace = Pace::default();
    for taken in taken.iter().filter(|taken| !touched.contains(&taken.room)) {
        let span = taken.span(down);
        if span > LONGEST {
            let (room, seconds) = (&taken.room, span.0 / 1_000_000);
            return Err(Failure::liveness(CHECKER, format!("a message to {room} took {seconds} s")));
        }
        pace.messages += 1;
        pace.total = pace.total + span;
        pace.longest = pace.longest.max(span);
    }
    Ok(pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Time {
        Time(secs * 1_000_000)
    }

    fn taken(room: &str, took: u64) -> Taken {
        Taken { server: 1, room: room.to_owned(), sent: secs(1_000), came: secs(1_000 + took) }
    }

    #[test]
    fn a_room_that_is_held_up_is_caught() {
        let touched = BTreeSet::from(["!touched".to_owned()]);
        let pace = check(&[taken("!own", 1), taken("!own", 3), taken("!touched", 500)], &touched, &[]).unwrap();
        assert_eq!((pace.messages, pace.mean(), pace.longest), (2, Span::secs(2), Span::secs(3)));
        assert!(check(&[taken("!own", 121)], &touched, &[]).is_err());
    }

    #[test]
    fn what_a_server_is_down_for_does_not_count() {
        let down = |from, to| [Vec::new(), vec![(secs(10), secs(20)), (secs(from), secs(to))]];
        let check = |took, down: [Vec<(Time, Time)>; 2]| check(&[taken("!own", took)], &BTreeSet::new(), &down);
        assert_eq!(check(5_000, down(1_001, 5_999)).unwrap().longest, Span::secs(2));
        assert_eq!(check(130, down(900, 1_020)).unwrap().longest, Span::secs(110));
        assert_eq!(check(130, down(1_020, 9_000)).unwrap().longest, Span::secs(20));
        assert!(check(130, down(1_131, 9_000)).is_err());
        assert!(check(5_000, [down(1_001, 5_999)[1].clone(), Vec::new()]).is_err());
    }
}
