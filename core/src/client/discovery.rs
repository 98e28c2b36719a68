//! Server discovery (Client-Server API, "Server Discovery"): what a client asks before it logs in.

use alloc::vec::Vec;

use super::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::routes::Route;
use crate::canonical_json::{Object, Value};
use crate::config::Config;
use crate::error::ApiError;
use crate::http::{Method, Response};

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, "/_matrix/client/versions", Auth::None, Limit::None, Handler::Query(versions)),
    Route::new(Method::Get, "/.well-known/matrix/client", Auth::None, Limit::None, Handler::Query(well_known_client)),
    Route::new(Method::Get, "/.well-known/matrix/support", Auth::None, Limit::None, Handler::Query(well_known_support)),
];

/// Every version served, since clients look for the very name of the version that they need.
const VERSIONS: [&str; 27] = [
    "r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4",
    "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13", "v1.14", "v1.15", "v1.16", "v1.17",
    "v1.18", "v1.19",
];

/// Names that clients still look for although the features are in the specification by now.
const UNSTABLE_FEATURES: [&str; 1] = [
    // Room types in the filter of the room directory, without which Element Web does not offer it.
    "org.matrix.msc3827.stable",
];

/// `GET /_matrix/client/versions`.
fn versions(_: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    let features: Object = UNSTABLE_FEATURES.iter().map(|name| (*name, true)).collect();
    let body = Object::new().with("versions", VERSIONS.to_vec()).with("unstable_features", features);
    Ok(Response::json(200, &body.into()))
}

/// The object of `GET /.well-known/matrix/client`, which `POST /login` repeats.
#[must_use]
pub fn client_configuration(config: &Config) -> Option<Object> {
    let base_url = config.client_base_url.as_deref()?;
    Some(Object::new().with("m.homeserver", Object::new().with("base_url", base_url)))
}

/// `GET /.well-known/matrix/client`.
fn well_known_client(context: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    match client_configuration(context.config) {
        Some(body) => Ok(Response::json(200, &body.into())),
        None => Err(ApiError::not_found("No server discovery information is configured")),
    }
}

/// `GET /.well-known/matrix/support`.
fn well_known_support(context: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    let support = &context.config.support;
    let contacts: Vec<Value> = support
        .contacts
        .iter()
        .map(|contact| {
            let mut object = Object::new().with("role", contact.role.as_str());
            if let Some(email) = &contact.email {
                object.insert("email_address", email.as_str());
            }
            if let Some(matrix_id) = &contact.matrix_id {
                object.insert("matrix_id", matrix_id.as_str());
            }
            object.into()
        })
        .collect();
    let mut body = Object::new();
    if !contacts.is_empty() {
        body.insert("contacts", contacts);
    }
    if let Some(page) = &support.page {
        body.insert("support_page", page.as_str());
    }
    if body.is_empty() {
        return Err(ApiError::not_found("No support information is configured"));
    }
    Ok(Response::json(200, &body.into()))
}

#[cfg(test)]
mod tests;
