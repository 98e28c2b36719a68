use super::*;
use crate::failure::assert_complaint;

fn device() -> Address {
    ("@u:s".to_owned(), "A".to_owned())
}

/// A device that has uploaded keys, each so many times, and a fallback key.
fn keys(uploads: &[(&str, u32)]) -> OneTimeKeys {
    let mut keys = OneTimeKeys::default();
    for (id, uploads) in uploads {
        keys.upload(&device(), id, format!("key {id}"), false, Time(1));
        keys.uploaded(&device(), id, *uploads, Time(2));
    }
    keys.upload(&device(), "f", "key f".to_owned(), true, Time(1));
    keys
}

/// Claims that got these keys, each at its first attempt.
fn check(uploads: &[(&str, u32)], claims: &[Option<&str>], complaint: Option<&str>) {
    let mut keys = keys(uploads);
    let mut result = Ok(());
    for (at, id) in (10..).zip(claims) {
        let claim = keys.claim(&device(), false);
        let content = format!("key {}", id.unwrap_or_default());
        let got = id.map(|id| (id, content.as_str()));
        result = result.and_then(|()| keys.claimed(&device(), claim, 1, Some(got), (Time(at), Time(at + 1))));
    }
    assert_complaint(result, complaint);
}

#[test]
fn each_key_is_handed_out_once_and_before_the_fallback_key() {
    check(&[("a", 1), ("b", 1)], &[Some("a"), Some("b"), Some("f"), Some("f")], None);
    check(&[("a", 1), ("b", 1)], &[Some("a"), Some("a")], Some("was handed out at"));
    check(&[("a", 2)], &[Some("a"), Some("a")], None);
    check(&[("a", 2)], &[Some("a"), Some("a"), Some("a")], Some("was handed out at"));
    check(&[("a", 1)], &[Some("f")], Some("a fallback key"));
    check(&[("a", 1)], &[None], Some("none was handed out"));
    check(&[("a", 1)], &[Some("x")], Some("has no key"));
}

#[test]
fn a_wrong_count_is_caught() {
    let mut keys = keys(&[("a", 1), ("b", 1)]);
    let count = |keys: &OneTimeKeys, count| keys.check_count(&device(), count, (Time(20), Time(21))).is_ok();
    assert!(count(&keys, 2) && !count(&keys, 1) && !count(&keys, 3));
    let claim = keys.claim(&device(), false);
    // While somebody asks, one or the other.
    assert!(count(&keys, 2) && count(&keys, 1));
    keys.claimed(&device(), claim, 1, Some(Some(("a", "key a"))), (Time(3), Time(4))).unwrap();
    assert!(count(&keys, 1) && !count(&keys, 2) && !count(&keys, 0));
    // Of attempts without an answer nobody knows what they took.
    let claim = keys.claim(&device(), false);
    keys.claimed(&device(), claim, 1, None, (Time(5), Time(6))).unwrap();
    assert!(count(&keys, 1) && count(&keys, 0));
}
