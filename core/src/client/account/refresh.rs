//! `POST /refresh` (Client-Server API, "Refreshing access tokens").

use super::session;
use crate::canonical_json::Object;
use crate::client::request::{Answer, Auth, BodyExt as _, ClientRequest, Handler, Limit};
use crate::client::routes::Route;
use crate::flow::Step;
use crate::http::{Method, Response};

pub const ROUTES: &[Route] =
    &[Route::new(Method::Post, "/_matrix/client/v3/refresh", Auth::None, Limit::Write, Handler::Step(refresh))];

/// `POST /_matrix/client/v3/refresh`.
fn refresh(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let tokens = session::refresh(step, body.required_str("refresh_token")?)?;
    let mut answer = Object::new();
    tokens.describe(&mut answer);
    Ok(Response::json(200, &answer.into()))
}
