//! `GET /_matrix/federation/v1/version` (Server-Server API, "Server implementation").

use crate::canonical_json::Object;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::http::{Method, Response};

pub const ROUTES: &[Route] =
    &[Route::new(Method::Get, "/_matrix/federation/v1/version", Auth::None, Limit::None, Handler::Query(version))];

fn version(_: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    let server = Object::new().with("name", "Orrery").with("version", env!("CARGO_PKG_VERSION"));
    Ok(Response::json(200, &Object::new().with("server", server).into()))
}
