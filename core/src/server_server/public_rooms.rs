//! `GET` and `POST /_matrix/federation/v1/publicRooms` (Server-Server API, "Published Room Directory"): the list that this
//! server's own clients see.

use crate::client::request::{Auth, Handler, Limit};
use crate::client::rooms::public_rooms::{list, search};
use crate::client::routes::Route;
use crate::http::Method;

const PATH: &str = "/_matrix/federation/v1/publicRooms";

pub const ROUTES: &[Route] = &[
    Route::new(Method::Get, PATH, Auth::Server, Limit::None, Handler::HeavyQuery(list)),
    Route::new(Method::Post, PATH, Auth::Server, Limit::None, Handler::HeavyQuery(search)),
];
