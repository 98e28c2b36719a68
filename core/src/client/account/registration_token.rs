//! Registration tokens (Client-Server API, "Token-authenticated registration"): configured by the operator, counted here.

use super::access_token::hash;
use crate::canonical_json::Object;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::config::Config;
use crate::error::ApiError;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::store::tables::{Table, tags};
use crate::store::{Read, StorageError};

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/client/v1/register/m.login.registration_token/validity",
    Auth::None,
    Limit::Registration,
    Handler::Query(validity),
)];

/// The completed registrations of each token, by its SHA-256.
const USES: Table<[u8; 32], u32> = Table::new(tags::REGISTRATION_TOKEN);

/// Whether somebody may register with `token` now.
pub fn is_valid(config: &Config, read: &(impl Read + ?Sized), token: &str) -> Result<bool, StorageError> {
    let Some(known) = config.registration.tokens.iter().find(|known| known.token.is(token)) else { return Ok(false) };
    let Some(limit) = known.uses else { return Ok(true) };
    Ok(USES.get(read, hash(token))?.unwrap_or(0) < limit)
}

/// Counts a registration. Between the check and this the token may have run out.
pub fn count_use(step: &mut Step<'_>, token: &str) -> Result<(), ApiError> {
    if !is_valid(step.config, step, token)? {
        return Err(ApiError::forbidden("The registration token has run out"));
    }
    let uses = USES.get(step, hash(token))?.unwrap_or(0);
    USES.put(step, hash(token), &uses.saturating_add(1));
    Ok(())
}

/// `GET /_matrix/client/v1/register/m.login.registration_token/validity`.
fn validity(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let registration = &context.config.registration;
    if !registration.open && registration.tokens.is_empty() {
        return Err(ApiError::forbidden("Registration is not enabled on this server"));
    }
    let Some(token) = request.query("token") else {
        return Err(ApiError::missing_param("The query parameter token is missing"));
    };
    let valid = is_valid(context.config, context.read, token)?;
    Ok(Response::json(200, &Object::new().with("valid", valid).into()))
}
