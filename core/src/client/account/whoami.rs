//! `GET /account/whoami` (Client-Server API, "Current account information").

use crate::canonical_json::Object;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::http::{Method, Response};

pub const ROUTES: &[Route] =
    &[Route::new(Method::Get, "/_matrix/client/v3/account/whoami", Auth::Guest, Limit::None, Handler::Query(whoami))];

/// `GET /_matrix/client/v3/account/whoami`.
fn whoami(_: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let requester = request.requester();
    let answer = Object::new()
        .with("user_id", &requester.user_id)
        .with("device_id", &requester.device_id)
        .with("is_guest", requester.guest);
    Ok(Response::json(200, &answer.into()))
}
