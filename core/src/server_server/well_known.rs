//! `GET /.well-known/matrix/server` (Server-Server API, "Resolving server names"): where other servers find this one.

use crate::canonical_json::Object;
use crate::client::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::http::{Method, Response};

pub const ROUTES: &[Route] =
    &[Route::new(Method::Get, "/.well-known/matrix/server", Auth::None, Limit::None, Handler::Query(well_known))];

fn well_known(context: &QueryContext<'_>, _: &ClientRequest) -> Answer {
    match context.config.federation.delegate.as_deref() {
        Some(delegate) => Ok(Response::json(200, &Object::new().with("m.server", delegate).into())),
        None => Err(ApiError::not_found("This server delegates to no other")),
    }
}

#[test]
fn the_delegate_is_told_if_there_is_one() {
    use crate::testing::{Server, json};
    const PATH: &str = "/.well-known/matrix/server";
    Server::new().fails(Method::Get, PATH, (), (), 404, "M_NOT_FOUND");
    let mut server = Server::with(|config| config.federation.delegate = Some("m.example.org:443".into()));
    assert_eq!(server.ok(Method::Get, PATH, (), ()), json!({ "m.server": "m.example.org:443" }));
}
