//! The keys of this server, and of others as their notary (Server-Server API, "Retrieving server keys").

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use crate::canonical_json::{Object, Value};
use crate::client::request::{Answer, Auth, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::federation::server_keys::{self, Query};
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::{KeyId, ServerName};
use crate::limits::MAX_NOTARY_QUERY;
use crate::time::Timestamp;

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, "/_matrix/key/v2/server", Auth::None, Limit::None, Handler::Step(own_keys)),
    Route::new(
        Method::Get,
        "/_matrix/key/v2/query/{serverName}",
        Auth::None,
        Limit::None,
        Handler::Flow("pass on a server's keys", |cx, request| Box::pin(query_one(cx, request))),
    ),
    Route::new(
        Method::Post,
        "/_matrix/key/v2/query",
        Auth::None,
        Limit::None,
        Handler::Flow("pass on servers' keys", query_many),
    ),
];

/// `GET /_matrix/key/v2/server`.
fn own_keys(step: &mut Step<'_>, _: &ClientRequest) -> Answer {
    Ok(Response::json(200, &server_keys::own_keys(step.config, step.signing_key, step.now).into()))
}

/// `GET /_matrix/key/v2/query/{serverName}`.
async fn query_one(cx: Cx, request: ClientRequest) -> Answer {
    let server = server_name(request.param(0))?;
    let at_least = request.query_integer("minimum_valid_until_ts")?.map_or_else(|| cx.now(), Timestamp);
    answer(&cx, BTreeMap::from([(server, Query { keys: BTreeSet::new(), at_least })])).await
}

/// `POST /_matrix/key/v2/query`.
fn query_many(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let queries = parse(&request.object()?, cx.now())?;
        answer(&cx, queries).await
    })
}

async fn answer(cx: &Cx, queries: BTreeMap<ServerName, Query>) -> Answer {
    let lists = server_keys::notarize(cx, queries).await?;
    Ok(Response::json(200, &Object::new().with("server_keys", lists).into()))
}

fn parse(body: &Object, now: Timestamp) -> Result<BTreeMap<ServerName, Query>, ApiError> {
    let object = |value: Option<&Value>, what: &str| match value {
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(ApiError::bad_json(alloc::format!("{what} is not an object"))),
        None => Err(ApiError::missing_param(alloc::format!("{what} is missing"))),
    };
    let servers = object(body.get("server_keys"), "server_keys")?;
    if servers.len() > MAX_NOTARY_QUERY {
        return Err(ApiError::new(
            400,
            "M_LIMIT_EXCEEDED",
            alloc::format!("At most {MAX_NOTARY_QUERY} servers at once"),
        ));
    }
    let mut queries = BTreeMap::new();
    for (server, criteria) in servers.iter() {
        let criteria = object(Some(criteria), "What is asked of a server")?;
        let mut keys = BTreeSet::new();
        let mut at_least: Option<Timestamp> = None;
        for (key_id, criterion) in criteria.iter() {
            let criterion = object(Some(criterion), "What is asked of a key")?;
            let until = match criterion.get("minimum_valid_until_ts") {
                None => now,
                Some(until) => until
                    .as_integer()
                    .and_then(|millis| u64::try_from(millis).ok())
                    .map(Timestamp)
                    .ok_or_else(|| ApiError::bad_json("minimum_valid_until_ts is not a time"))?,
            };
            let key_id = KeyId::parse(key_id).map_err(|error| ApiError::invalid_param(alloc::format!("{error}")))?;
            keys.insert(key_id);
            at_least = at_least.max(Some(until));
        }
        queries.insert(server_name(server)?, Query { keys, at_least: at_least.unwrap_or(now) });
    }
    Ok(queries)
}

fn server_name(text: &str) -> Result<ServerName, ApiError> {
    ServerName::parse(text).map_err(|error| ApiError::invalid_param(alloc::format!("{error}")))
}

#[cfg(test)]
mod tests;
