//! Device lists: what a client believes of other people's devices, from `device_lists` of `/sync` and from `/keys/query`, is what
//! their own server says once all has come to rest; and it follows everybody with whom it shares a room, and nobody else.
//!
//! Of two servers that disagree about who is in a room (`sharing` says when they may) the one does not tell the other; so only
//! those are looked at who share a room in the opinion of both.
//!
//! And a server tells of changes only those servers that it takes to be in a room with the user. Another may have come into the room
//! and have asked for the user's devices before the user's server heard of it. What changes between the two nobody tells.

use std::collections::{BTreeMap, BTreeSet};

use orrery_core::encryption::device_lists;
use orrery_core::identifiers::{ServerName, UserId};
use orrery_core::room::{membership, servers};
use orrery_core::store::{Read, StorageError};

use crate::failure::Failure;
use crate::server::Server;
use crate::world::server_name;

const CHECKER: &str = "device lists";

/// What a device has come to believe.
#[derive(Clone, Copy, Debug)]
pub struct Belief<'a> {
    pub who: &'a str,
    pub user_id: &'a str,
    pub known: &'a BTreeMap<String, String>,
    /// Those of whom it could not learn what they have now.
    pub outdated: &'a BTreeMap<String, u64>,
    /// It knew from the start whom to follow.
    pub complete: bool,
    /// Everybody in the rooms of the user, by the user's own server.
    pub shares: &'a BTreeSet<String>,
    /// Those whose own server says so, too.
    pub mutual: &'a BTreeSet<String>,
}

/// Somebody of whose devices a client believes what their server does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// The server of whoever believes it.
    pub server: u32,
    pub user_id: String,
    pub failure: Failure,
}

/// `truth`: what the servers of users say of them. What is outdated comes in the answer.
pub fn check(belief: Belief<'_>, truth: &BTreeMap<String, String>) -> Result<Vec<(String, Failure)>, Failure> {
    let Belief { who, user_id, known, outdated, complete, shares, mutual } = belief;
    let fail = |evidence: String| Err(Failure::safety(CHECKER, format!("{who}: {evidence}")));
    for other in known.keys().chain(outdated.keys()) {
        if other != user_id && !shares.contains(other) {
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
    let mut outdated = Vec::new();
    for (other, listing) in known {
        let is_compared = other == user_id || mutual.contains(other);
        if let Some(real) = truth.get(other).filter(|real| is_compared && *real != listing) {
            let evidence = format!("{who}: it believes of {other} {listing}, and their server says {real}");
            outdated.push((other.clone(), Failure::safety(CHECKER, evidence)));
        }
    }
    Ok(outdated)
}

/// Whether the user's server could have told: it has heard of the other in a room with the user, and the change came after that.
pub fn check_outdated(outdated: &Outdated, servers: &[Server]) -> Result<(), Failure> {
    let own = outdated.user_id.split_once(':').map(|(_, name)| name.to_owned());
    let Some(home) = (0u32..).zip(servers).find(|(number, _)| Some(server_name(*number)) == own) else {
        return Ok(());
    };
    let is_late = home.0 != outdated.server
        && changed_before_it_heard(&home.1.disk().look(), &outdated.user_id, outdated.server)
            .expect("whoever looks from outside can read");
    if is_late { Ok(()) } else { Err(outdated.failure.clone()) }
}

fn changed_before_it_heard(read: &impl Read, user_id: &str, of: u32) -> Result<bool, StorageError> {
    let (user_id, of) = (UserId::parse(user_id), ServerName::parse(&server_name(of)));
    let (Ok(user_id), Ok(of)) = (user_id, of) else { return Ok(false) };
    let mut first = None;
    for room in membership::joined_rooms_of(read, &user_id)? {
        let since = servers::servers_since(read, room)?.into_iter().find(|(server, _)| *server == of);
        first = first.into_iter().chain(since.map(|since| since.1)).min();
    }
    Ok(match first {
        Some(first) => !device_lists::changed_since(read, first)?.contains(&user_id),
        None => true,
    })
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
        let (known, shares, mutual) = (map(known), set(&["@a:s", "@b:t"]), set(mutual));
        let outdated = outdated.iter().map(|user| ((*user).to_owned(), 1)).collect();
        let (known, outdated) = (&known, &outdated);
        let belief =
            Belief { who: "A", user_id: "@me:s", known, outdated, complete: true, shares: &shares, mutual: &mutual };
        let truth = map(&[("@me:s", "1"), ("@a:s", "1"), ("@b:t", "1"), ("@c:s", "1")]);
        let result = check(belief, &truth).and_then(|outdated| outdated.into_iter().try_for_each(|of| Err(of.1)));
        match (result, complaint) {
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
        check_one(&[("@a:s", "1"), ("@b:t", "1"), ("@c:s", "1")], &[], &both, Some("was not told that they left"));
    }
}
