use crate::http::Method;
use crate::testing::{Server, json};

#[test]
fn unknown_paths_are_unrecognized() {
    let mut server = Server::new();
    server.fails(Method::Get, "/_matrix/client/v3/nothing", (), (), 404, "M_UNRECOGNIZED");
    server.fails(Method::Post, "/", (), json!({ "a": [1, null, { "b": (-1) }] }), 404, "M_UNRECOGNIZED");
}
