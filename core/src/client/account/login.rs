//! Login (Client-Server API, "Login" of the legacy API).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::accounts::{self, Account};
use super::{login_token, password, session};
use crate::canonical_json::{Object, Value};
use crate::client::discovery;
use crate::client::request::{Answer, Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::UserId;

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, "/_matrix/client/v3/login", Auth::None, Limit::None, Handler::Query(flows)),
    Route::new(Method::Post, "/_matrix/client/v3/login", Auth::None, Limit::Login, Handler::Flow("login", login)),
];

/// `GET /_matrix/client/v3/login`.
fn flows(context: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    let mut flows: Vec<Value> = alloc::vec![Object::new().with("type", "m.login.password").into()];
    if context.config.sessions.login_tokens {
        flows.push(Object::new().with("type", "m.login.token").with("get_login_token", true).into());
    }
    Ok(Response::json(200, &Object::new().with("flows", flows).into()))
}

/// `POST /_matrix/client/v3/login`.
fn login(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        match body.required_str("type")? {
            "m.login.password" => by_password(&cx, &request, &body).await,
            "m.login.token" => by_token(&cx, &request, &body),
            _ => Err(ApiError::new(400, "M_UNKNOWN", "The server does not know this type of login")),
        }
    })
}

/// One answer for every reason, so that it tells nobody who is registered.
fn refused() -> ApiError {
    ApiError::forbidden("The user or the password is wrong")
}

async fn by_password(cx: &Cx, request: &ClientRequest, body: &Object) -> Answer {
    let session = session::session_request(body, request.raw.remote)?;
    let name = claimed_name(body)?;
    let password = body.required_str("password")?;
    let (user_id, stored) = cx.step(|step| {
        let user_id = match name {
            Some(name) => accounts::named_user(step.config, step, name)?,
            None => None,
        };
        let stored = match &user_id {
            Some(user_id) => accounts::account_of(step, user_id)?.and_then(|account| account.password),
            None => None,
        };
        Ok((user_id, stored))
    })?;
    let matches = password::matches(cx, password, stored.as_ref()).await?;
    let Some(user_id) = user_id.filter(|_| matches) else { return Err(refused()) };
    cx.step(|step| {
        // The account may have changed while the password was checked.
        match accounts::account_of(step, &user_id)? {
            Some(account) if account.password == stored => answer(step, &user_id, &account, session),
            _ => Err(refused()),
        }
    })
}

/// Who logs in: `identifier`, or the members that were there before it. `None` names nobody here, as every third-party
/// identifier does until accounts have them.
fn claimed_name(body: &Object) -> Result<Option<&str>, ApiError> {
    let Some(identifier) = body.opt_object("identifier")? else {
        if body.opt_str("medium")?.is_some() || body.opt_str("address")?.is_some() {
            return Ok(None);
        }
        return body.required_str("user").map(Some);
    };
    match identifier.opt_str("type")? {
        Some("m.id.user") => identifier.required_str("user").map(Some),
        Some("m.id.thirdparty") => {
            identifier.required_str("medium")?;
            identifier.required_str("address").map(|_| None)
        }
        Some("m.id.phone") => {
            identifier.required_str("country")?;
            identifier.required_str("phone").map(|_| None)
        }
        Some(_) => Err(ApiError::new(400, "M_UNKNOWN", "The server does not know this type of identifier")),
        None => Err(ApiError::missing_param("identifier.type is missing")),
    }
}

fn by_token(cx: &Cx, request: &ClientRequest, body: &Object) -> Answer {
    let session = session::session_request(body, request.raw.remote)?;
    let token = body.required_str("token")?;
    cx.step(|step| {
        let user_id = login_token::take(step, token)?;
        let account = accounts::account_of(step, &user_id)?.ok_or_else(refused)?;
        answer(step, &user_id, &account, session)
    })
}

fn answer(step: &mut Step<'_>, user_id: &UserId, account: &Account, session: session::SessionRequest) -> Answer {
    if !account.is_active() {
        return Err(ApiError::new(403, "M_USER_DEACTIVATED", "The account is deactivated"));
    }
    let (device_id, tokens) = session::start(step, user_id, account.guest, session)?;
    let mut answer = Object::new()
        .with("user_id", user_id)
        .with("device_id", &device_id)
        .with("home_server", step.config.server_name.as_str());
    tokens.describe(&mut answer);
    if let Some(well_known) = discovery::client_configuration(step.config) {
        answer.insert("well_known", well_known);
    }
    Ok(Response::json(200, &answer.into()))
}
