use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

use super::*;
use crate::canonical_json::Value;
use crate::http::Method;
use crate::signing::SigningKey;
use crate::testing::json;
use crate::testing::network::Net;

const TARGET: &str = "/_matrix/federation/v1/send/1?x=%2F";

fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

fn body() -> Value {
    json!({ "pdus": [], "n": 1 })
}

/// The key that [`Net`] gives its server number `i`.
fn key(i: u8) -> SigningKey {
    SigningKey::from_seed("1", &[50 + i; 32]).unwrap()
}

/// What a.test sends to b.test, and what becomes of it there after `change`.
fn check(change: impl FnOnce(&mut Request)) -> (Result<ServerName, u16>, Net) {
    let mut net = Net::new(&["a.test", "b.test"]);
    let names = (&name("a.test"), &name("b.test"));
    let header = x_matrix::authorization(&key(0), names, Method::Put, TARGET, Some(body()));
    let (path, query) = TARGET.split_once('?').unwrap();
    let mut request = Request {
        method: Method::Put,
        path: path.to_string(),
        query: query.to_string(),
        authorization: Some(header),
        user_agent: None,
        remote: None,
        body: body().to_bytes().into(),
    };
    change(&mut request);
    let verdict = net.run("b.test", |cx| async move { authenticate(&cx, &request).await });
    let verdict = verdict.map(|(origin, _)| origin).map_err(|error| {
        assert!(error.errcode == "M_UNAUTHORIZED" || error.errcode == "M_NOT_JSON", "{error}");
        error.status
    });
    (verdict, net)
}

fn sign_with(key: &SigningKey, origin: &str, destination: &str) -> impl FnOnce(&mut Request) + use<> {
    let names = (&name(origin), &name(destination));
    let header = x_matrix::authorization(key, names, Method::Put, TARGET, Some(body()));
    |request| request.authorization = Some(header)
}

fn edit(from: &'static str, to: &'static str) -> impl FnOnce(&mut Request) {
    move |request| {
        let header = request.authorization.as_mut().unwrap();
        assert!(header.contains(from), "{header}");
        *header = header.replace(from, to);
    }
}

#[test]
fn a_signed_request_says_who_sends_it() {
    let (verdict, net) = check(|_| ());
    assert_eq!(verdict, Ok(name("a.test")));
    assert_eq!(net.log, ["b.test a.test GET /_matrix/key/v2/server"]);
}

#[test]
fn the_header_may_be_written_in_several_ways() {
    for (from, to) in [
        ("X-Matrix ", "x-matrix   "),
        (",", " ,\t "),
        ("destination=\"b.test\",", ""),
        ("origin=", "unknown=\"x,\\\"y\",ORIGIN="),
        ("\"a.test\"", "a.test"),
        ("\"ed25519:1\"", "ed25519:1"),
        ("\"a.test\"", "\"a\\.test\""),
    ] {
        assert_eq!(check(edit(from, to)).0, Ok(name("a.test")), "{from} -> {to}");
    }
}

#[test]
fn whoever_is_not_the_origin_is_refused() {
    type Change = Box<dyn FnOnce(&mut Request)>;
    let refused: Vec<(&str, Change)> = vec![
        ("unsigned", Box::new(|request| request.authorization = None)),
        ("a token", Box::new(|request| request.authorization = Some("Bearer x".to_string()))),
        ("another's key", Box::new(sign_with(&key(1), "a.test", "b.test"))),
        ("for another", Box::new(sign_with(&key(0), "a.test", "c.test"))),
        (
            "said to be for us",
            Box::new(|request| {
                sign_with(&key(0), "a.test", "c.test")(request);
                edit("c.test", "b.test")(request);
            }),
        ),
        ("another origin", Box::new(edit("origin=\"a.test\"", "origin=\"b.test\""))),
        ("nobody's origin", Box::new(edit("origin=\"a.test\"", "origin=\"z.test\""))),
        ("a key that is not there", Box::new(edit("ed25519:1", "ed25519:2"))),
        ("another algorithm", Box::new(edit("ed25519:1", "rot13:1"))),
        ("another method", Box::new(|request| request.method = Method::Post)),
        ("another path", Box::new(|request| request.path.push('2'))),
        ("another encoding", Box::new(|request| request.query = "x=/".to_string())),
        ("another body", Box::new(|request| request.body = Bytes::from("{\"n\":2,\"pdus\":[]}"))),
        ("no body", Box::new(|request| request.body = Bytes::new())),
        ("half a header", Box::new(edit(",sig=\"", ",sig=\"A\\"))),
    ];
    for (what, change) in refused {
        assert_eq!(check(change).0, Err(401), "{what}");
    }
    assert_eq!(check(|request| request.body = Bytes::from("{")).0, Err(400));
}

#[test]
fn white_space_in_the_body_does_not_matter() {
    let spaced = |request: &mut Request| request.body = Bytes::from(" { \"pdus\" : [ ] , \"n\" : 1 } ");
    assert_eq!(check(spaced).0, Ok(name("a.test")));
}

#[test]
fn made_up_servers_do_not_keep_users_out() {
    let mut server = crate::testing::Server::new();
    let request = |i: usize| {
        let names = (&name(&alloc::format!("s{i}.test")), &name("example.org"));
        let target = "/_matrix/federation/v1/query/profile";
        Request {
            method: Method::Get,
            path: target.to_string(),
            query: alloc::string::String::new(),
            authorization: Some(x_matrix::authorization(&key(0), names, Method::Get, target, None)),
            user_agent: None,
            remote: None,
            body: Bytes::new(),
        }
    };
    for i in 0..crate::limits::MAX_FLOWS_FOR_SERVERS {
        let id = server.start_raw(request(i));
        assert!(server.take_response(id).is_none(), "{i}: it is being looked for");
    }
    let id = server.start_raw(request(1_000_000));
    assert_eq!(server.take_response(id).map(|response| response.status), Some(429));
    server.register("alice");
}
