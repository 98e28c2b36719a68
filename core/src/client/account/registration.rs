//! Registration (Client-Server API, "Account registration").

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::access_token;
use super::accounts::{self, ACCOUNTS, Account};
use super::session::{self, SessionRequest};
use super::uia::{self, Attempt, Binding, Plan, Stage};
use super::{password, registration_token};
use crate::canonical_json::Object;
use crate::client::request::{Answer, Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::config::Config;
use crate::error::ApiError;
use crate::flow::{Cx, Step};
use crate::http::{Method, Response};
use crate::identifiers::UserId;

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Post,
        "/_matrix/client/v3/register",
        Auth::None,
        Limit::Registration,
        Handler::Flow("register", register),
    ),
    Route::new(
        Method::Get,
        "/_matrix/client/v3/register/available",
        Auth::None,
        Limit::Login,
        Handler::Query(available),
    ),
];

/// `POST /_matrix/client/v3/register`.
fn register(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        match request.query("kind") {
            None | Some("user") => register_user(&cx, &request).await,
            Some("guest") => register_guest(&cx, &request),
            Some(_) => Err(ApiError::invalid_param("The query parameter kind is not user or guest")),
        }
    })
}

async fn register_user(cx: &Cx, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let username = body.opt_str("username")?;
    let new_password = body.opt_str("password")?;
    let inhibit_login = body.opt_bool("inhibit_login")?.unwrap_or(false);
    let guest_access_token = body.opt_str("guest_access_token")?;
    let session = session::session_request(&body, request.raw.remote)?;

    // Client-Server API, `/register`: these are checked before authentication.
    let (flows, wanted) = cx.step(|step| {
        let flows = flows(step.config)?;
        let wanted = username.map(|name| accounts::requested_user_id(step.config, name)).transpose();
        // A guest keeps the name that it has, and the digits in it.
        let upgraded = guest_access_token.map(|token| upgraded_guest(step, token, username)).transpose()?;
        let wanted = match upgraded {
            Some(guest) => Some(guest),
            None => {
                let wanted = wanted?;
                if let Some(user_id) = &wanted {
                    accounts::require_available(step, user_id)?;
                }
                wanted
            }
        };
        if let Some(password) = new_password {
            password::require_acceptable(step.config, password)?;
        }
        Ok((flows, wanted))
    })?;

    let plan = Plan { flows, user: None, binding: Binding::FirstStage };
    let pass = match uia::attempt(cx, request, &body, &plan).await? {
        Attempt::Passed(pass) => pass,
        Attempt::Challenge(response) => return Ok(response),
    };
    let Some(new_password) = new_password else {
        return Err(ApiError::missing_param("password is missing"));
    };
    let hash = password::hash(cx, new_password).await?;

    cx.step(|step| {
        let user_id = match guest_access_token {
            Some(token) => {
                let guest = upgraded_guest(step, token, username)?;
                session::end_all(step, &guest, None)?;
                guest
            }
            None => match wanted {
                Some(user_id) => user_id,
                None => accounts::draw_user_id(step, false)?,
            },
        };
        if guest_access_token.is_none() {
            accounts::require_available(step, &user_id)?;
        }
        if let Some(token) = &pass.registration_token {
            registration_token::count_use(step, token)?;
        }
        pass.consume(step);
        ACCOUNTS.put(step, &user_id, &Account::new(step.now, Some(hash)));
        answer(step, &user_id, false, (!inhibit_login).then_some(session))
    })
}

fn register_guest(cx: &Cx, request: &ClientRequest) -> Answer {
    let body = request.object_or_empty()?;
    let display_name = body.opt_str("initial_device_display_name")?.map(Into::into);
    let session = SessionRequest { display_name, address: request.raw.remote, ..SessionRequest::default() };
    session.require_valid()?;
    cx.step(|step| {
        if !step.config.guests {
            return Err(ApiError::new(403, "M_GUEST_ACCESS_FORBIDDEN", "Guests are not allowed on this server"));
        }
        let user_id = accounts::draw_user_id(step, true)?;
        ACCOUNTS.put(step, &user_id, &Account { guest: true, ..Account::new(step.now, None) });
        answer(step, &user_id, true, Some(session))
    })
}

/// The flows that the configuration offers, or `403` if it offers none.
fn flows(config: &Config) -> Result<Vec<Vec<Stage>>, ApiError> {
    let mut flows = Vec::new();
    if config.registration.open {
        flows.push(alloc::vec![Stage::Dummy]);
    }
    if !config.registration.tokens.is_empty() {
        flows.push(alloc::vec![Stage::RegistrationToken]);
    }
    if flows.is_empty() { Err(ApiError::forbidden("Registration is not enabled on this server")) } else { Ok(flows) }
}

/// The guest who becomes a user with `guest_access_token` (Client-Server API, "Guest Access").
fn upgraded_guest(step: &Step<'_>, token: &str, username: Option<&str>) -> Result<UserId, ApiError> {
    let requester = access_token::authenticate(step, step.now, Some(token))?.requester;
    if !requester.guest {
        return Err(ApiError::forbidden("The guest_access_token is not a guest's"));
    }
    if username != Some(requester.user_id.localpart()) {
        return Err(ApiError::new(400, "M_INVALID_USERNAME", "A guest who registers keeps the name of the guest"));
    }
    Ok(requester.user_id)
}

/// Logs the new user in, if `session` says so, and tells the client.
pub(super) fn answer(step: &mut Step<'_>, user_id: &UserId, guest: bool, session: Option<SessionRequest>) -> Answer {
    let mut answer = Object::new().with("user_id", user_id).with("home_server", step.config.server_name.as_str());
    if let Some(session) = session {
        let (device_id, tokens) = session::start(step, user_id, guest, session)?;
        answer.insert("device_id", &device_id);
        tokens.describe(&mut answer);
    }
    Ok(Response::json(200, &answer.into()))
}

/// `GET /_matrix/client/v3/register/available`.
fn available(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let Some(username) = request.query("username") else {
        return Err(ApiError::missing_param("The query parameter username is missing"));
    };
    let user_id = accounts::requested_user_id(context.config, username)?;
    accounts::require_available(context.read, &user_id)?;
    Ok(Response::json(200, &Object::new().with("available", true).into()))
}
