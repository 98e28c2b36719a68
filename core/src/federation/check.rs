//! What can be said of another server from outside: where it is, which keys it publishes, what it runs. For operators.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::discovery;
use super::outgoing::{Outgoing, call_unsigned};
use super::remote_server;
use super::server_keys;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::flow::Cx;
use crate::identifiers::ServerName;

/// Looks at `server`. Each part that fails is told in `errors`, by the name of the part:
///
/// ```text
/// {"server_name", "delegate"?: "…", "places": [{"host", "port", "tls_name", "host_header"}, …],
///  "keys"?: {…}, "version"?: {"name", "version"}, "errors": {"discovery"?: "…", "keys"?: "…", "version"?: "…"}}
/// ```
pub async fn check(cx: &Cx, server: &ServerName) -> Result<Object, ApiError> {
    let mut errors = Object::new();
    let mut found = Object::new().with("server_name", server);
    let mut places = Vec::new();
    match discovery::resolve(cx, server).await {
        Ok(resolved) => {
            for place in resolved {
                let place = Object::new()
                    .with("host", place.host)
                    .with("port", u32::from(place.port))
                    .with("tls_name", place.tls_name)
                    .with("host_header", place.host_header);
                places.push(Value::Object(place));
            }
        }
        Err(why) => {
            errors.insert("discovery", why);
        }
    }
    found.insert("places", places);
    let known = cx.step(|step| Ok(remote_server::get(step, server)?))?;
    if let Some(delegate) = known.discovered.and_then(|discovered| discovered.well_known.delegate) {
        found.insert("delegate", &delegate);
    }
    match server_keys::ask(cx, server).await {
        Ok(list) => {
            found.insert("keys", list);
        }
        Err(why) => {
            errors.insert("keys", why);
        }
    }
    match call_unsigned(cx, server, Outgoing::get("/_matrix/federation/v1/version")).await {
        Ok(answer) => match answer.get("server") {
            Some(Value::Object(version)) => {
                found.insert("version", version.clone());
            }
            _ => {
                errors.insert("version", "the answer has no server");
            }
        },
        Err(error) => {
            errors.insert("version", error.to_string());
        }
    }
    Ok(found.with("errors", errors))
}

#[cfg(test)]
mod tests;
