//! Login tokens: a logged-in user lets another device in (Client-Server API, `POST /login/get_token`).

use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::access_token::hash;
use super::uia::{self, Attempt, Binding, Plan, Stage};
use crate::canonical_json::Object;
use crate::client::request::{Auth, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::limits::{LOGIN_TOKEN_LIFETIME, MAX_LOGIN_TOKENS};
use crate::store::tables::{Table, tags};
use crate::time::Timestamp;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v1/login/get_token",
    Auth::Required,
    Limit::Login,
    Handler::Flow("get login token", get_token),
)];

/// A token that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LoginToken {
    hash: [u8; 32],
    expires: Timestamp,
}

/// The tokens of each user, oldest first: at most [`MAX_LOGIN_TOKENS`], of which a new one drops the oldest.
const LOGIN_TOKENS: Table<UserId, Vec<LoginToken>> = Table::new(tags::LOGIN_TOKEN);

/// `POST /_matrix/client/v1/login/get_token`.
fn get_token(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object_or_empty()?;
        let user_id = request.user_id();
        cx.step(|step| if step.config.sessions.login_tokens { Ok(()) } else { Err(ApiError::unrecognized(404)) })?;
        let flows = alloc::vec![alloc::vec![Stage::Password]];
        let plan = Plan { flows, user: Some(user_id.clone()), binding: Binding::Strict };
        let pass = match uia::attempt(&cx, &request, &body, &plan).await? {
            Attempt::Passed(pass) => pass,
            Attempt::Challenge(response) => return Ok(response),
        };
        cx.step(|step| {
            pass.consume(step);
            // The user is part of the token, which is how it is found again.
            let token = alloc::format!("oryl_{}_{}", user_id.localpart(), step.random.token(32));
            let mut tokens = LOGIN_TOKENS.get(step, user_id)?.unwrap_or_default();
            tokens.retain(|token| step.now < token.expires);
            if tokens.len() >= MAX_LOGIN_TOKENS {
                tokens.remove(0);
            }
            tokens.push(LoginToken { hash: hash(&token), expires: step.now + LOGIN_TOKEN_LIFETIME });
            LOGIN_TOKENS.put(step, user_id, &tokens);
            let lifetime = u64::try_from(LOGIN_TOKEN_LIFETIME.as_millis()).unwrap_or(u64::MAX);
            let answer = Object::new().with("login_token", token).with("expires_in_ms", lifetime);
            Ok(Response::json(200, &answer.into()))
        })
    })
}

/// Whose token this is. It is good once.
pub fn take(step: &mut Step<'_>, token: &str) -> Result<UserId, ApiError> {
    let refused = || ApiError::forbidden("The login token is not valid");
    let user_id = token
        .strip_prefix("oryl_")
        .and_then(|rest| rest.rsplit_once('_'))
        .and_then(|(localpart, _)| UserId::new(localpart, &step.config.server_name).ok())
        .ok_or_else(refused)?;
    let mut tokens = LOGIN_TOKENS.get(step, &user_id)?.unwrap_or_default();
    let at = tokens.iter().position(|known| known.hash == hash(token)).ok_or_else(refused)?;
    let taken = tokens.remove(at);
    if taken.expires <= step.now {
        return Err(refused());
    }
    put(step, &user_id, &tokens);
    Ok(user_id)
}

/// Forgets every token of a user.
pub fn clear(step: &mut Step<'_>, user_id: &UserId) {
    LOGIN_TOKENS.delete(step, user_id);
}

fn put(step: &mut Step<'_>, user_id: &UserId, tokens: &Vec<LoginToken>) {
    if tokens.is_empty() { LOGIN_TOKENS.delete(step, user_id) } else { LOGIN_TOKENS.put(step, user_id, tokens) }
}
