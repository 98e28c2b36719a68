//! What the operator can have looked at from here: another server, as [`check`](crate::federation::check::check) describes it.
//! `orrery federation check` calls it.
//!
//! ```text
//! GET /_orrery/admin/v1/federation/check/{server}
//! ```

use alloc::boxed::Box;

use super::request::{Answer, Auth, ClientRequest, FlowFuture, Handler, Limit};
use super::routes::Route;
use crate::error::ApiError;
use crate::federation::check;
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::identifiers::ServerName;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_orrery/admin/v1/federation/check/{server}",
    Auth::Admin,
    Limit::None,
    Handler::Flow("check a server", start),
)];

fn start(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(run(cx, request))
}

async fn run(cx: Cx, request: ClientRequest) -> Answer {
    let server = ServerName::parse(request.param(0));
    let server = server.map_err(|error| ApiError::invalid_param(alloc::format!("{error}")))?;
    Ok(Response::json(200, &check::check(&cx, &server).await?.into()))
}
