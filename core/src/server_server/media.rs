//! `GET /_matrix/federation/v1/media/download/{mediaId}` and `/thumbnail/{mediaId}` (Server-Server API, "Content Repository").
//! This server keeps no media yet, and so has none of whatever is asked for.

use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::Method;

macro_rules! route {
    ($path:literal) => {
        Route::new(Method::Get, $path, Auth::Server, Limit::None, Handler::Query(media))
    };
}

pub const ROUTES: &[Route] = &[
    route!("/_matrix/federation/v1/media/download/{mediaId}"),
    route!("/_matrix/federation/v1/media/thumbnail/{mediaId}"),
];

fn media(_: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    Err(ApiError::not_found("There is no such media on this server"))
}
