//! Device lists: what a client believes of other people's devices, from `device_lists` of `/sync` and from `/keys/query`, is what
//! their own server says once all has come to rest; and it follows everybody with whom it shares a room, and nobody else.
//!
//! Of two servers that disagree about who is in a room (`sharing` says when they may) the one does not tell the other; so only
//! those are looked at who share a room in the opinion of both.

use std::collections::{BTreeMap, BTreeSet};

use crate::failure::Failure;

const CHECKER: &str = "device lists";

/// What a device has come to believe.
#[derive(Clone, Copy, Debug)]
pub struct Belief<'a> {
    pub who: &'a str,
    pub user_id: &'a str,
    pub known: &'a BTreeMap<String, String>,
    /// Those of whom it could not learn what they have now.
    pub outdated: &'a BTreeMap<String, u64>,
    /// Those of whom it only presumes that they share a room with it.
    pub presumed: &'a BTreeSet<String>,
    /// It knew from the start whom to follow.
    pub complete: bool,
    /// Everybody in the rooms of the user, by the user's own server.
    pub shares: &'a BTreeSet<String>,
    /// Those whose own server says so, too.
    pub mutual: &'a BTreeSet<String>,
}

/// `truth`: what the servers of users say of them. What is outdated comes in the answer.
pub fn check(belief: Belief<'_>, truth: &BTreeMap<String, String>) -> Result<(), Failure> {
    let Belief { who, user_id, known, outdated, presumed, complete, shares, mutual } = belief;
    let fail = |evidence: String| Err(Failure::safety(CHECKER, format!("{who}: {evidence}")));
    for other in known.keys().chain(outdated.keys()) {
        if other != user_id && !shares.contains(other) && !presumed.contains(other) {
            return fail(format!("{other} shares no room with it, and it was not told that they left"));
        }
    }
    for other in shares {
        if complete && !known.contains_key(other) && !outdated.contains_key(other) {
            return fail(format!("{other} shares a room with it, and it was not told of them"));
        }
        if outdated.contains_key(other) && truth.contains_key(other) && mutual.contains(other) {
            return fail(format!("{other} has changed their devices, and it cannot learn to what"));
        }
    }
    for (other, listing) in known {
        let is_compared = other == user_id || mutual.contains(other);
        if let Some(real) = truth.get(other).filter(|real| is_compared && *real != listing) {
            return fail(format!("it believes of {other} {listing}, and their server says {real}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(users: &[&str]) -> BTreeSet<String> {
        users.iter().map(|user| (*user).to_owned()).collect()
    }

    fn map(listings: &[(&str, &str)]) -> BTreeMap<String, String> {
        listings.iter().map(|(user, listing)| ((*user).to_owned(), (*listing).to_owned())).collect()
    }

    fn check_one(known: &[(&str, &str)], outdated: &[&str], mutual: &[&str], complaint: Option<&str>) {
        check_presumed(known, outdated, mutual, &[], complaint);
    }

    fn check_presumed(
        known: &[(&str, &str)],
        outdated: &[&str],
        mutual: &[&str],
        presumed: &[&str],
        complaint: Option<&str>,
    ) {
        let (known, shares, mutual, presumed) = (map(known), set(&["@a:s", "@b:t"]), set(mutual), set(presumed));
        let outdated = outdated.iter().map(|user| ((*user).to_owned(), 1)).collect();
        let (known, outdated) = (&known, &outdated);
        let belief = Belief {
            who: "A",
            user_id: "@me:s",
            known,
            outdated,
            presumed: &presumed,
            complete: true,
            shares: &shares,
            mutual: &mutual,
        };
        let truth = map(&[("@me:s", "1"), ("@a:s", "1"), ("@b:t", "1"), ("@c:s", "1")]);
        match (check(belief, &truth), complaint) {
            (Ok(()), None) => {}
            (Err(failure), Some(complaint)) => assert!(failure.evidence.contains(complaint), "{failure}"),
            (result, _) => panic!("{result:?}"),
        }
    }

    #[test]
    fn outdated_lists_are_caught() {
        let both = ["@a:s", "@b:t"];
        check_one(&[("@me:s", "1"), ("@a:s", "1"), ("@b:t", "1")], &[], &both, None);
        check_one(&[("@me:s", "0"), ("@a:s", "1"), ("@b:t", "1")], &[], &both, Some("their server says"));
        check_one(&[("@a:s", "1"), ("@b:t", "0")], &[], &both, Some("their server says"));
        check_one(&[("@a:s", "1"), ("@b:t", "0")], &[], &["@a:s"], None);
        check_one(&[("@a:s", "1")], &[], &both, Some("was not told of them"));
        check_one(&[("@a:s", "1")], &["@b:t"], &both, Some("cannot learn"));
        check_one(&[("@a:s", "1")], &["@b:t"], &["@a:s"], None);
        let with_another = [("@a:s", "1"), ("@b:t", "1"), ("@c:s", "1")];
        check_one(&with_another, &[], &both, Some("was not told that they left"));
        check_presumed(&with_another, &[], &both, &["@c:s"], None);
    }
}
