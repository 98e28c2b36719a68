use alloc::format;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::http::Method::{Get, Post, Put};
use crate::testing::{PASSWORD, Server, json};

fn server(change: impl FnOnce(&mut RateLimits)) -> Server {
    Server::with(|config| {
        config.rate_limits.enabled = true;
        change(&mut config.rate_limits);
    })
}

#[test]
fn a_bucket_empties_and_fills() {
    let rate = Rate { per_minute: 60, burst: 3 };
    let start = Timestamp(1_700_000_000_000);
    let mut full_at = 0;
    for _ in 0..3 {
        full_at = take(rate, start, full_at).unwrap();
    }
    assert_eq!(take(rate, start, full_at), Err(1000));
    assert_eq!(take(rate, Timestamp(start.0 + 999), full_at), Err(1));
    let full_at = take(rate, Timestamp(start.0 + 1000), full_at).unwrap();
    assert_eq!(take(rate, Timestamp(start.0 + 1000), full_at), Err(1000));
    // After long idleness it is full, and no fuller.
    let later = Timestamp(start.0 + 1_000_000);
    let mut full_at = full_at;
    for _ in 0..3 {
        full_at = take(rate, later, full_at).unwrap();
    }
    assert_eq!(take(rate, later, full_at), Err(1000));
}

#[test]
fn rates_of_zero_and_huge_ones_are_no_fault() {
    let now = Timestamp(u64::MAX);
    assert!(take(Rate { per_minute: 0, burst: 0 }, Timestamp(1), 0).is_ok());
    assert!(take(Rate { per_minute: u32::MAX, burst: u32::MAX }, now, u64::MAX).is_ok());
}

#[test]
fn users_are_limited_one_by_one_and_told_when_to_come_back() {
    let mut server = server(|rates| rates.write = Rate { per_minute: 60, burst: 2 });
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let path = |user: &crate::testing::User| format!("/_matrix/client/v3/user/{}/account_data/a", user.user_id);
    for _ in 0..2 {
        server.ok(Put, &path(&alice), &alice, json!({}));
    }
    let id = server.start(Put, &path(&alice), &alice, json!({}));
    let response = server.take_response(id).unwrap();
    assert_eq!(response.status, 429);
    assert!(response.headers.contains(&("retry-after".into(), "1".into())));
    let answer = server.fails(Put, &path(&alice), &alice, json!({}), 429, "M_LIMIT_EXCEEDED");
    assert_eq!(answer.get("retry_after_ms"), Some(&json!(1000)));
    server.ok(Put, &path(&bob), &bob, json!({}));
    server.ok(Get, &path(&alice), &alice, ());
    server.advance(1000);
    server.ok(Put, &path(&alice), &alice, json!({}));
}

#[test]
fn strangers_are_limited_by_network() {
    let mut server = server(|rates| rates.login = Rate { per_minute: 1, burst: 1 });
    server.register("alice");
    let mut check = |address: IpAddr, status: u16| {
        server.remote = Some(address);
        let body = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD });
        assert_eq!(server.call(Post, "/_matrix/client/v3/login", (), body).0, status, "{address}");
    };
    check(Ipv4Addr::new(192, 0, 2, 1).into(), 200);
    check(Ipv4Addr::new(192, 0, 2, 2).into(), 200);
    check(Ipv4Addr::new(192, 0, 2, 1).into(), 429);
    check(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into(), 429);
    check(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1).into(), 200);
    check(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9).into(), 429);
    check(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1).into(), 200);
}

#[test]
fn buckets_are_bounded() {
    let mut limiter = RateLimiter::default();
    for i in 0..MAX_RATE_BUCKETS as u64 * 3 {
        limiter.put((Limit::Login, Sender::Address(i.to_be_bytes())), i);
    }
    assert!(limiter.younger.len() + limiter.elder.len() <= MAX_RATE_BUCKETS);
}
