//! Rate limits (Client-Server API, "Rate limiting"): one bucket for each class of request and whoever sends it.
//!
//! A bucket is one number, the time at which it would be full again: a request moves it on by the time in which one
//! request's worth flows in, and is refused when that would lie further ahead than the whole bucket.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use super::request::{ClientRequest, Limit};
use crate::config::{Rate, RateLimits};
use crate::error::ApiError;
use crate::identifiers::UserId;
use crate::limits::MAX_RATE_BUCKETS;
use crate::time::Timestamp;

/// Whose requests count together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sender {
    User(UserId),
    /// An address, or the network of an IPv6 one: its last 64 bits are free to choose.
    Address([u8; 8]),
    /// The host did not say.
    Unknown,
}

/// The buckets, in two generations: when the younger is full, it becomes the elder, and what was in the elder and not used
/// since is forgotten.
#[derive(Debug, Default)]
pub struct RateLimiter {
    younger: Buckets,
    elder: Buckets,
}

/// In microseconds since the epoch: when each bucket is full again.
type Buckets = BTreeMap<(Limit, Sender), u64>;

impl RateLimiter {
    /// Counts a request, or refuses it with `429 M_LIMIT_EXCEEDED`.
    pub fn count(
        &mut self,
        rates: &RateLimits,
        now: Timestamp,
        limit: Limit,
        request: &ClientRequest,
    ) -> Result<(), ApiError> {
        let Some(rate) = rate_of(rates, limit).filter(|_| rates.enabled) else { return Ok(()) };
        let key = (limit, sender_of(limit, request));
        let full_at = self.younger.get(&key).or_else(|| self.elder.get(&key)).copied().unwrap_or(0);
        match take(rate, now, full_at) {
            Ok(full_at) => {
                self.put(key, full_at);
                Ok(())
            }
            Err(retry_after_ms) => {
                let error = ApiError::new(429, "M_LIMIT_EXCEEDED", "Too many requests; wait a moment");
                Err(error.with("retry_after_ms", retry_after_ms))
            }
        }
    }

    fn put(&mut self, key: (Limit, Sender), full_at: u64) {
        if self.younger.len() >= MAX_RATE_BUCKETS / 2 && !self.younger.contains_key(&key) {
            self.elder = core::mem::take(&mut self.younger);
        }
        self.younger.insert(key, full_at);
    }
}

/// Takes one request out of a bucket that is full again at `full_at`. When it is full after that, or the milliseconds to
/// wait if there is none to take.
fn take(rate: Rate, now: Timestamp, full_at: u64) -> Result<u64, u64> {
    let interval = 60_000_000 / u64::from(rate.per_minute.max(1));
    let whole = interval.saturating_mul(u64::from(rate.burst.max(1)));
    let now = now.0.saturating_mul(1000);
    let after = full_at.max(now).saturating_add(interval);
    match after.saturating_sub(now.saturating_add(whole)) {
        0 => Ok(after),
        ahead => Err(ahead.div_ceil(1000)),
    }
}

fn rate_of(rates: &RateLimits, limit: Limit) -> Option<Rate> {
    match limit {
        Limit::None => None,
        Limit::Message => Some(rates.message),
        Limit::Membership => Some(rates.membership),
        Limit::Registration => Some(rates.registration),
        Limit::Login => Some(rates.login),
        Limit::Write => Some(rates.write),
    }
}

fn sender_of(limit: Limit, request: &ClientRequest) -> Sender {
    let by_user = matches!(limit, Limit::Message | Limit::Membership | Limit::Write);
    match (&request.requester, request.raw.remote) {
        (Some(requester), _) if by_user => Sender::User(requester.user_id.clone()),
        (_, Some(address)) => Sender::Address(network(address)),
        (_, None) => Sender::Unknown,
    }
}

fn network(address: IpAddr) -> [u8; 8] {
    let mut out = [0; 8];
    match address.to_canonical() {
        IpAddr::V4(address) => out[4..].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => out.copy_from_slice(&address.octets()[..8]),
    }
    out
}

#[cfg(test)]
mod tests;
