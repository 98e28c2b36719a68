use crate::config::SupportContact;
use crate::http::Method::Get;
use crate::testing::{Server, json};

#[test]
fn versions_are_listed_one_by_one_whoever_asks() {
    let mut server = Server::new();
    for who in ["", "unknown"] {
        let answer = server.ok(Get, "/_matrix/client/versions", who, ());
        let versions = answer.get("versions").unwrap().as_array().unwrap();
        for version in ["r0.6.1", "v1.1", "v1.4", "v1.16", "v1.19"] {
            assert!(versions.contains(&json!(version)), "{version}");
        }
    }
}

#[test]
fn well_known_files_are_there_if_configured() {
    let mut server = Server::new();
    server.fails(Get, "/.well-known/matrix/client", (), (), 404, "M_NOT_FOUND");
    server.fails(Get, "/.well-known/matrix/support", (), (), 404, "M_NOT_FOUND");

    let mut server = server.restart_with(|config| {
        config.client_base_url = Some("https://example.org/".into());
        config.support.page = Some("https://example.org/help".into());
        let matrix_id = Some("@admin:example.org".into());
        config.support.contacts.push(SupportContact { role: "m.role.admin".into(), email: None, matrix_id });
    });
    let client = server.ok(Get, "/.well-known/matrix/client", (), ());
    assert_eq!(client, json!({ "m.homeserver": { "base_url": "https://example.org/" } }));
    let support = server.ok(Get, "/.well-known/matrix/support", (), ());
    assert_eq!(
        support,
        json!({
            "contacts": [{ "role": "m.role.admin", "matrix_id": "@admin:example.org" }],
            "support_page": "https://example.org/help"
        })
    );
}
