//! Profiles (Client-Server API, "Profiles").

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::account::accounts;
use super::every_room::{self, Errand};
use super::request::{Answer, AskFirst, AskFuture, Auth, ClientRequest, FlowFuture, Handler, Limit, QueryContext};
use super::routes::Route;
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::federation::query_profile::query_profile;
use crate::flow::{Cx, Notice, Step};
use crate::http::{Method, Response};
use crate::identifiers::{ServerName, UserId};
use crate::limits::{MAX_IDENTIFIER, MAX_MEMBER_PROFILE_FIELD, MAX_PROFILE};
use crate::store::tables::{Table, tags};
use crate::store::{Order, Read, StorageError};

const FIELD: &str = "/_matrix/client/v3/profile/{userId}/{keyName}";

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/_matrix/client/v3/profile/{userId}",
        Auth::Optional,
        Limit::None,
        Handler::AskFirst(&AskFirst { name: "query profile", needed: is_elsewhere, ask: ask_all, query: get_all }),
    ),
    Route::new(
        Method::Get,
        FIELD,
        Auth::Optional,
        Limit::None,
        Handler::AskFirst(&AskFirst { name: "query profile", needed: is_elsewhere, ask: ask_field, query: get_field }),
    ),
    Route::new(Method::Put, FIELD, Auth::Guest, Limit::Write, Handler::Flow("set profile", put_field)),
    Route::new(Method::Delete, FIELD, Auth::Guest, Limit::Write, Handler::Flow("delete profile field", delete_field)),
];

/// The fields that member events repeat.
const MEMBER_FIELDS: [&str; 2] = ["avatar_url", "displayname"];

/// By user and field: the field's value in canonical JSON.
pub const PROFILES: Table<(UserId, String), Vec<u8>> = Table::new(tags::PROFILE);

fn value_of(user_id: &UserId, json: &[u8]) -> Result<Value, StorageError> {
    canonical_json::parse(json).map_err(|error| StorageError(alloc::format!("the profile of {user_id}: {error}")))
}

/// One field of a profile.
pub fn field(read: &(impl Read + ?Sized), user_id: &UserId, name: &str) -> Result<Option<Value>, StorageError> {
    PROFILES.get(read, (user_id, name))?.map(|json| value_of(user_id, &json)).transpose()
}

/// What member events repeat of a profile: `displayname` and `avatar_url`.
pub fn member_content(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Object, StorageError> {
    let mut content = Object::new();
    for name in MEMBER_FIELDS {
        if let Some(value) = field(read, user_id, name)? {
            content.insert(name, value);
        }
    }
    Ok(content)
}

/// Every field of a profile.
pub fn all(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Object, StorageError> {
    let mut profile = Object::new();
    PROFILES.scan::<StorageError>(read, (user_id,), Order::Ascending, |(_, name), json| {
        profile.insert(name, value_of(user_id, &json)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(profile)
}

/// Forgets everything.
pub fn erase(step: &mut Step<'_>, user_id: &UserId) -> Result<(), StorageError> {
    for (name, _) in all(step, user_id)? {
        PROFILES.delete(step, (user_id, name));
    }
    Ok(())
}

/// Whether the path's user belongs to another server. Only users of this server may have others asked.
fn is_elsewhere(context: &QueryContext<'_>, request: &ClientRequest) -> Result<bool, ApiError> {
    let user_id = UserId::parse(request.param(0)).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    if accounts::is_local(context.config, &user_id) {
        return Ok(false);
    }
    request.require_requester().map(|_| true)
}

async fn ask(cx: Cx, request: ClientRequest, field: Option<&str>) -> Result<Object, ApiError> {
    let user_id = UserId::parse(request.param(0)).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    Ok(query_profile(&cx, &user_id, field).await?)
}

fn ask_all(cx: Cx, request: ClientRequest) -> AskFuture {
    Box::pin(async move { Ok(Some(Response::json(200, &ask(cx, request, None).await?.into()))) })
}

fn ask_field(cx: Cx, request: ClientRequest) -> AskFuture {
    Box::pin(async move {
        let name = request.param(1).to_string();
        require_field_name(&name)?;
        let profile = ask(cx, request, Some(&name)).await?;
        if profile.is_empty() {
            return Err(no_such_field());
        }
        Ok(Some(Response::json(200, &profile.into())))
    })
}

fn no_such_field() -> ApiError {
    ApiError::not_found("The profile has no such field")
}

/// The path's user, who has an account here.
fn existing_user(read: &(impl Read + ?Sized), request: &ClientRequest) -> Result<UserId, ApiError> {
    let user_id = UserId::parse(request.param(0)).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    if accounts::is_active(read, &user_id)? {
        return Ok(user_id);
    }
    Err(ApiError::not_found("There is no such user on this server"))
}

/// `GET /profile/{userId}`.
fn get_all(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let user_id = existing_user(context.read, request)?;
    Ok(Response::json(200, &all(context.read, &user_id)?.into()))
}

/// `GET /profile/{userId}/{keyName}`.
fn get_field(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let user_id = existing_user(context.read, request)?;
    let name = request.param(1);
    require_field_name(name)?;
    match field(context.read, &user_id, name)? {
        Some(value) => Ok(Response::json(200, &Object::new().with(name, value).into())),
        None => Err(no_such_field()),
    }
}

/// The name is one of the specification's or in the Common Namespaced Identifier Grammar (Appendices).
fn require_field_name(name: &str) -> Result<(), ApiError> {
    if name.len() > MAX_IDENTIFIER {
        return Err(ApiError::new(400, "M_KEY_TOO_LARGE", "The name of a profile field has at most 255 bytes"));
    }
    let namespaced = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
        && name.contains('.');
    if namespaced || MEMBER_FIELDS.contains(&name) {
        return Ok(());
    }
    Err(ApiError::invalid_param("This is no name of a profile field"))
}

/// The path's user and field, if whoever asks may change it.
fn changeable(request: &ClientRequest) -> Result<(&UserId, &str), ApiError> {
    let requester = request.requester();
    if request.param(0) != requester.user_id.as_str() {
        return Err(ApiError::forbidden("You may not change the profile of others"));
    }
    let name = request.param(1);
    require_field_name(name)?;
    if requester.guest && name != "displayname" {
        return Err(ApiError::new(403, "M_GUEST_ACCESS_FORBIDDEN", "Guests may change their display name only"));
    }
    Ok((&requester.user_id, name))
}

/// `PUT /profile/{userId}/{keyName}`.
fn put_field(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let (user_id, name) = changeable(&request)?;
        let mut body = request.object()?;
        let Some(value) = body.remove(name) else {
            return Err(ApiError::missing_param(alloc::format!("{name} is missing")));
        };
        if MEMBER_FIELDS.contains(&name) {
            let Some(text) = value.as_str() else {
                return Err(ApiError::bad_json(alloc::format!("{name} is not a string")));
            };
            require_member_field(name, text)?;
            // Clients older than `DELETE` take their name away with an empty one.
            let value = (!text.is_empty()).then_some(value);
            return change(&cx, user_id, name, value).await;
        }
        if name == "m.tz" && value.as_str().is_none() {
            return Err(ApiError::bad_json("m.tz is not a string"));
        }
        change(&cx, user_id, name, Some(value)).await
    })
}

/// `DELETE /profile/{userId}/{keyName}`.
fn delete_field(cx: Cx, request: ClientRequest) -> FlowFuture {
    Box::pin(async move {
        let (user_id, name) = changeable(&request)?;
        change(&cx, user_id, name, None).await
    })
}

/// A display name or avatar is fit for member events.
fn require_member_field(name: &str, text: &str) -> Result<(), ApiError> {
    if text.len() > MAX_MEMBER_PROFILE_FIELD {
        let message = alloc::format!("{name} has at most {MAX_MEMBER_PROFILE_FIELD} bytes");
        return Err(ApiError::invalid_param(message));
    }
    if name == "avatar_url" && !text.is_empty() && !is_mxc_uri(text) {
        return Err(ApiError::invalid_param("avatar_url is not an mxc:// URI"));
    }
    Ok(())
}

/// `mxc://server/media` (Client-Server API, "Content Repository").
fn is_mxc_uri(text: &str) -> bool {
    let Some((server, media)) = text.strip_prefix("mxc://").and_then(|rest| rest.split_once('/')) else { return false };
    ServerName::parse(server).is_ok()
        && !media.is_empty()
        && media.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Sets or deletes a field; what member events repeat goes to every room of the user before the answer.
async fn change(cx: &Cx, user_id: &UserId, name: &str, value: Option<Value>) -> Answer {
    let errand = cx.step(|step| {
        if field(step, user_id, name)? == value {
            return Ok(None);
        }
        match value {
            Some(value) => {
                let mut profile = all(step, user_id)?;
                let json = value.to_bytes();
                profile.insert(name, value);
                if profile.to_bytes().len() > MAX_PROFILE {
                    return Err(ApiError::new(400, "M_PROFILE_TOO_LARGE", "A profile has at most 64 KiB"));
                }
                PROFILES.put(step, (user_id, name), &json);
            }
            None => PROFILES.delete(step, (user_id, name)),
        }
        if !MEMBER_FIELDS.contains(&name) {
            return Ok(None);
        }
        step.notify(Notice::Profile(user_id.clone()));
        every_room::begin(step, user_id, Errand::Profile).map(Some).map_err(ApiError::from)
    })?;
    if let Some(errand) = errand {
        every_room::carry_out(cx, errand).await?;
    }
    Ok(Response::empty())
}

#[cfg(test)]
mod tests;
