//! Costs: what others make an honest server do stays in proportion to what they send, be they honest or Byzantine.

use super::bounds;
use crate::failure::Failure;

const CHECKER: &str = "costs";

/// What went in and out of a server, over all its lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Requests of clients and servers.
    pub requests: u64,
    /// Their bodies, and the bodies of answers that it was given.
    pub bytes_in: u64,
    /// What it asked other servers, transactions not counted.
    pub questions: u64,
    pub commits: u64,
    /// Keys and values of all batches.
    pub bytes_written: u64,
    /// Signatures that it had checked.
    pub signatures: u64,
}

/// For each request: one event that comes with it may have all that is before it asked for, at most a few times.
const QUESTIONS_PER_REQUEST: u64 = 8;
const COMMITS_PER_REQUEST: u64 = 60;
/// A request of no content still moves positions, times and queues.
const BYTES_PER_REQUEST: u64 = 24_576;
/// An event is written with its state's nodes and its places in the indices.
const BYTES_PER_BYTE: u64 = 24;
/// A signature and what it signs take this much of a message.
const BYTES_PER_SIGNATURE: u64 = 200;
/// What a server does by itself, whatever is asked of it.
const BASE: u64 = 2_000;

pub fn check(server: u32, account: &Account) -> Result<(), Failure> {
    let Account { requests, bytes_in, questions, commits, bytes_written, signatures } = *account;
    let counts = [
        ("questions to other servers", questions, requests * QUESTIONS_PER_REQUEST + BASE),
        ("commits", commits, requests * COMMITS_PER_REQUEST + BASE),
        ("bytes written", bytes_written, requests * BYTES_PER_REQUEST + bytes_in * BYTES_PER_BYTE + BASE * 1_000),
        ("signatures checked", signatures, requests + bytes_in / BYTES_PER_SIGNATURE + BASE),
    ];
    match bounds::exceeded(counts) {
        None => Ok(()),
        Some(what) => Err(Failure::safety(CHECKER, format!("server {server}: {what}, for {account:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_too_much_is_caught() {
        let fair = Account {
            requests: 1_000,
            bytes_in: 1_000_000,
            questions: 500,
            commits: 5_000,
            bytes_written: 9_000_000,
            signatures: 3_000,
        };
        assert_eq!(check(0, &fair), Ok(()));
        let caught = |account: Account, what: &str| {
            let evidence = check(0, &account).expect_err(what).evidence;
            assert!(evidence.contains(what), "{evidence}");
        };
        caught(Account { questions: 100_000, ..fair }, "questions");
        caught(Account { commits: 1_000_000, ..fair }, "commits");
        caught(Account { bytes_written: 1_000_000_000, ..fair }, "bytes written");
        caught(Account { signatures: 1_000_000, ..fair }, "signatures");
    }
}
