//! OpenID tokens (Client-Server API, "OpenID"): a user shows a third party who they are, without letting it into the account.
//! The third party exchanges the token by the Server-Server API.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::account::access_token::hash;
use super::account::accounts;
use super::request::{Answer, Auth, ClientRequest, Handler, Limit};
use super::routes::Route;
use crate::canonical_json::Object;
use crate::config::Config;
use crate::error::ApiError;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::limits::{MAX_OPENID_TOKENS, OPENID_TOKEN_LIFETIME};
use crate::store::tables::{Table, tags};
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/user/{userId}/openid/request_token",
    Auth::Required,
    Limit::Write,
    Handler::Step(request_token),
)];

/// What every token begins with, before its user's localpart.
const PREFIX: &str = "oryo_";

/// A token that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OpenIdToken {
    hash: [u8; 32],
    expires: Timestamp,
}

/// The tokens of each user, oldest first: at most [`MAX_OPENID_TOKENS`], of which a new one drops the oldest.
const OPENID_TOKENS: Table<UserId, Vec<OpenIdToken>> = Table::new(tags::OPENID_TOKEN);

/// `POST /_matrix/client/v3/user/{userId}/openid/request_token`.
fn request_token(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    request.object_or_empty()?;
    let user_id = request.user_id();
    if request.param(0) != user_id.as_str() {
        return Err(ApiError::forbidden("You may not ask for a token in the name of others"));
    }
    // The user is part of the token, which is how it is found again.
    let token = alloc::format!("{PREFIX}{}_{}", user_id.localpart(), step.random.token(32));
    let mut tokens = OPENID_TOKENS.get(step, user_id)?.unwrap_or_default();
    tokens.retain(|token| step.now < token.expires);
    if tokens.len() >= MAX_OPENID_TOKENS {
        tokens.remove(0);
    }
    tokens.push(OpenIdToken { hash: hash(&token), expires: step.now + OPENID_TOKEN_LIFETIME });
    OPENID_TOKENS.put(step, user_id, &tokens);
    let answer = Object::new()
        .with("access_token", token)
        .with("token_type", "Bearer")
        .with("matrix_server_name", &step.config.server_name)
        .with("expires_in", OPENID_TOKEN_LIFETIME.as_secs());
    Ok(Response::json(200, &answer.into()))
}

/// Whose token this is; `None` if it is not good, or no longer.
pub fn user_of(
    read: &(impl Read + ?Sized),
    config: &Config,
    now: Timestamp,
    token: &str,
) -> Result<Option<UserId>, StorageError> {
    let user_id = token
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.rsplit_once('_'))
        .and_then(|(localpart, _)| UserId::new(localpart, &config.server_name).ok());
    let Some(user_id) = user_id else { return Ok(None) };
    let tokens = OPENID_TOKENS.get(read, &user_id)?.unwrap_or_default();
    let good = tokens.iter().any(|known| known.hash == hash(token) && now < known.expires);
    Ok(if good && accounts::is_active(read, &user_id)? { Some(user_id) } else { None })
}

#[cfg(test)]
mod tests;
