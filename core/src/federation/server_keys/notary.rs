//! Keys that pass through a third server (Server-Server API, "Querying Keys Through Another Server"): this one as the notary, and
//! others as this one's.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::fetching::{self, Want};
use super::known::{self, Source};
use super::published::{Published, own_keys};
use super::{Wanted, check};
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::federation::outgoing::{Outgoing, call_unsigned};
use crate::federation::remote_server::{self, Backoff};
use crate::flow::{Cx, Lane, join_all};
use crate::identifiers::{KeyId, ServerName};
use crate::limits::{
    FIRST_NOTARY_BACKOFF, KEY_FETCHES_AT_ONCE, KEYS_PATIENCE, MAX_NOTARY_BACKOFF, MAX_NOTARY_QUERY, SERVER_KEYS_TIMEOUT,
};
use crate::signing::{self, SignedMessage};
use crate::time::Timestamp;

/// What somebody wants to know of one server's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Key IDs that are to be among them.
    pub keys: BTreeSet<KeyId>,
    /// Until when the list should be valid.
    pub at_least: Timestamp,
}

/// The lists of `queries`, signed by their servers and by this one. A server that cannot be reached and was never heard of is
/// left out; of one that was, there is the last list it gave.
pub async fn notarize(cx: &Cx, queries: BTreeMap<ServerName, Query>) -> Result<Vec<Value>, ApiError> {
    let own = cx.step(|step| Ok(step.config.server_name.clone()))?;
    let deadline = cx.now() + KEYS_PATIENCE;
    let fetches = queries.iter().filter(|(server, _)| **server != own).map(|(server, query)| {
        // A key that is not a current one any more is as good as it will ever be.
        let wanted: Wanted = query.keys.iter().map(|key_id| (key_id.clone(), None)).collect();
        fetching::fetch(cx, server.clone(), Want::Fresh(wanted, query.at_least), deadline)
    });
    for fetched in join_all(fetches, KEY_FETCHES_AT_ONCE).await {
        fetched?;
    }
    cx.step(|step| {
        let mut lists = Vec::new();
        for server in queries.keys() {
            if *server == own {
                lists.push(own_keys(step.config, step.signing_key, step.now).into());
            } else if let Some(answer) = known::answer(step, server)? {
                let mut list = answer.object()?;
                let key = step.signing_key;
                if signing::sign_json(&mut list, &own, key).is_ok() {
                    lists.push(list.into());
                }
            }
        }
        Ok(lists)
    })
}

/// Asks the configured notaries for keys that their servers did not give.
pub async fn ask_notaries(cx: &Cx, mut missing: BTreeMap<ServerName, Wanted>) -> Result<(), ApiError> {
    let notaries = cx.step(|step| Ok(step.config.federation.notaries.clone()))?;
    if notaries.is_empty() {
        return Ok(());
    }
    // Whoever else wants a key meanwhile waits for it. All take the lanes in one order, so nobody waits in a circle.
    let mut lanes = Vec::with_capacity(missing.len());
    for server in missing.keys() {
        lanes.push(cx.lane(Lane::NotarisedKeys(server.clone())).await);
    }
    cx.step(|step| {
        let mut due = BTreeMap::new();
        for (server, wanted) in core::mem::take(&mut missing) {
            let mut is_missing = false;
            for (key_id, valid_at) in &wanted {
                is_missing |= known::find(step, &server, key_id, *valid_at)?.is_none();
            }
            let waits = remote_server::get(step, &server)?.notaries.waits(step.now).is_some();
            if is_missing && !waits && due.len() < MAX_NOTARY_QUERY {
                let (times, pauses) = ((step.now, step.now), (FIRST_NOTARY_BACKOFF, MAX_NOTARY_BACKOFF));
                remote_server::update(step, &server, |row, random| row.notaries.failed(times, pauses, random))?;
                due.insert(server, wanted);
            }
        }
        missing = due;
        Ok(())
    })?;
    for notary in notaries {
        if missing.is_empty() {
            break;
        }
        for list in ask_notary(cx, &notary, &missing).await.unwrap_or_default() {
            cx.step(|step| {
                known::store(step, &list, Source::Notary)?;
                let mut is_missing = false;
                for (key_id, valid_at) in missing.get(&list.server).into_iter().flatten() {
                    is_missing |= known::find(step, &list.server, key_id, *valid_at)?.is_none();
                }
                if !is_missing {
                    remote_server::update(step, &list.server, |row, _| row.notaries = Backoff::default())?;
                    missing.remove(&list.server);
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// `POST /_matrix/key/v2/query`: the lists that are signed by the notary and by their own servers.
async fn ask_notary(
    cx: &Cx,
    notary: &ServerName,
    missing: &BTreeMap<ServerName, Wanted>,
) -> Result<Vec<Published>, String> {
    let criteria = |wanted: &Wanted| -> Object {
        let of_key = |(key_id, valid_at): &(KeyId, Option<Timestamp>)| {
            let until = Object::new().with("minimum_valid_until_ts", valid_at.unwrap_or_default());
            (String::from(key_id.clone()), until)
        };
        wanted.iter().map(of_key).collect()
    };
    let servers: Object = missing.iter().map(|(server, wanted)| (server.as_str(), criteria(wanted))).collect();
    let content = Object::new().with("server_keys", servers);
    // The notary may have to ask them all.
    let timeout = SERVER_KEYS_TIMEOUT + Duration::from_secs(20);
    let request = Outgoing::post("/_matrix/key/v2/query", content.into()).timeout(timeout);
    let answer = call_unsigned(cx, notary, request).await.map_err(|error| error.to_string())?;
    let lists = answer.get("server_keys").and_then(Value::as_array).unwrap_or_default();
    let mut lists: Vec<Published> = lists
        .iter()
        .filter_map(|list| Published::parse(list.as_object()?.clone()).ok())
        .filter(|list| missing.contains_key(&list.server))
        .take(MAX_NOTARY_QUERY)
        .collect();
    let used: Wanted = lists
        .iter()
        .flat_map(|list| signing::signing_key_ids(&list.object, notary))
        .map(|key_id| (key_id, Some(cx.now())))
        .take(1)
        .collect();
    let deadline = cx.now() + SERVER_KEYS_TIMEOUT;
    fetching::fetch(cx, notary.clone(), Want::Keys(used), deadline).await.map_err(|error| error.message)?;
    let checks = cx.step(|step| {
        let now = Some(step.now);
        Ok(lists
            .iter()
            .map(|list| {
                let by_notary =
                    list.signatures_by(notary, |key_id| known::find(step, notary, key_id, now).ok().flatten());
                (list.self_signatures(), by_notary)
            })
            .collect::<Vec<(Vec<SignedMessage>, Vec<SignedMessage>)>>())
    });
    let checks = checks.map_err(|error| error.message)?;
    let counts: Vec<(usize, usize)> = checks.iter().map(|(own, notary)| (own.len(), notary.len())).collect();
    let messages = checks.into_iter().flat_map(|(own, notary)| own.into_iter().chain(notary)).collect();
    let mut verdicts = check(cx, messages).await.map_err(|error| error.message)?.into_iter();
    let mut counts = counts.into_iter();
    lists.retain(|_| {
        let (own, notary) = counts.next().expect("each list has its counts");
        let good = verdicts.by_ref().take(own + notary).filter(|good| *good).count();
        own > 0 && notary > 0 && good == own + notary
    });
    Ok(lists)
}

impl known::StoredAnswer {
    fn object(&self) -> Result<Object, ApiError> {
        match canonical_json::parse(&self.text) {
            Ok(Value::Object(object)) => Ok(object),
            _ => Err(crate::store::StorageError("a list of keys is not an object".into()).into()),
        }
    }
}
