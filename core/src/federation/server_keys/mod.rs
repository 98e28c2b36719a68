//! The signing keys of servers (Server-Server API, "Retrieving server keys"): known ones from a table, others fetched, and what
//! was signed with them checked.

mod fetching;
mod known;
mod notary;
mod published;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::canonical_json::Object;
use crate::effect::Job;
use crate::error::ApiError;
use crate::event::POLICY_KEY_ID;
use crate::flow::{Cx, Step, join_all};
use crate::identifiers::{KeyId, ServerName};
use crate::input::Outcome;
use crate::limits::{
    KEY_FETCHES_AT_ONCE, KEYS_PATIENCE, MAX_SIGNATURES_CHECKED, SIGNATURE_JOBS_AT_ONCE, SIGNATURES_AT_ONCE,
};
use crate::signing::{SignedMessage, base64};
use crate::store::StorageError;
use crate::time::Timestamp;

use fetching::Want;
pub use notary::{Query, notarize};
pub use published::own_keys;

/// Something that a server is said to have signed.
#[derive(Clone, Debug, PartialEq)]
pub struct ToVerify {
    pub server: ServerName,
    /// What the object's `signatures` have of the server: signatures by key.
    pub signatures: Object,
    pub signed_bytes: Bytes,
    /// When the key must be valid: an event's `origin_server_ts`, or now for a request. `None` takes any key that was ever the
    /// server's, as room versions 1 to 4 do.
    pub valid_at: Option<Timestamp>,
}

/// Whether each of `items` is signed by its server, in their order. Keys that are not known are fetched, once per server; one
/// that cannot be had makes its items `false`.
pub async fn verify(cx: &Cx, items: Vec<ToVerify>) -> Result<Vec<bool>, ApiError> {
    let mut found = cx.step(|step| Ok(find_keys(step, &items)?))?;
    if !found.missing.is_empty() {
        let deadline = cx.now() + KEYS_PATIENCE;
        let fetches = found.missing.into_iter();
        let fetches = fetches.map(|(server, wanted)| fetching::fetch(cx, server, Want::Keys(wanted), deadline));
        for fetched in join_all(fetches, KEY_FETCHES_AT_ONCE).await {
            fetched?;
        }
        found = cx.step(|step| Ok(find_keys(step, &items)?))?;
        if !found.missing.is_empty() {
            notary::ask_notaries(cx, found.missing).await?;
            found = cx.step(|step| Ok(find_keys(step, &items)?))?;
        }
    }
    let mut good = alloc::vec![false; items.len()];
    let verdicts = check(cx, found.checks).await?;
    for (at, verdict) in found.places.into_iter().zip(verdicts) {
        good[at] |= verdict;
    }
    Ok(good)
}

/// Asks `server` for its list of keys, whatever is known, and checks that it has signed it.
pub async fn ask(cx: &Cx, server: &ServerName) -> Result<Object, String> {
    Ok(fetching::ask(cx, server).await?.object)
}

/// Checks signatures on the host's threads: many in several jobs side by side.
async fn check(cx: &Cx, mut messages: Vec<SignedMessage>) -> Result<Vec<bool>, ApiError> {
    let mut jobs = Vec::with_capacity(messages.len().div_ceil(SIGNATURES_AT_ONCE));
    while !messages.is_empty() {
        let rest = messages.split_off(messages.len().min(SIGNATURES_AT_ONCE));
        jobs.push(Job::Verify(messages));
        messages = rest;
    }
    let mut verdicts = Vec::new();
    for outcome in join_all(jobs.into_iter().map(|job| cx.compute(job)), SIGNATURE_JOBS_AT_ONCE).await {
        match outcome {
            Outcome::Verified(some) => verdicts.extend(some),
            _ => return Err(ApiError::internal("The server could not check signatures")),
        }
    }
    Ok(verdicts)
}

/// The keys that a server is sought for, and when each has to be valid.
type Wanted = BTreeSet<(KeyId, Option<Timestamp>)>;

/// What can be checked of some items.
struct Found {
    checks: Vec<SignedMessage>,
    /// The item that each check is of.
    places: Vec<usize>,
    /// The keys that are needed and not known: of each item all, unless one of them is.
    missing: BTreeMap<ServerName, Wanted>,
}

fn find_keys(step: &Step<'_>, items: &[ToVerify]) -> Result<Found, StorageError> {
    let mut found = Found { checks: Vec::new(), places: Vec::new(), missing: BTreeMap::new() };
    let mut keys = known::Keys::new(step);
    for (at, item) in items.iter().enumerate() {
        let mut wanted = Vec::new();
        let mut known = false;
        for (key_id, signature) in signatures(item) {
            match keys.find(&item.server, &key_id, item.valid_at)? {
                Some(public_key) => {
                    known = true;
                    found.checks.push(SignedMessage { public_key, message: item.signed_bytes.clone(), signature });
                    found.places.push(at);
                }
                None => wanted.push((key_id, item.valid_at)),
            }
        }
        if !known && !wanted.is_empty() && item.server != step.config.server_name {
            found.missing.entry(item.server.clone()).or_default().extend(wanted);
        }
    }
    Ok(found)
}

/// The signatures of the item's server by keys of the one known algorithm, decoded, at most [`MAX_SIGNATURES_CHECKED`]. A policy
/// server's are not by a key that it publishes, and others than these are looked at (Server-Server API, "Validating hashes and
/// signatures on received events").
fn signatures(item: &ToVerify) -> impl Iterator<Item = (KeyId, Bytes)> {
    item.signatures
        .iter()
        .filter(|(key_id, _)| *key_id != POLICY_KEY_ID)
        .filter_map(|(key_id, signature)| {
            let key_id = KeyId::parse(key_id).ok().filter(|key_id| key_id.algorithm() == "ed25519")?;
            Some((key_id, Bytes::from(base64::decode(signature.as_str()?).ok()?)))
        })
        .take(MAX_SIGNATURES_CHECKED)
}

#[cfg(test)]
mod tests;
