//! Passwords: hashed with argon2id off the core's thread, checked in the same time whether the user exists or not, changed
//! with `POST /account/password` (Client-Server API, "Password management").

use alloc::boxed::Box;
use alloc::string::{String, ToString};

use super::accounts::{self, ACCOUNTS, PasswordHash};
use super::session;
use super::uia::{self, Attempt, Binding, Plan, Stage};
use crate::client::request::{Answer, Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit};
use crate::client::routes::Route;
use crate::config::Config;
use crate::effect::{Job, PasswordCost};
use crate::error::ApiError;
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::input::Outcome;
use crate::limits::MAX_PASSWORD;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Post,
    "/_matrix/client/v3/account/password",
    Auth::Required,
    Limit::Login,
    Handler::Flow("change password", change),
)];

/// The password may be a new one.
pub fn require_acceptable(config: &Config, password: &str) -> Result<(), ApiError> {
    let minimum = config.minimum_password_length.max(1);
    if password.chars().take(minimum as usize).count() < minimum as usize {
        let message = alloc::format!("A password has at least {minimum} characters");
        return Err(ApiError::new(400, "M_WEAK_PASSWORD", message));
    }
    if password.len() > MAX_PASSWORD {
        return Err(ApiError::invalid_param(alloc::format!("A password has at most {MAX_PASSWORD} bytes")));
    }
    Ok(())
}

/// Hashes a password with the configured cost.
pub async fn hash(cx: &Cx, password: &str) -> Result<PasswordHash, ApiError> {
    let (salt, cost) = cx.step(|step| Ok((step.random.bytes(), step.config.password_cost)))?;
    match cx.compute(Job::HashPassword { password: password.to_string(), salt, cost }).await {
        Outcome::PasswordHash(hash) => Ok(PasswordHash(hash)),
        _ => Err(ApiError::internal("The password could not be hashed")),
    }
}

/// Whether `password` is the one that is `stored`. Without one, a hash that no password has is checked instead, so that the
/// time says nothing about who is registered.
pub async fn matches(cx: &Cx, password: &str, stored: Option<&PasswordHash>) -> Result<bool, ApiError> {
    if password.len() > MAX_PASSWORD {
        return Ok(false);
    }
    let hash = match stored {
        Some(PasswordHash(hash)) => hash.clone(),
        None => cx.step(|step| Ok(decoy(step.config.password_cost)))?,
    };
    match cx.compute(Job::CheckPassword { password: password.to_string(), hash }).await {
        Outcome::PasswordMatches(matches) => Ok(matches && stored.is_some()),
        _ => Err(ApiError::internal("The password could not be checked")),
    }
}

/// A PHC string of this cost whose hash is all zero.
fn decoy(cost: PasswordCost) -> String {
    let PasswordCost { memory_kib, passes, lanes } = cost;
    let (salt, hash) = ("A".repeat(22), "A".repeat(43));
    alloc::format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")
}

/// `POST /_matrix/client/v3/account/password`.
fn change(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let new_password = body.required_str("new_password")?;
        let logout_devices = body.opt_bool("logout_devices")?.unwrap_or(true);
        cx.step(|step| require_acceptable(step.config, new_password))?;
        let plan = Plan {
            flows: alloc::vec![alloc::vec![Stage::Password]],
            user: Some(request.user_id().clone()),
            binding: Binding::Strict,
        };
        let pass = match uia::attempt(&cx, &request, &body, &plan).await? {
            Attempt::Passed(pass) => pass,
            Attempt::Challenge(response) => return Ok(response),
        };
        let hash = hash(&cx, new_password).await?;
        cx.step(|step| {
            let requester = request.requester();
            let Some(mut account) =
                accounts::account_of(step, &requester.user_id)?.filter(|account| account.is_active())
            else {
                return Err(ApiError::forbidden("The account is deactivated"));
            };
            account.password = Some(hash);
            ACCOUNTS.put(step, &requester.user_id, &account);
            pass.consume(step);
            if logout_devices {
                session::end_all(step, &requester.user_id, Some(&requester.device_id))?;
            }
            finished()
        })
    })
}

fn finished() -> Answer {
    Ok(Response::empty())
}
