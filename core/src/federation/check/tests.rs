use crate::canonical_json::Value;
use crate::http::Method;
use crate::testing::json;
use crate::testing::network::Net;

fn check(net: &mut Net, server: &str) -> Value {
    let target = alloc::format!("/_orrery/admin/v1/federation/check/{server}");
    net.ok("a.test", Method::Get, &target, "admin secret", ())
}

#[test]
fn all_is_told_of_a_server_that_is_there() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let found = check(&mut net, "b.test");
    assert_eq!(found.get("errors"), Some(&json!({})), "{found}");
    let place = json!({ "host": "b.test", "port": 8448, "tls_name": "b.test", "host_header": "b.test" });
    assert_eq!(found.get("places"), Some(&json!([(place)])));
    assert_eq!(found.get("version").and_then(|version| version.get("name")), Some(&Value::from("Orrery")));
    assert!(found.get("keys").and_then(|keys| keys.get("verify_keys")).is_some());
}

#[test]
fn what_is_wrong_is_told() {
    let mut net = Net::new(&["a.test", "b.test"]);
    net.lie("b.test", "/_matrix/key/v2/server", 200, json!({ "server_name": "c.test" }));
    net.lie("b.test", "/_matrix/federation/v1/version", 500, json!({ "errcode": "M_UNKNOWN", "error": "Oh" }));
    let found = check(&mut net, "b.test");
    let errors = found.get("errors").and_then(Value::as_object).unwrap();
    assert_eq!(errors.str("keys"), Some("verify_keys is missing"));
    assert_eq!(errors.str("version"), Some("it refused: 500 M_UNKNOWN: Oh"));
    let found = check(&mut net, "z.test:0");
    let errors = found.get("errors").and_then(Value::as_object).unwrap();
    assert_eq!(errors.str("discovery"), Some("z.test:0 has a port that does not exist"));
    net.server("a.test").fails(Method::Get, "/_orrery/admin/v1/federation/check/b.test", (), (), 404, "M_UNRECOGNIZED");
}
