use alloc::format;
use alloc::string::{String, ToString};

use crate::canonical_json::Value;
use crate::http::Method;
use crate::testing::{Server, User, json};

const USERINFO: &str = "/_matrix/federation/v1/openid/userinfo";

fn path(user: &User) -> String {
    format!("/_matrix/client/v3/user/{}/openid/request_token", user.user_id)
}

fn token(server: &mut Server, user: &User) -> String {
    let answer = server.ok(Method::Post, &path(user), user, json!({}));
    assert_eq!(answer.get("token_type"), Some(&Value::from("Bearer")));
    assert_eq!(answer.get("matrix_server_name"), Some(&Value::from("example.org")));
    assert_eq!(answer.get("expires_in"), Some(&Value::from(3600u32)));
    answer.get("access_token").and_then(Value::as_str).expect("there is a token").to_string()
}

#[test]
fn a_token_tells_who_asked_for_it_and_nothing_more() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let token = token(&mut server, &alice);
    let answer = server.ok(Method::Get, &format!("{USERINFO}?access_token={token}"), (), ());
    assert_eq!(answer, json!({ "sub": (&alice.user_id) }));
    server.fails(Method::Get, "/_matrix/client/v3/account/whoami", token.as_str(), (), 401, "M_UNKNOWN_TOKEN");
    server.advance(3_600_000);
    server.fails(Method::Get, &format!("{USERINFO}?access_token={token}"), (), (), 401, "M_UNKNOWN_TOKEN");
}

#[test]
fn bad_input() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    server.fails(Method::Post, &path(&bob), &alice, json!({}), 403, "M_FORBIDDEN");
    server.fails(Method::Post, &path(&alice), &alice, "[]", 400, "M_BAD_JSON");
    server.fails(Method::Get, USERINFO, (), (), 401, "M_MISSING_TOKEN");
    for wrong in ["", "x", "oryo_", "oryo_alice_", "oryo_%00_x", "oryo_nobody_x", alice.token.as_str()] {
        server.fails(Method::Get, &format!("{USERINFO}?access_token={wrong}"), (), (), 401, "M_UNKNOWN_TOKEN");
    }
}

#[test]
fn the_oldest_of_many_makes_room() {
    let mut server = Server::new();
    let alice = server.register("alice");
    let first = token(&mut server, &alice);
    let second = token(&mut server, &alice);
    for _ in 0..crate::limits::MAX_OPENID_TOKENS - 1 {
        token(&mut server, &alice);
    }
    server.fails(Method::Get, &format!("{USERINFO}?access_token={first}"), (), (), 401, "M_UNKNOWN_TOKEN");
    server.ok(Method::Get, &format!("{USERINFO}?access_token={second}"), (), ());
}
