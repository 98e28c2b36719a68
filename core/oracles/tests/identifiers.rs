//! Generated identifiers, judged by Orrery and by `ruma-common`; `src/identifiers.rs` says where the two differ, and why.
#![allow(clippy::unwrap_used)] // the helpers of tests may

use orrery_core::identifiers::is_strict_localpart;
use orrery_oracles::identifiers::{KINDS, explained, ours, theirs};
use orrery_oracles::random::Random;

fn pieces(random: &mut Random, from: &[&str], most: usize) -> String {
    (0..random.below(most + 1)).map(|_| random.pick(from)).collect()
}

fn server_name(random: &mut Random) -> String {
    const HOSTS: &[&str] = &["a", "Z", "0", "-", ".", "example", ".org", "127.0.0.1", "_", "é", " ", "%", "@"];
    const ADDRESSES: &[&str] = &["::", ":", "1", "ffff", "1.2.3.4", "0", "g", "%eth0", "[", "]", "00000"];
    let host = match random.below(3) {
        0 => format!("[{}]", pieces(random, ADDRESSES, 9)),
        // Mostly good ones.
        1 => pieces(random, &HOSTS[..8], 6),
        _ => pieces(random, HOSTS, 6),
    };
    let port = match random.below(3) {
        0 => format!(":{}", pieces(random, &["0", "1", "9", "65535", "+", "-", "a", ":"], 3)),
        1 => format!(":{}", random.below(100_000)),
        _ => String::new(),
    };
    host + &port
}

fn localpart(random: &mut Random) -> String {
    const GOOD: &[&str] = &["a", "z", "0", "_", "=", "-", "/", "+", "."];
    const ANY: &[&str] = &["a", "A", "é", "日", " ", "\u{1}", "\u{7f}", "\0", ":", "@", "#", "!", "~", "{", "😀"];
    if random.below(2) == 0 { pieces(random, GOOD, 9) } else { pieces(random, ANY, 5) }
}

fn text(random: &mut Random) -> String {
    let sigil = random.pick(&["@", "#", "!", "$", "mxc://", "mxc://", ""]);
    let rest = match random.below(4) {
        0 => localpart(random),
        1 => format!("{}/{}", server_name(random), pieces(random, &["a", "Z", "0", "_", "-", "é", "/", ".", "%"], 5)),
        2 => server_name(random),
        _ => format!("{}:{}", localpart(random), server_name(random)),
    };
    let long = if random.below(50) == 0 { "a".repeat(240 + random.below(20)) } else { String::new() };
    format!("{sigil}{long}{rest}")
}

#[test]
fn the_same_texts_are_identifiers() {
    let mut random = Random::new(1);
    let (mut accepted, mut differ) = ([0; KINDS.len()], 0);
    for _ in 0..100_000 {
        let text = text(&mut random);
        for kind in KINDS {
            let (ours, theirs) = (ours(kind, &text), theirs(kind, &text));
            accepted[kind as usize] += u32::from(ours);
            if ours != theirs {
                assert!(explained(kind, &text, ours).is_some(), "{kind:?} {text:?}: ours {ours}, theirs {theirs}");
                differ += 1;
            }
        }
    }
    assert!(accepted.iter().all(|&accepted| accepted > 250), "{accepted:?}");
    assert!(differ < 10_000, "{differ}");
}

#[test]
fn the_same_localparts_may_be_created() {
    let mut random = Random::new(2);
    for _ in 0..20_000 {
        let localpart = localpart(&mut random);
        let user = format!("@{localpart}:example.org");
        let theirs = <&ruma_common::UserId>::try_from(user.as_str()).is_ok_and(|user| user.validate_strict().is_ok());
        assert_eq!(is_strict_localpart(&localpart), theirs, "{localpart:?}");
    }
}
