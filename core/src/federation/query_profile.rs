//! Asking another server for the profile of one of its users (Server-Server API, `GET /query/profile`).

use super::outgoing::{Outgoing, RemoteError, call};
use crate::canonical_json::{Object, Value};
use crate::flow::Cx;
use crate::http::percent_encode;
use crate::identifiers::{MxcUri, UserId};
use crate::limits::{MAX_IDENTIFIER, MAX_PROFILE, QUERY_TIMEOUT};

/// The profile of a user of another server, or one field of it: only what may be shown to clients. `field` is asked for alone,
/// and absent from the answer if the user has none.
pub async fn query_profile(cx: &Cx, user_id: &UserId, field: Option<&str>) -> Result<Object, RemoteError> {
    let mut target = alloc::format!("/_matrix/federation/v1/query/profile?user_id={}", percent_encode(user_id));
    if let Some(field) = field {
        target.push_str("&field=");
        target.push_str(&percent_encode(field));
    }
    // Whitespace and escapes are the other server's to choose, within reason.
    let request = Outgoing::get(target).timeout(QUERY_TIMEOUT).max_body(2 * MAX_PROFILE as u32);
    match call(cx, &user_id.server_name(), request).await? {
        Value::Object(mut profile) => {
            profile.retain(|name, value| field.is_none_or(|field| field == name) && is_acceptable(name, value));
            Ok(profile)
        }
        _ => Err(RemoteError::BadAnswer("a profile is an object".into())),
    }
}

/// Whether a field is what its name says.
fn is_acceptable(name: &str, value: &Value) -> bool {
    match name {
        "displayname" | "m.tz" => value.as_str().is_some(),
        "avatar_url" => value.as_str().is_some_and(|uri| MxcUri::parse(uri).is_ok()),
        _ => name.len() <= MAX_IDENTIFIER && *value != Value::Null,
    }
}
