use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::ControlFlow;

use super::memory::Memory;
use super::*;
use crate::effect::{Batch, CommitId};
use crate::limits::{STORAGE_PATIENCE, UNDURABLE_COMMITS};
use crate::time::Timestamp;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn batch(writes: &[(&str, Option<&str>)]) -> Batch {
    Batch { writes: writes.iter().map(|(key, value)| (bytes(key), value.map(bytes))).collect() }
}

fn keys(view: &dyn Read, order: Order) -> Vec<(Bytes, Bytes)> {
    let mut out = Vec::new();
    view.scan(b"a", b"z", order, &mut |key, value| {
        out.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        ControlFlow::Continue(())
    })
    .unwrap();
    out
}

#[test]
fn the_overlay_wins_until_it_is_durable() {
    let mut storage = Memory::default();
    storage.0.insert(bytes("b"), Some(bytes("old")));
    storage.0.insert(bytes("d"), Some(bytes("old")));
    let mut overlay = Overlay::new(storage);
    overlay.push(CommitId(1), &batch(&[("a", Some("1")), ("b", Some("1")), ("d", None)]), Timestamp(1));
    overlay.push(CommitId(2), &batch(&[("b", Some("2")), ("e", Some("2"))]), Timestamp(2));

    let expected = [("a", "1"), ("b", "2"), ("e", "2")].map(|(key, value)| (bytes(key), bytes(value)));
    assert_eq!(keys(&overlay, Order::Ascending), expected);
    let mut reversed = expected.to_vec();
    reversed.reverse();
    assert_eq!(keys(&overlay, Order::Descending), reversed);

    // Commit 1 is durable, but the second still covers "b".
    for (key, value) in batch(&[("a", Some("1")), ("b", Some("1")), ("d", None)]).writes {
        overlay.storage_mut().0.insert(key, value);
    }
    overlay.durable(CommitId(1));
    assert_eq!(keys(&overlay, Order::Ascending), expected);
    assert_eq!(overlay.pending(), 1);
}

fn check_order(smaller: impl Key, larger: impl Key) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    smaller.write(&mut a);
    larger.write(&mut b);
    assert!(a < b, "{a:?} sorts before {b:?}");
}

#[test]
fn keys_sort_as_their_parts() {
    check_order(-1i64, 0i64);
    check_order(i64::MIN, -5i64);
    check_order(5u32, 300u32);
    check_order("a", "ab");
    check_order(("a", 9u8), ("ab", 1u8));
    check_order("a\0", "a\0b");
    check_order(("a", 1u8), ("a\0", 0u8));
}

#[test]
fn keys_read_back() {
    let mut out = Vec::new();
    ("x\0y", -7i64, 9u32).write(&mut out);
    let mut reader = KeyReader(&out);
    assert_eq!(<(alloc::string::String, i64, u32)>::read(&mut reader).unwrap(), ("x\0y".into(), -7, 9));
    assert!(reader.0.is_empty());
}

#[test]
fn a_host_is_behind_that_has_much_to_write_for_long_until_most_is_written() {
    let mut overlay = Overlay::new(Memory::default());
    let patience = STORAGE_PATIENCE.as_millis() as u64;
    let last = UNDURABLE_COMMITS as u64 + 1;
    (1..=last).for_each(|id| overlay.push(CommitId(id), &batch(&[("a", Some("1"))]), Timestamp(id)));
    assert!(!overlay.is_behind(Timestamp(patience)));
    assert!(overlay.is_behind(Timestamp(patience + 2)));
    overlay.durable(CommitId(last / 2));
    assert!(overlay.is_behind(Timestamp(patience + 2)));
    overlay.durable(CommitId(last - UNDURABLE_COMMITS as u64 / 4));
    assert!(!overlay.is_behind(Timestamp(2 * patience)));
    // It may have much to write, or for long.
    overlay.durable(CommitId(last));
    overlay.push(CommitId(last + 1), &batch(&[("a", Some("2"))]), Timestamp(1));
    assert!(!overlay.is_behind(Timestamp(2 * patience)));
}
