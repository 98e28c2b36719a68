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
use crate::limits::{KEY_FETCHES_AT_ONCE, KEYS_PATIENCE, MAX_SIGNATURES_CHECKED};
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
    /// The object's `signatures`.
    pub object_signatures: Object,
    pub signed_bytes: Bytes,
    /// When the key must be valid: an event's `origin_server_ts`, or now for a request. `None` takes any key that was ever the
    /// server's, as room versions 1 to 4 do.
    pub valid_at: Option<Timestamp>,
}

/// Whether each of `items` is signed by its server, in their order. Keys that are not known are fetched, once per server; one
/// that cannot be had makes its items `false`.
pub async fn verify(cx: &Cx, items: Vec<ToVerify>) -> Result<Vec<bool>, ApiError> {
    let missing = cx.step(|step| Ok(missing_keys(step, &items)?))?;
    if !missing.is_empty() {
        let deadline = cx.now() + KEYS_PATIENCE;
        let fetches = missing.into_iter();
        let fetches = fetches.map(|(server, wanted)| fetching::fetch(cx, server, Want::Keys(wanted), deadline));
        for fetched in join_all(fetches, KEY_FETCHES_AT_ONCE).await {
            fetched?;
        }
        let missing = cx.step(|step| Ok(missing_keys(step, &items)?))?;
        if !missing.is_empty() {
            notary::ask_notaries(cx, missing).await?;
        }
    }
    let checks = cx.step(|step| {
        let mut checks: Vec<(usize, SignedMessage)> = Vec::new();
        for (at, item) in items.iter().enumerate() {
            for (key_id, signature) in signatures(item) {
                if let Some(key) = known::find(step, &item.server, &key_id, item.valid_at)? {
                    let (public_key, message) = (key, item.signed_bytes.clone());
                    checks.push((at, SignedMessage { public_key, message, signature }));
                }
            }
        }
        Ok(checks)
    })?;
    let mut good = alloc::vec![false; items.len()];
    let (places, messages): (Vec<usize>, Vec<SignedMessage>) = checks.into_iter().unzip();
    for (at, verdict) in places.into_iter().zip(check(cx, messages).await?) {
        good[at] |= verdict;
    }
    Ok(good)
}

/// Asks `server` for its list of keys, whatever is known, and checks that it has signed it.
pub async fn ask(cx: &Cx, server: &ServerName) -> Result<Object, String> {
    Ok(fetching::ask(cx, server).await?.object)
}

/// Checks signatures on the host's threads.
async fn check(cx: &Cx, messages: Vec<SignedMessage>) -> Result<Vec<bool>, ApiError> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    match cx.compute(Job::Verify(messages)).await {
        Outcome::Verified(verdicts) => Ok(verdicts),
        _ => Err(ApiError::internal("The server could not check signatures")),
    }
}

/// The keys that a server is sought for, and when each has to be valid.
type Wanted = BTreeSet<(KeyId, Option<Timestamp>)>;

/// The keys that are needed for `items` and not known: of each item all, unless one of them is.
fn missing_keys(step: &Step<'_>, items: &[ToVerify]) -> Result<BTreeMap<ServerName, Wanted>, StorageError> {
    let mut missing: BTreeMap<ServerName, Wanted> = BTreeMap::new();
    for item in items {
        let mut wanted = Vec::new();
        let mut known = false;
        for (key_id, _) in signatures(item) {
            known |= known::find(step, &item.server, &key_id, item.valid_at)?.is_some();
            wanted.push((key_id, item.valid_at));
        }
        if !known && !wanted.is_empty() && item.server != step.config.server_name {
            missing.entry(item.server.clone()).or_default().extend(wanted);
        }
    }
    Ok(missing)
}

/// The signatures of the item's server by keys of the one known algorithm, decoded, at most [`MAX_SIGNATURES_CHECKED`]. A policy
/// server's are not by a key that it publishes, and others than these are looked at (Server-Server API, "Validating hashes and
/// signatures on received events").
fn signatures(item: &ToVerify) -> impl Iterator<Item = (KeyId, Bytes)> {
    let of_server = item.object_signatures.object(&item.server);
    of_server
        .into_iter()
        .flat_map(Object::iter)
        .filter(|(key_id, _)| *key_id != POLICY_KEY_ID)
        .filter_map(|(key_id, signature)| {
            let key_id = KeyId::parse(key_id).ok().filter(|key_id| key_id.algorithm() == "ed25519")?;
            Some((key_id, Bytes::from(base64::decode(signature.as_str()?).ok()?)))
        })
        .take(MAX_SIGNATURES_CHECKED)
}

#[cfg(test)]
mod tests;
