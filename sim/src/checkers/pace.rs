//! Pace: rooms in which no Byzantine server takes part keep moving while others are attacked.

use std::collections::BTreeSet;

use crate::clock::Span;
use crate::failure::Failure;

const CHECKER: &str = "pace";

/// A message that an honest server took, and how long it took to say so, attempts that were lost included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub room: String,
    pub span: Span,
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

/// `touched`: rooms that a Byzantine server has heard of.
pub fn check(taken: &[Taken], touched: &BTreeSet<String>) -> Result<Pace, Failure> {
    let mut pace = Pace::default();
    for Taken { room, span } in taken.iter().filter(|taken| !touched.contains(&taken.room)) {
        if *span > LONGEST {
            let seconds = span.0 / 1_000_000;
            return Err(Failure::liveness(CHECKER, format!("a message to {room} took {seconds} s")));
        }
        pace.messages += 1;
        pace.total = pace.total + *span;
        pace.longest = pace.longest.max(*span);
    }
    Ok(pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_is_held_up_is_caught() {
        let taken = |room: &str, secs| Taken { room: room.to_owned(), span: Span::secs(secs) };
        let touched = BTreeSet::from(["!touched".to_owned()]);
        let pace = check(&[taken("!own", 1), taken("!own", 3), taken("!touched", 500)], &touched).unwrap();
        assert_eq!((pace.messages, pace.mean(), pace.longest), (2, Span::secs(2), Span::secs(3)));
        assert!(check(&[taken("!own", 121)], &touched).is_err());
    }
}
