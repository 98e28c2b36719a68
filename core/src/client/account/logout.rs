//! Logout (Client-Server API, `POST /logout` and `POST /logout/all`).

use super::session;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit};
use crate::client::routes::Route;
use crate::flow::Step;
use crate::http::{Method, Response};

pub const ROUTES: &[Route] = &[
    Route::new(Method::Post, "/_matrix/client/v3/logout", Auth::Guest, Limit::None, Handler::Step(logout)),
    Route::new(Method::Post, "/_matrix/client/v3/logout/all", Auth::Guest, Limit::None, Handler::Step(logout_all)),
];

/// `POST /_matrix/client/v3/logout`.
fn logout(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let requester = request.requester();
    session::end(step, &requester.user_id, &requester.device_id)?;
    Ok(Response::empty())
}

/// `POST /_matrix/client/v3/logout/all`.
fn logout_all(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    session::end_all(step, request.user_id(), None)?;
    Ok(Response::empty())
}
