//! `GET /_matrix/federation/v1/openid/userinfo` (Server-Server API, "OpenID"). Whoever asks is no Matrix server, and signs
//! nothing.

use crate::canonical_json::Object;
use crate::client::openid;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::{Method, Response};

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/federation/v1/openid/userinfo",
    Auth::None,
    Limit::None,
    Handler::Query(userinfo),
)];

fn userinfo(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let Some(token) = request.query("access_token") else {
        return Err(ApiError::new(401, "M_MISSING_TOKEN", "The request has no access token"));
    };
    match openid::user_of(context.read, context.config, context.now, token)? {
        Some(user_id) => Ok(Response::json(200, &Object::new().with("sub", &user_id).into())),
        None => Err(ApiError::new(401, "M_UNKNOWN_TOKEN", "The token is not known, or no longer good")),
    }
}
