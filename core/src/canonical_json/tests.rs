use alloc::string::ToString;

use super::*;

fn check(input: &str, canonical: &str) {
    let value = parse(input.as_bytes()).unwrap_or_else(|error| panic!("{input}: {error}"));
    assert_eq!(value.to_string(), canonical, "{input}");
    assert_eq!(parse(canonical.as_bytes()), Ok(value), "{canonical} parses to what it was made of");
}

/// Appendices, "Examples" of canonical JSON.
#[test]
fn specification_examples() {
    check("{}", "{}");
    check(r#"{"one": 1, "two": "Two"}"#, r#"{"one":1,"two":"Two"}"#);
    check(r#"{"b": "2", "a": "1"}"#, r#"{"a":"1","b":"2"}"#);
    check(r#"{"a": "日本語"}"#, r#"{"a":"日本語"}"#);
    check(r#"{"本": 2, "日": 1}"#, r#"{"日":1,"本":2}"#);
    check(r#"{"a": "\u65E5"}"#, r#"{"a":"日"}"#);
    check(r#"{"a": null}"#, r#"{"a":null}"#);
}
