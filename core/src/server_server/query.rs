//! `GET /_matrix/federation/v1/query/{queryType}` (Server-Server API, "Querying for information").

use alloc::string::ToString;

use crate::canonical_json::{Object, Value};
use crate::client::account::accounts;
use crate::client::profile;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::rooms::directory;
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::{Method, Response};
use crate::identifiers::{RoomAlias, UserId};

macro_rules! route {
    ($path:literal, $handler:ident) => {
        Route::new(Method::Get, $path, Auth::Server, Limit::None, Handler::Query($handler))
    };
}

pub const ROUTES: &[Route] = &[
    route!("/_matrix/federation/v1/query/directory", query_directory),
    route!("/_matrix/federation/v1/query/profile", query_profile),
    route!("/_matrix/federation/v1/query/{queryType}", query_unknown),
];

fn required<'r>(request: &'r ClientRequest, name: &str) -> Result<&'r str, ApiError> {
    request.query(name).ok_or_else(|| ApiError::missing_param(alloc::format!("{name} is missing")))
}

/// The room that an alias of this server leads to, and servers that are in it.
fn query_directory(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let alias = RoomAlias::parse(required(request, "room_alias")?);
    let alias = alias.map_err(|error| ApiError::invalid_param(error.to_string()))?;
    if alias.server_str() != context.config.server_name.as_str() {
        return Err(ApiError::invalid_param("The alias belongs to another server"));
    }
    directory::resolve_local(context, &alias)
}

/// The profile of a user of this server, or one field of it.
fn query_profile(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let user_id = UserId::parse(required(request, "user_id")?);
    let user_id = user_id.map_err(|error| ApiError::invalid_param(error.to_string()))?;
    if !accounts::is_local(context.config, &user_id) {
        return Err(ApiError::invalid_param("The user belongs to another server"));
    }
    if !accounts::is_active(context.read, &user_id)? {
        return Err(ApiError::not_found("There is no such user on this server"));
    }
    let answer = match request.query("field") {
        None => profile::all(context.read, &user_id)?,
        Some(name) => match profile::field(context.read, &user_id, name)? {
            Some(value) => Object::new().with(name, value),
            None => return Err(ApiError::not_found("The profile has no such field")),
        },
    };
    Ok(Response::json(200, &Value::Object(answer)))
}

fn query_unknown(_: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    Err(ApiError::unrecognized(404))
}
