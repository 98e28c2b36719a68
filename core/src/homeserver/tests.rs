use crate::http::Method;
use crate::testing::{Server, json};

#[test]
fn unknown_paths_are_unrecognized() {
    let mut server = Server::new();
    server.fails(Method::Get, "/_matrix/client/v3/nothing", (), (), 404, "M_UNRECOGNIZED");
    server.fails(Method::Post, "/", (), json!({ "a": [1, null, { "b": (-1) }] }), 404, "M_UNRECOGNIZED");
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let since = server.ok(Method::Get, "/_matrix/client/v3/sync", &alice, ());
    let since = since.get("next_batch").and_then(|token| token.as_str()).unwrap();
    let poll =
        server.start(Method::Get, &alloc::format!("/_matrix/client/v3/sync?since={since}&timeout=1000"), &alice, ());
    server.now.0 -= 3_600_000;
    server.ok(Method::Get, "/_matrix/client/v3/account/whoami", &alice, ());
    assert!(server.take_reply(poll).is_none());
    // Some of its milliseconds do not count until it has caught up.
    server.advance(1_400);
    assert!(server.take_reply(poll).is_some());
}
