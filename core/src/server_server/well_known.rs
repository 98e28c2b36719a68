//! `GET /.well-known/matrix/server` (Server-Server API, "Resolving server names"): where other servers find this one.

use crate::canonical_json::Object;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::{Method, Response};

pub const ROUTES: &[Route] =
    &[Route::new(Method::Get, "/.well-known/matrix/server", Auth::None, Limit::None, Handler::Query(well_known))];

fn well_known(context: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    match context.config.federation.delegate.as_deref() {
        Some(delegate) => Ok(Response::json(200, &Object::new().with("m.server", delegate).into())),
        None => Err(ApiError::not_found("This server delegates to no other")),
    }
}

#[cfg(test)]
mod tests;
