use super::*;

#[test]
fn redirects_lead_to_https_and_nowhere_else() {
    let from =
        Url { host: ServerName::parse("a.test:8443").unwrap(), target: "/.well-known/matrix/server?x=1".to_string() };
    let check = |location: &str, expected: Option<(&str, &str)>| {
        let found = from.join(location);
        let found = found.as_ref().map(|url| (url.host.as_str(), url.target.as_str()));
        assert_eq!(found, expected, "{location}");
    };
    check("https://b.test/x", Some(("b.test", "/x")));
    check("HTTPS://b.test:444/x?y=z#part", Some(("b.test:444", "/x?y=z")));
    check("https://b.test", Some(("b.test", "/")));
    check("https://b.test?y", Some(("b.test", "/?y")));
    check("https://[::1]/x", Some(("[::1]", "/x")));
    check("//b.test/x", Some(("b.test", "/x")));
    check("/x?u=http://c.test", Some(("a.test:8443", "/x?u=http://c.test")));
    check("other", Some(("a.test:8443", "/.well-known/matrix/other")));
    check("?y", Some(("a.test:8443", "/.well-known/matrix/server?y")));
    for refused in [
        "http://b.test/x",
        "file:///etc/passwd",
        "https:x",
        "https://user@b.test/x",
        "https:///x",
        "https://b.test/a b",
        "https://b.test/\r\nX: y",
        "https://b\u{e4}.test/",
        "",
        "#part",
    ] {
        check(refused, None);
    }
}
