//! Who sends a request (Server-Server API, "Request Authentication").

use alloc::string::{String, ToString};
use alloc::vec;

use super::remote_server;
use super::server_keys::{self, ToVerify};
use super::x_matrix::{self, XMatrix};
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::flow::Cx;
use crate::http::Request;
use crate::identifiers::ServerName;
use crate::signing::{base64, signed_bytes};

/// What every path of the API begins with.
pub const API: &str = "/_matrix/federation/";

/// What the paths of the API of keys begin with, for which nobody needs a signature.
pub const KEY_API: &str = "/_matrix/key/";

/// The server that signed `request`, and the request's body, parsed; `401 M_UNAUTHORIZED` if nobody did, or for another server, or with a key that is not known to
/// be the origin's at this moment.
pub async fn authenticate(cx: &Cx, request: &Request) -> Result<(ServerName, Option<Value>), ApiError> {
    let header = request.authorization.as_deref().ok_or_else(|| unauthorized("The request is not signed"))?;
    let header = XMatrix::parse(header).ok_or_else(|| unauthorized("The Authorization header is not X-Matrix"))?;
    let own = cx.step(|step| Ok(step.config.server_name.clone()))?;
    if header.destination.as_ref().is_some_and(|destination| *destination != own) {
        return Err(unauthorized("The request is signed for another server"));
    }
    let content = if request.body.is_empty() {
        None
    } else {
        let parsed = canonical_json::parse(&request.body);
        Some(parsed.map_err(|error| ApiError::not_json(alloc::format!("The body is not JSON: {error}")))?)
    };
    let target = target_of(&request.path, &request.query);
    let mut signed = x_matrix::signed_object(request.method, &target, (&header.origin, &own), content);
    let signature = Object::new().with(&header.key, base64::encode_unpadded(&header.signature));
    let item = ToVerify {
        server: header.origin.clone(),
        signatures: signature,
        signed_bytes: signed_bytes(&signed).into(),
        valid_at: Some(cx.now()),
    };
    if server_keys::verify(cx, vec![item]).await? != [true] {
        return Err(unauthorized(
            "The signature is not one of the origin's current keys, or those could not be fetched",
        ));
    }
    // Whoever speaks is up: what waits for it need not wait longer.
    remote_server::is_up(cx, &header.origin)?;
    Ok((header.origin, signed.remove("content")))
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(401, "M_UNAUTHORIZED", message)
}

fn target_of(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_string() } else { alloc::format!("{path}?{query}") }
}

#[cfg(test)]
mod tests;
