use alloc::format;
use alloc::string::{String, ToString};

use super::*;
use crate::http::Method::{Get, Post};
use crate::testing::{Server, User, json};

fn define(server: &mut Server, user: &User, filter: crate::canonical_json::Value) -> String {
    let answer = server.ok(Post, &format!("/_matrix/client/v3/user/{}/filter", user.user_id), user, filter);
    answer.get("filter_id").unwrap().as_str().unwrap().to_string()
}

#[test]
fn a_filter_is_stored_once_and_found_again() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let filter = json!({ "room": { "timeline": { "limit": 20 }, "state": { "lazy_load_members": true } } });
    let id = define(&mut server, &alice, filter.clone());
    assert_eq!(define(&mut server, &alice, filter.clone()), id);
    assert_ne!(define(&mut server, &alice, json!({})), id);
    let mut server = server.crash();
    let path = format!("/_matrix/client/v3/user/{}/filter/{id}", alice.user_id);
    assert_eq!(server.ok(Get, &path, &alice, ()), filter);
    server.fails(Get, &path, &bob, (), 403, "M_FORBIDDEN");
    server.fails(Get, &format!("{path}x"), &alice, (), 404, "M_NOT_FOUND");
    let stored = server.inspect(|read| of_query(read, &alice.user_id, &id).unwrap());
    assert!(stored.room.state.lazy_load_members);
    let inline = server.inspect(|read| of_query(read, &alice.user_id, &filter.to_string()).unwrap());
    assert_eq!(stored, inline);
    assert_eq!(server.inspect(|read| of_query(read, &bob.user_id, &id).unwrap_err().status), 400);
}

#[test]
fn bad_filters_are_refused() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let path = format!("/_matrix/client/v3/user/{}/filter", alice.user_id);
    server.fails(Post, &path, &alice, "", 400, "M_NOT_JSON");
    server.fails(Post, &path, &alice, json!([]), 400, "M_BAD_JSON");
    server.fails(Post, &path, &alice, json!({ "room": { "timeline": { "limit": "x" } } }), 400, "M_BAD_JSON");
    server.fails(Post, "/_matrix/client/v3/user/@bob:example.org/filter", &alice, json!({}), 403, "M_FORBIDDEN");
}

#[test]
fn the_oldest_filter_makes_place() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let mut ids = Vec::new();
    for limit in 1..=MAX_FILTERS + 1 {
        ids.push(define(&mut server, &alice, json!({ "room": { "timeline": { "limit": (limit as u64) } } })));
        server.advance(1);
    }
    let path = |id: &str| format!("/_matrix/client/v3/user/{}/filter/{id}", alice.user_id);
    server.fails(Get, &path(&ids[0]), &alice, (), 404, "M_NOT_FOUND");
    server.ok(Get, &path(&ids[1]), &alice, ());
}
