//! The keys of this server (Server-Server API, "Retrieving server keys").

use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit};
use crate::client::routes::Route;
use crate::federation::server_keys;
use crate::flow::Step;
use crate::http::{Method, Response};

pub const ROUTES: &[Route] =
    &[Route::new(Method::Get, "/_matrix/key/v2/server", Auth::None, Limit::None, Handler::Step(own_keys))];

/// `GET /_matrix/key/v2/server`.
fn own_keys(step: &mut Step<'_>, _: &ClientRequest) -> Answer {
    Ok(Response::json(200, &server_keys::own_keys(step.config, step.signing_key, step.now).into()))
}
