//! Fetching a server's keys from the server itself.

use alloc::string::{String, ToString};

use super::known::{self, Source};
use super::published::Published;
use super::{Wanted, check};
use crate::canonical_json::Value;
use crate::error::ApiError;
use crate::federation::outgoing::{Outgoing, call_unsigned};
use crate::federation::remote_server::{self, Backoff};
use crate::flow::{Cx, Lane, Step};
use crate::identifiers::ServerName;
use crate::limits::{FIRST_KEYS_BACKOFF, MAX_KEYS_BACKOFF, MAX_SERVER_KEYS_ANSWER, SERVER_KEYS_TIMEOUT};
use crate::store::StorageError;
use crate::time::Timestamp;

/// What a fetch is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    Keys(Wanted),
    /// A list to pass on: with these keys, valid until then at least, and with half of its life before it.
    Fresh(Wanted, Timestamp),
}

/// Fetches the keys of `server` unless there is what is wanted by now, or the server did not have it a moment ago, or it is
/// after `deadline`.
pub async fn fetch(cx: &Cx, server: ServerName, want: Want, deadline: Timestamp) -> Result<(), ApiError> {
    let _lane = cx.lane(Lane::ServerKeys(server.clone())).await;
    let started = cx.now();
    let is_due = cx.step(|step| {
        let waits = remote_server::get(step, &server)?.keys.waits(step.now).is_some();
        Ok(!waits && !is_there(step, &server, &want)?)
    })?;
    if !is_due || started >= deadline {
        return Ok(());
    }
    // What went wrong is seen by what stays unknown.
    let published = ask(cx, &server).await.ok();
    cx.step(|step| {
        if let Some(published) = &published {
            known::store(step, published, Source::Server)?;
        }
        let before = remote_server::get(step, &server)?.keys;
        if !is_there(step, &server, &want)? {
            let times = (started, step.now);
            let pauses = (FIRST_KEYS_BACKOFF, MAX_KEYS_BACKOFF);
            remote_server::update(step, &server, |row, random| row.keys.failed(times, pauses, random))?;
        } else if before != Backoff::default() {
            remote_server::update(step, &server, |row, _| row.keys = Backoff::default())?;
        }
        Ok(())
    })
}

fn is_there(step: &Step<'_>, server: &ServerName, want: &Want) -> Result<bool, StorageError> {
    let (Want::Keys(wanted) | Want::Fresh(wanted, _)) = want;
    for (key_id, valid_at) in wanted {
        if known::find(step, server, key_id, *valid_at)?.is_none() {
            return Ok(false);
        }
    }
    let Want::Fresh(_, at_least) = want else { return Ok(true) };
    let is_fresh = |answer: known::StoredAnswer| {
        let half = answer.valid_until.since(answer.fetched) / 2;
        *at_least <= answer.valid_until && step.now.since(answer.fetched) <= half
    };
    Ok(known::answer(step, server)?.is_some_and(is_fresh))
}

/// `GET /_matrix/key/v2/server` of `server`, its signature checked.
pub async fn ask(cx: &Cx, server: &ServerName) -> Result<Published, String> {
    let request = Outgoing::get("/_matrix/key/v2/server").timeout(SERVER_KEYS_TIMEOUT).max_body(MAX_SERVER_KEYS_ANSWER);
    let answer = call_unsigned(cx, server, request).await.map_err(|error| error.to_string())?;
    let Value::Object(object) = answer else { return Err(String::from("it is not an object")) };
    let published = Published::parse(object)?;
    if published.server != *server {
        return Err(String::from("it is another server's"));
    }
    let signatures = published.self_signatures();
    if signatures.is_empty() {
        return Err(String::from("it is not signed with one of its keys"));
    }
    let verdicts = check(cx, signatures).await.map_err(|error| error.message)?;
    if verdicts.contains(&false) {
        return Err(String::from("its signature does not match"));
    }
    Ok(published)
}
