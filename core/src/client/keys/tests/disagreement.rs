//! Servers that disagree about who is in a room: one takes it that it is told of every change, and the other knows of nobody to tell.

use alloc::format;

use super::super::testing::device_keys;
use super::restored::public_room;
use crate::http::Method::Post;
use crate::http::percent_encode;
use crate::testing::json;
use crate::testing::network::Net;

const A: &str = "a.test";
const B: &str = "b.test";

/// Whether Bob's server is told of Alice's devices when it comes into her room so many milliseconds after they have changed.
fn is_told_of_change(before: u64) -> bool {
    let mut net = Net::new(&[A, B]);
    let (alice, bob) = (net.server(A).register("alice"), net.server(B).register("bob"));
    let room = public_room(&mut net, A, &alice);
    net.ok(A, Post, "/_matrix/client/v3/keys/upload", &alice, json!({ "device_keys": (device_keys(&alice)) }));
    net.advance(before);
    net.log.clear();
    net.ok(B, Post, &format!("/_matrix/client/v3/join/{}?via={A}", percent_encode(&room)), &bob, json!({}));
    net.advance(2_000);
    net.log.iter().any(|line| line.contains(B) && line.contains("/send/"))
}

#[test]
fn whoever_comes_in_is_told_of_those_who_have_changed_lately() {
    assert!(is_told_of_change(2_000));
    assert!(is_told_of_change(23 * 3_600_000));
    assert!(!is_told_of_change(25 * 3_600_000));
}
