//! Capabilities negotiation (Client-Server API, "Capabilities negotiation").

use super::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::routes::Route;
use crate::canonical_json::Object;
use crate::http::{Method, Response};
use crate::room_version;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/client/v3/capabilities",
    Auth::Guest,
    Limit::None,
    Handler::Query(capabilities),
)];

fn enabled(enabled: bool) -> Object {
    Object::new().with("enabled", enabled)
}

/// `GET /_matrix/client/v3/capabilities`.
fn capabilities(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let guest = request.requester().guest;
    let mut room_versions = room_version::capabilities::room_versions();
    room_versions.insert("default", context.config.default_room_version.as_str());
    let mut profile_fields = enabled(true);
    if guest {
        // Client-Server API, "Guest Access".
        profile_fields.insert("allowed", alloc::vec!["displayname"]);
    }
    let capabilities = Object::new()
        .with("m.change_password", enabled(!guest))
        .with("m.room_versions", room_versions)
        .with("m.profile_fields", profile_fields)
        .with("m.set_displayname", enabled(true))
        .with("m.set_avatar_url", enabled(!guest))
        .with("m.3pid_changes", enabled(false))
        .with("m.get_login_token", enabled(context.config.sessions.login_tokens && !guest))
        .with("m.forget_forced_upon_leave", enabled(false));
    Ok(Response::json(200, &Object::new().with("capabilities", capabilities).into()))
}

#[cfg(test)]
mod tests;
