use super::*;
use crate::testing::{Server, json};

#[test]
fn the_delegate_is_told_if_there_is_one() {
    const PATH: &str = "/.well-known/matrix/server";
    Server::new().fails(Method::Get, PATH, (), (), 404, "M_NOT_FOUND");
    let mut server = Server::with(|config| config.federation.delegate = Some("m.example.org:443".into()));
    assert_eq!(server.ok(Method::Get, PATH, (), ()), json!({ "m.server": "m.example.org:443" }));
}
