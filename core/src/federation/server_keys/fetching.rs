//! Fetching a server's keys from the server itself.

use alloc::format;
use alloc::string::String;

use super::published::Published;
use super::{Wanted, check, known};
use crate::canonical_json::Value;
use crate::error::ApiError;
use crate::federation::outgoing::{Outgoing, RemoteError, call_unsigned};
use crate::federation::remote_server;
use crate::flow::{Cx, Lane, Step};
use crate::identifiers::ServerName;
use crate::limits::{FIRST_KEYS_BACKOFF, MAX_KEYS_BACKOFF, MAX_SERVER_KEYS_ANSWER, SERVER_KEYS_TIMEOUT};
use crate::store::StorageError;

/// Fetches the keys of `server` unless all of `wanted` are known by now, or it did not have them a moment ago.
pub async fn fetch(cx: &Cx, server: ServerName, wanted: Wanted) -> Result<(), ApiError> {
    let _lane = cx.lane(Lane::ServerKeys(server.clone())).await;
    let started = cx.now();
    let is_due = cx.step(|step| {
        let waits = remote_server::get(step, &server)?.keys.waits(step.now).is_some();
        Ok(!waits && !has_all(step, &server, &wanted)?)
    })?;
    if !is_due {
        return Ok(());
    }
    // What went wrong is seen by what stays unknown.
    let published = ask(cx, &server).await.ok();
    cx.step(|step| {
        if let Some(published) = &published {
            known::store(step, published);
        }
        let (found, before) = (has_all(step, &server, &wanted)?, remote_server::get(step, &server)?.keys);
        if !found {
            let times = (started, step.now);
            let pauses = (FIRST_KEYS_BACKOFF, MAX_KEYS_BACKOFF);
            remote_server::update(step, &server, |row, random| row.keys.failed(times, pauses, random))?;
        } else if before != remote_server::Backoff::default() {
            remote_server::update(step, &server, |row, _| row.keys = remote_server::Backoff::default())?;
        }
        Ok(())
    })
}

fn has_all(step: &Step<'_>, server: &ServerName, wanted: &Wanted) -> Result<bool, StorageError> {
    for (key_id, valid_at) in wanted {
        if known::find(step, server, key_id, *valid_at)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `GET /_matrix/key/v2/server` of `server`, its signature checked.
async fn ask(cx: &Cx, server: &ServerName) -> Result<Published, String> {
    let request = Outgoing::get("/_matrix/key/v2/server").timeout(SERVER_KEYS_TIMEOUT).max_body(MAX_SERVER_KEYS_ANSWER);
    let answer = call_unsigned(cx, server, request).await.map_err(|error: RemoteError| format!("{error:?}"))?;
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
