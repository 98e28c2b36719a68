//! When two failures are the same: of one kind, found by one checker, and told in the same words. Without the last a plan would
//! slip from the bug that it was shrunk for to another one.

use crate::failure::{Failure, Kind};

/// What failures that are the same have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub kind: Kind,
    pub checker: &'static str,
    /// The words of the evidence, without what has another name or another number in each world.
    words: String,
}

impl Class {
    #[must_use]
    pub fn of(failure: &Failure) -> Class {
        let words = match failure.kind {
            Kind::Crash => place(&failure.evidence).to_owned(),
            Kind::Determinism => String::new(),
            Kind::Liveness | Kind::Safety => words(&failure.evidence),
        };
        Class { kind: failure.kind, checker: failure.checker, words }
    }
}

/// Where the core panicked. What it says there may differ.
fn place(evidence: &str) -> &str {
    let file = evidence.find(".rs:").map_or(0, |at| at + 4);
    let line = evidence[file..].find(|c: char| !c.is_ascii_digit()).map_or(evidence.len(), |end| file + end);
    &evidence[..line]
}

/// The plain words of the first line: nothing in brackets or quotes, and nothing with a digit or a sigil. What was expected of a
/// register has as many answers as there were writes.
fn words(evidence: &str) -> String {
    let line = evidence.lines().next().unwrap_or_default();
    let (mut plain, mut depth, mut quoted) = (String::new(), 0u32, false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_alphabetic() || "_/'".contains(c)) && !word.is_empty();
    let trimmed = plain.split_whitespace().map(|word| word.trim_matches([',', ':', ';', '.']));
    let told = trimmed.take_while(|word| *word != "expected");
    told.filter(is_word).filter(|word| !["Some", "None"].contains(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_make_no_difference() {
        let check = |evidence: &str, expected: &str| assert_eq!(words(evidence), expected);
        check(
            "Membership { user: 0, room: \"!y9V:s0.test\" }: read join, expected leave or ban",
            "Membership read join",
        );
        check("event $abc of room !r:s1.test came twice", "event of room came twice");
        check(
            "!r: (\"m.room.member\", \"@u:s\") is Some(\"$a\") on server 0 and None on server 1\n  server 0: told",
            "is on server and on server",
        );
        check("operation 17 was applied twice", "operation was applied twice");
        check("server 0 has waiting flows: [(FlowId(3), \"join\")]", "server has waiting flows");
        check("an unclosed { brace", "an unclosed");
    }

    #[test]
    fn a_panic_is_where_it_was() {
        let class = |evidence: &str| {
            Class::of(&Failure { kind: Kind::Crash, checker: "panic", evidence: evidence.to_owned() }).words
        };
        let panic = "panicked at core/src/room/append.rs:71:9: ";
        assert_eq!(class(&format!("{panic}3 is not 4")), class(&format!("{panic}5 is not 6")));
        assert_ne!(class(panic), class("panicked at core/src/room/append.rs:72:9: "));
        assert_eq!(class(panic), "panicked at core/src/room/append.rs:71");
    }
}
