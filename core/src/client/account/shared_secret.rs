//! Registration by a shared secret: the endpoint `/_synapse/admin/v1/register`, which operators' tools already call.
//!
//! A nonce is a time with an HMAC over it, so that none has to be remembered. Using one twice within its minute gains nothing:
//! the second request names a user who is registered.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::Sha256;

use super::accounts::{self, ACCOUNTS, Account};
use super::session::SessionRequest;
use super::{password, registration};
use crate::canonical_json::Object;
use crate::client::request::{Answer, Auth, BodyExt as _, ClientRequest, FlowFuture, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::config::{Config, Secret};
use crate::error::ApiError;
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::limits::REGISTRATION_NONCE_LIFETIME;
use crate::time::Timestamp;

const PATH: &str = "/_synapse/admin/v1/register";

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, PATH, Auth::None, Limit::Registration, Handler::Query(nonce)),
    Route::new(Method::Post, PATH, Auth::None, Limit::Registration, Handler::Flow("register by secret", register)),
];

fn shared_secret(config: &Config) -> Result<&Secret, ApiError> {
    let off = || ApiError::new(400, "M_UNKNOWN", "Shared secret registration is not enabled");
    config.registration.shared_secret.as_ref().ok_or_else(off)
}

/// `GET /_synapse/admin/v1/register`.
fn nonce(context: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    let nonce = make_nonce(shared_secret(context.config)?, context.now);
    Ok(Response::json(200, &Object::new().with("nonce", nonce).into()))
}

fn make_nonce(secret: &Secret, now: Timestamp) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(b"orrery registration nonce");
    mac.update(&now.0.to_be_bytes());
    alloc::format!("{:x}.{}", now.0, hex(&mac.finalize().into_bytes()))
}

/// The nonce is one of ours, and recent.
fn is_good_nonce(secret: &Secret, now: Timestamp, nonce: &str) -> bool {
    let Some((time, _)) = nonce.split_once('.') else { return false };
    let Ok(time) = u64::from_str_radix(time, 16).map(Timestamp) else { return false };
    time <= now && now < time + REGISTRATION_NONCE_LIFETIME && Secret::from(make_nonce(secret, time)).is(nonce)
}

/// `POST /_synapse/admin/v1/register`.
fn register(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let body = request.object()?;
        let nonce = body.required_str("nonce")?;
        let username = body.required_str("username")?;
        let new_password = body.required_str("password")?;
        let admin = body.opt_bool("admin")?.unwrap_or(false);
        let user_type = body.opt_str("user_type")?;
        let mac = body.required_str("mac")?;
        cx.step(|step| {
            let secret = shared_secret(step.config)?;
            if !is_good_nonce(secret, step.now, nonce) {
                return Err(ApiError::new(400, "M_UNKNOWN", "The nonce is not known"));
            }
            if !Secret::from(expected_mac(secret, nonce, username, new_password, admin, user_type)).is(mac) {
                return Err(ApiError::new(403, "M_UNKNOWN", "The HMAC is wrong"));
            }
            password::require_acceptable(step.config, new_password)?;
            let user_id = accounts::user_id_of(step.config, &username.to_ascii_lowercase())?;
            accounts::require_available(step, &user_id)
        })?;
        let hash = password::hash(&cx, new_password).await?;
        cx.step(|step| {
            let user_id = accounts::user_id_of(step.config, &username.to_ascii_lowercase())?;
            accounts::require_available(step, &user_id)?;
            ACCOUNTS.put(step, &user_id, &Account { admin, ..Account::new(step.now, Some(hash)) });
            let session = SessionRequest { address: request.raw.remote, ..SessionRequest::default() };
            registration::answer(step, &user_id, false, Some(session))
        })
    })
}

/// What Synapse's documentation prescribes: HMAC-SHA1 in hexadecimal over the parts, with NULs between.
pub(super) fn expected_mac(
    secret: &Secret,
    nonce: &str,
    username: &str,
    password: &str,
    admin: bool,
    user_type: Option<&str>,
) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    for part in [nonce, username, password] {
        mac.update(part.as_bytes());
        mac.update(b"\0");
    }
    mac.update(if admin { b"admin" } else { b"notadmin" });
    if let Some(user_type) = user_type {
        mac.update(b"\0");
        mac.update(user_type.as_bytes());
    }
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a String succeeds");
        out
    })
}
