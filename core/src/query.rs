//! Queries on other threads: the pure function that the host calls for `Effect::Query`.

use crate::client::request::{AskFirst, ClientRequest, Handler, QueryContext};
use crate::client::sync;
use crate::config::Config;
use crate::effect::Query;
use crate::error::ApiError;
use crate::http::Response;
use crate::input::RequestId;
use crate::router::{Found, Router};
use crate::store::Read;
use crate::time::Timestamp;

/// Answers `query` from `snapshot`, which must show every commit before the effect. Pure: any thread may run it.
#[must_use]
pub fn run(
    router: &Router,
    snapshot: &dyn Read,
    config: &Config,
    now: Timestamp,
    id: RequestId,
    query: &Query,
) -> Response {
    let Found::Route(route, params) = router.find(query.request.method, &query.request.path) else {
        return ApiError::unrecognized(404).response();
    };
    let context = QueryContext { read: snapshot, config, now };
    let mut request = ClientRequest::new(id, query.request.clone(), params);
    (request.requester, request.origin) = (query.requester.clone(), query.origin.clone());
    let answer = match route.handler {
        Handler::Query(handler) | Handler::HeavyQuery(handler) => handler(&context, &request),
        Handler::AskFirst(AskFirst { query: handler, .. }) => handler(&context, &request),
        Handler::Sync => sync::query(&context, &request, query.ephemeral.as_deref()),
        Handler::Step(_) | Handler::Flow(..) | Handler::Machine(_) => Err(ApiError::unrecognized(404)),
    };
    answer.unwrap_or_else(|error| error.response())
}
