//! The operator's own administration of users, behind the secret that the host draws at each start. `orrery user` calls it.
//! `{user}` is a full user ID or a localpart.
//!
//! ```text
//! GET  /_orrery/admin/v1/users?from=&limit=&guests=   {"users": [user, …], "next": "@…"}; "next" is the "from" of the next page,
//!                                                     absent on the last; guests are listed with guests=true
//! POST /_orrery/admin/v1/users                        {"username", "password", "admin"?: false}              user
//! GET  /_orrery/admin/v1/users/{user}                                                                        user
//! POST /_orrery/admin/v1/users/{user}/password        {"new_password", "logout_devices"?: true}              {}
//! POST /_orrery/admin/v1/users/{user}/deactivate      {"erase"?: false}                                      {}
//!
//! user: {"user_id", "created_ts", "admin", "guest", "deactivated", "devices": number, "last_seen_ts": number or null}
//! ```
//!
//! Errors are the standard ones: `400 M_INVALID_USERNAME`, `400 M_USER_IN_USE`, `400 M_WEAK_PASSWORD`, `400 M_BAD_JSON`,
//! `400 M_MISSING_PARAM`, `400 M_USER_DEACTIVATED`, `404 M_NOT_FOUND`; and `404 M_UNRECOGNIZED` without the secret.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::account::accounts::{self, ACCOUNTS, Account};
use super::account::{deactivation, password, session};
use super::every_room;
use super::request::{Answer, Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit, QueryContext};
use super::routes::Route;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::limits::MAX_USERS_PAGE;
use crate::store::{Order, Read, StorageError};

macro_rules! route {
    ($method:ident, $path:literal, $handler:expr) => {
        Route::new(Method::$method, $path, Auth::Admin, Limit::None, $handler)
    };
}

pub const ROUTES: &[Route] = &[
    route!(Get, "/_orrery/admin/v1/users", Handler::HeavyQuery(list)),
    route!(Post, "/_orrery/admin/v1/users", Handler::Flow("create user", create)),
    route!(Get, "/_orrery/admin/v1/users/{user}", Handler::Query(get)),
    route!(Post, "/_orrery/admin/v1/users/{user}/password", Handler::Flow("reset password", reset_password)),
    route!(Post, "/_orrery/admin/v1/users/{user}/deactivate", Handler::Flow("deactivate user", deactivate)),
];

fn describe(read: &(impl Read + ?Sized), user_id: &UserId, account: &Account) -> Result<Object, StorageError> {
    let devices = session::devices_of(read, user_id)?;
    let last_seen = devices.iter().map(|(_, device)| device.last_seen.at).max();
    Ok(Object::new()
        .with("user_id", user_id)
        .with("created_ts", account.created)
        .with("admin", account.admin)
        .with("guest", account.guest)
        .with("deactivated", !account.is_active())
        .with("devices", devices.len() as u64)
        .with("last_seen_ts", last_seen.map_or(Value::Null, Value::from)))
}

/// The path's user and their account.
fn named(context: &QueryContext<'_>, request: &ClientRequest) -> Result<(UserId, Account), ApiError> {
    let not_found = || ApiError::not_found("There is no such user");
    let user_id = accounts::named_user(context.config, context.read, request.param(0))?.ok_or_else(not_found)?;
    let account = accounts::account_of(context.read, &user_id)?.ok_or_else(not_found)?;
    Ok((user_id, account))
}

fn named_active(step: &Step<'_>, request: &ClientRequest) -> Result<(UserId, Account), ApiError> {
    let context = QueryContext { read: step, config: step.config, now: step.now };
    let (user_id, account) = named(&context, request)?;
    if !account.is_active() {
        return Err(ApiError::new(400, "M_USER_DEACTIVATED", "The account is deactivated"));
    }
    Ok((user_id, account))
}

/// `GET /_orrery/admin/v1/users`.
fn list(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let limit = request.query_integer("limit")?.map_or(MAX_USERS_PAGE, |limit| limit as usize).min(MAX_USERS_PAGE);
    let guests = request.query_bool("guests")?.unwrap_or(false);
    let from = request.query("from").unwrap_or_default();
    let mut users: Vec<Value> = Vec::new();
    let mut next = None;
    ACCOUNTS.scan_range::<StorageError>(context.read, from, None::<&str>, Order::Ascending, |user_id, account| {
        if account.guest && !guests {
            return Ok(ControlFlow::Continue(()));
        }
        if users.len() == limit {
            next = Some(user_id);
            return Ok(ControlFlow::Break(()));
        }
        users.push(describe(context.read, &user_id, &account)?.into());
        Ok(ControlFlow::Continue(()))
    })?;
    let mut answer = Object::new().with("users", users);
    if let Some(next) = next {
        answer.insert("next", &next);
    }
    Ok(Response::json(200, &answer.into()))
}

/// `GET /_orrery/admin/v1/users/{user}`.
fn get(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let (user_id, account) = named(context, request)?;
    Ok(Response::json(200, &describe(context.read, &user_id, &account)?.into()))
}

/// `POST /_orrery/admin/v1/users`.
fn create(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let username = body.required_str("username")?;
        let new_password = body.required_str("password")?;
        let admin = body.opt_bool("admin")?.unwrap_or(false);
        let user_id = cx.step(|step| {
            let user_id = accounts::user_id_of(step.config, &username.to_ascii_lowercase())?;
            accounts::require_available(step, &user_id)?;
            password::require_acceptable(step.config, new_password)?;
            Ok(user_id)
        })?;
        let hash = password::hash(&cx, new_password).await?;
        cx.step(|step| {
            accounts::require_available(step, &user_id)?;
            let account = Account { admin, ..Account::new(step.now, Some(hash)) };
            ACCOUNTS.put(step, &user_id, &account);
            Ok(Response::json(200, &describe(step, &user_id, &account)?.into()))
        })
    })
}

/// `POST /_orrery/admin/v1/users/{user}/password`.
fn reset_password(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let new_password = body.required_str("new_password")?;
        let logout_devices = body.opt_bool("logout_devices")?.unwrap_or(true);
        cx.step(|step| {
            named_active(step, &request)?;
            password::require_acceptable(step.config, new_password)
        })?;
        let hash = password::hash(&cx, new_password).await?;
        cx.step(|step| {
            let (user_id, account) = named_active(step, &request)?;
            ACCOUNTS.put(step, &user_id, &Account { password: Some(hash), ..account });
            if logout_devices {
                session::end_all(step, &user_id, None)?;
            }
            Ok(Response::empty())
        })
    })
}

/// `POST /_orrery/admin/v1/users/{user}/deactivate`.
fn deactivate(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let erase = request.object_or_empty()?.opt_bool("erase")?.unwrap_or(false);
        let errand = cx.step(|step| {
            let (user_id, _) = named_active(step, &request)?;
            deactivation::end_account(step, &user_id, erase)
        })?;
        every_room::carry_out(&cx, errand).await?;
        Ok(Response::empty())
    })
}

#[cfg(test)]
mod tests;
