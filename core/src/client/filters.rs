//! Stored filters (Client-Server API, "Filtering"). A filter's ID is the hash of its text, so that the same filter, which
//! clients upload at every start, is stored once.

use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::account_data::require_own;
use super::filter::Filter;
use super::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::routes::Route;
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::flow::Step;
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::limits::MAX_FILTERS;
use crate::store::tables::{Table, tags};
use crate::store::{Order, Read, StorageError};
use crate::time::Timestamp;

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Post,
        "/_matrix/client/v3/user/{userId}/filter",
        Auth::Guest,
        Limit::Write,
        Handler::Step(define),
    ),
    Route::new(
        Method::Get,
        "/_matrix/client/v3/user/{userId}/filter/{filterId}",
        Auth::Guest,
        Limit::None,
        Handler::Query(get),
    ),
];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    /// When a client last uploaded it.
    defined: Timestamp,
    /// In canonical JSON.
    text: Vec<u8>,
}

/// By user and filter ID.
const FILTERS: Table<(UserId, String), Row> = Table::new(tags::FILTER);

/// The filter that `/sync` is given as its query parameter: JSON if it begins with `{`, otherwise the ID of a stored one.
pub fn of_query(read: &(impl Read + ?Sized), user_id: &UserId, filter: &str) -> Result<Filter, ApiError> {
    if filter.starts_with('{') {
        return Filter::parse_text(filter);
    }
    let Some(row) = FILTERS.get(read, (user_id, filter))? else {
        return Err(ApiError::invalid_param("There is no filter with this ID"));
    };
    let text = core::str::from_utf8(&row.text).map_err(|_| StorageError("a filter is not UTF-8".into()))?;
    Filter::parse_text(text)
}

/// `POST /user/{userId}/filter`.
fn define(step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let user_id = require_own(request, "filters")?;
    let body = request.object()?;
    Filter::parse(&body)?;
    let text = body.to_bytes();
    let id = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..12]);
    if !FILTERS.contains(step, (user_id, &id))? {
        make_place(step, user_id)?;
    }
    FILTERS.put(step, (user_id, &id), &Row { defined: step.now, text });
    Ok(Response::json(200, &Object::new().with("filter_id", id).into()))
}

/// Drops the filter whose upload is longest ago if the user has [`MAX_FILTERS`].
fn make_place(step: &mut Step<'_>, user_id: &UserId) -> Result<(), StorageError> {
    let mut count = 0;
    let mut oldest: Option<(Timestamp, String)> = None;
    FILTERS.scan::<StorageError>(step, (user_id,), Order::Ascending, |(_, id), row| {
        count += 1;
        if oldest.as_ref().is_none_or(|(defined, _)| row.defined < *defined) {
            oldest = Some((row.defined, id));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some((_, id)) = oldest.filter(|_| count >= MAX_FILTERS) {
        FILTERS.delete(step, (user_id, id));
    }
    Ok(())
}

/// `GET /user/{userId}/filter/{filterId}`.
fn get(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let user_id = require_own(request, "filters")?;
    match FILTERS.get(context.read, (user_id, request.param(1)))? {
        Some(row) => Ok(Response::json_bytes(200, row.text.into())),
        None => Err(ApiError::not_found("There is no filter with this ID")),
    }
}

#[cfg(test)]
mod tests;
