//! Refusals: every request of a Byzantine server gets an answer of the specification, and nothing that must be refused is taken.

use std::collections::BTreeSet;

use orrery_core::canonical_json::{Value, parse};
use orrery_core::http::Response;

use crate::failure::Failure;

const CHECKER: &str = "refusals";

/// What a request of a Byzantine server may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// An error with one of these codes.
    Refused(&'static [&'static str]),
    /// `200`, with results for none but these events, and an error for those of them that nobody may accept.
    Results { ids: BTreeSet<String>, refused: BTreeSet<String> },
    /// Anything but a fault of the server.
    NoFault,
}

/// What Byzantine servers did, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub attacks: u64,
    pub requests: u64,
    pub lies: u64,
    pub refused: u64,
    /// Events without an error in the answer to their transaction.
    pub events_taken: u64,
    pub events_refused: u64,
    pub unanswered: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.attacks += other.attacks;
        self.requests += other.requests;
        self.lies += other.lies;
        self.refused += other.refused;
        self.events_taken += other.events_taken;
        self.events_refused += other.events_refused;
        self.unanswered += other.unanswered;
    }
}

/// Who cannot be recognized is told so, and who asks too much; a room may keep a server out.
const ALWAYS: [(u16, &str); 3] = [(401, "M_UNAUTHORIZED"), (429, "M_LIMIT_EXCEEDED"), (403, "M_FORBIDDEN")];

/// `excused`: the server's disk has faults of its own.
pub fn check(
    what: &str,
    expect: &Expect,
    response: &Response,
    excused: bool,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let fail = |why: &str| {
        let body: String = String::from_utf8_lossy(&response.body).chars().take(500).collect();
        Err(Failure::safety(CHECKER, format!("{what}: {} {body}: {why}", response.status)))
    };
    if response.status >= 500 {
        return if excused { Ok(()) } else { fail("a fault of the server") };
    }
    let Ok(body) = parse(&response.body) else { return fail("the answer is not JSON") };
    if response.status != 200 {
        let (Some(errcode), Some(_)) = (body.get("errcode").and_then(Value::as_str), body.get("error")) else {
            return fail("an error without errcode and error");
        };
        tally.refused += 1;
        let named = matches!(expect, Expect::Refused(errcodes) if errcodes.contains(&errcode));
        if named || *expect == Expect::NoFault || ALWAYS.contains(&(response.status, errcode)) {
            return Ok(());
        }
        return fail("not the error that the specification has");
    }
    match expect {
        Expect::NoFault => Ok(()),
        Expect::Refused(errcodes) => fail(&format!("it is not refused with {errcodes:?}")),
        Expect::Results { ids, refused } => {
            let Some(results) = body.get("pdus").and_then(Value::as_object) else { return fail("it has no pdus") };
            for (event_id, result) in results.iter() {
                let has_error = result.get("error").is_some();
                tally.events_refused += u64::from(has_error);
                tally.events_taken += u64::from(!has_error);
                if !ids.contains(event_id) {
                    return fail(&format!("a result for {event_id}, which was not sent"));
                }
                if refused.contains(event_id) && !has_error {
                    return fail(&format!("{event_id} is taken, which nobody may accept"));
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(expect: &Expect, status: u16, body: &str) -> Option<String> {
        let response = Response::json_bytes(status, bytes::Bytes::copy_from_slice(body.as_bytes()));
        check("a lie", expect, &response, false, &mut Tally::default()).err().map(|failure| failure.evidence)
    }

    #[test]
    fn wrong_answers_are_caught() {
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let results = Expect::Results { ids: set(&["$a", "$b"]), refused: set(&["$b"]) };
        let refused = Expect::Refused(&["M_BAD_JSON"]);
        let check = |expect: &Expect, status, body, wrong: Option<&str>| match (complaint(expect, status, body), wrong)
        {
            (None, None) => {}
            (Some(found), Some(wrong)) => assert!(found.contains(wrong), "{found}"),
            (found, wrong) => panic!("{status} {body}: {found:?} for {wrong:?}"),
        };
        check(&results, 200, r#"{"pdus":{"$a":{},"$b":{"error":"no"}}}"#, None);
        check(&results, 200, r#"{"pdus":{}}"#, None);
        check(&results, 200, r#"{"pdus":{"$b":{}}}"#, Some("nobody may accept"));
        check(&results, 200, r#"{"pdus":{"$c":{}}}"#, Some("was not sent"));
        check(&results, 200, "{}", Some("no pdus"));
        check(&results, 429, r#"{"errcode":"M_LIMIT_EXCEEDED","error":"later"}"#, None);
        check(&results, 400, r#"{"errcode":"M_BAD_JSON","error":"no"}"#, Some("not the error"));
        check(&refused, 400, r#"{"errcode":"M_BAD_JSON","error":"no"}"#, None);
        check(&refused, 200, "{}", Some("not refused"));
        check(&refused, 400, r#"{"errcode":"M_BAD_JSON"}"#, Some("without errcode and error"));
        check(&Expect::NoFault, 500, r#"{"errcode":"M_UNKNOWN","error":"oh"}"#, Some("a fault of the server"));
        check(&Expect::NoFault, 200, "{", Some("not JSON"));
    }
}
