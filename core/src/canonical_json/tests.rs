use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::limits::MAX_JSON_DEPTH;

fn check(input: &str, canonical: &str) {
    let value = parse(input.as_bytes()).unwrap_or_else(|error| panic!("{input}: {error}"));
    assert_eq!(value.to_string(), canonical, "{input}");
    let again = parse(canonical.as_bytes()).unwrap_or_else(|error| panic!("{canonical}: {error}"));
    assert_eq!(again.to_string(), canonical, "canonical text stays what it is");
}

fn refuse(input: impl AsRef<[u8]>, at: usize, what: &'static str) {
    let input = input.as_ref();
    assert_eq!(parse(input), Err(ParseError { at, what }), "{}", String::from_utf8_lossy(input));
}

#[test]
fn members_are_sorted_by_code_point() {
    check(r#"{"b":1,"a":2,"":3,"aa":4,"B":5}"#, r#"{"":3,"B":5,"a":2,"aa":4,"b":1}"#);
    // By UTF-16 code unit the second would come first.
    check("{\"\u{10000}\":1,\"\u{ffff}\":2}", "{\"\u{ffff}\":2,\"\u{10000}\":1}");
}

/// PITFALLS 12.
#[test]
fn of_two_members_with_one_name_the_last_counts() {
    check(r#"{"a":1,"a":2}"#, r#"{"a":2}"#);
    check(r#"{"a":1,"b":0,"a":{"c":1,"c":2},"a":3,"b":4}"#, r#"{"a":3,"b":4}"#);
    check(r#"{"a":1,"\u0061":2}"#, r#"{"a":2}"#);
}

#[test]
fn strings_have_the_shortest_escapes() {
    check(r#""\u0041\/\u00e9""#, "\"A/\u{e9}\"");
    check(r#""\u0022\u005c\u0008\u000c\u000a\u000d\u0009""#, r#""\"\\\b\f\n\r\t""#);
    check(r#""\u0000\u000B\u001F""#, r#""\u0000\u000b\u001f""#);
    check("\"\u{7f}\\u007f\"", "\"\u{7f}\u{7f}\"");
    check(r#""\ud83d\ude00\uD83D\uDE00""#, "\"\u{1f600}\u{1f600}\"");
    check("\"a long text, \u{65e5}\u{672c}\u{8a9e}, and \\n\"", "\"a long text, \u{65e5}\u{672c}\u{8a9e}, and \\n\"");
}

/// Every byte at every place within the words that the scanner reads.
#[test]
fn the_scanner_stops_at_what_needs_an_escape() {
    for special in 0..=0x7fu8 {
        for at in 0..20 {
            let mut text: Vec<u8> = (0..20).map(|i| b'a' + i).collect();
            text[at] = special;
            let is_special = special < 0x20 || special == b'"' || special == b'\\';
            assert_eq!(scan::plain_prefix(&text), if is_special { at } else { 20 }, "{special} at {at}");
        }
    }
    let text = "\u{65e5}\u{672c}\u{8a9e}\u{ff}\u{10ffff}".repeat(3);
    assert_eq!(scan::plain_prefix(text.as_bytes()), text.len());
}

/// PITFALLS 12.
#[test]
fn numbers() {
    let check = |text: &str, canonical: &str, strict: bool| {
        check(text, canonical);
        let value = parse(text.as_bytes()).unwrap();
        assert_eq!(value.require_strict().is_ok(), strict, "{text}");
        let again = parse(canonical.as_bytes()).unwrap();
        assert_eq!(value.as_integer(), again.as_integer(), "{text}");
        assert_eq!(value.truncated_integer(), again.truncated_integer(), "{text}");
    };
    check("0", "0", true);
    check("-1", "-1", true);
    check("9007199254740991", "9007199254740991", true);
    check("-9007199254740991", "-9007199254740991", true);
    check("9007199254740992", "9007199254740992", false);
    check("-9007199254740992", "-9007199254740992", false);
    check("123456789012345678901234567890", "123456789012345678901234567890", false);
    check("-0", "0", false);
    check("-0e7", "0", false);
    check("-0.0", "-0.0", false);
    check("0.1", "0.1", false);
    check("1.0", "1.0", false);
    check("1e10", "10000000000", false);
    check("-1E+2", "-100", false);
    check("120e-1", "12", false);
    check("125e-1", "125e-1", false);
    check("9007199254740991e0", "9007199254740991", false);
    check("9007199254740992e0", "9007199254740992e0", false);
    check("1e15", "1000000000000000", false);
    check("1e16", "1e16", false);
    check("1e999999999999999999999", "1e999999999999999999999", false);
    check("1e-999999999999999999999", "1e-999999999999999999999", false);
    check("0e999999999999999999999", "0", false);
    check("1.5e300", "1.5e300", false);
}

#[test]
fn power_levels_of_old_rooms_are_truncated() {
    let check = |text: &str, expected: Option<i64>| {
        assert_eq!(parse(text.as_bytes()).unwrap().truncated_integer(), expected, "{text}");
    };
    check("50", Some(50));
    check("5.114698E4", Some(51146));
    check("50.57", Some(50));
    check("-50.57", Some(-50));
    check("0.99", Some(0));
    check("-0.0", Some(0));
    check("0.0005e4", Some(5));
    check("0e999", Some(0));
    check("125e-1", Some(12));
    check("1e-400", Some(0));
    check("9007199254740992", Some(9_007_199_254_740_992));
    check("9223372036854775807", Some(i64::MAX));
    check("9223372036854775808", Some(i64::MAX));
    check("-1e300", Some(i64::MIN));
    check("1.7976931348623157e308", Some(i64::MAX));
    check("1.7976931348623159e308", None);
    check("1e309", None);
    check("-1e999999999999999999999", None);
    check(r#""50""#, None);
    check("null", None);
}

#[test]
fn what_is_not_json() {
    refuse("", 0, "the text ends early");
    refuse("{} {}", 3, "more after the value");
    refuse("nul", 0, "unknown word");
    refuse("NaN", 0, "no value begins like this");
    refuse("-Infinity", 1, "expected a digit");
    refuse("01", 1, "more after the value");
    refuse("+1", 0, "no value begins like this");
    refuse("1.", 2, "expected a digit");
    refuse(".1", 0, "no value begins like this");
    refuse("1e", 2, "expected a digit");
    refuse("[1,]", 3, "no value begins like this");
    refuse("[1 2]", 3, "expected , or ]");
    refuse(r#"{"a":1,}"#, 7, "expected a member's name");
    refuse(r#"{"a" 1}"#, 5, "expected :");
    refuse(r#"{"a":1 "b":2}"#, 7, "expected , or }");
    refuse(r#"{a:1}"#, 1, "expected a member's name");
    refuse(r#"{"a":"#, 5, "the text ends early");
    refuse(r#""a"#, 2, "the text ends inside a string");
    refuse(r#""a\"#, 3, "the text ends inside a string");
    refuse("\"a\nb\"", 2, "a control character inside a string");
    refuse(r#""\x""#, 2, "unknown escape");
    refuse(r#""\u12g4""#, 5, "expected four hexadecimal digits");
    refuse("\u{feff}{}", 0, "no value begins like this");
    refuse("/**/{}", 0, "no value begins like this");
}

/// PITFALLS 12.
#[test]
fn text_that_has_no_canonical_encoding() {
    refuse(r#""\ud800""#, 7, "a lone surrogate");
    refuse(r#""\udc00""#, 7, "a lone surrogate");
    refuse(r#""\ud800\u0041""#, 13, "a lone surrogate");
    refuse(r#""\ud800\ud800""#, 13, "a lone surrogate");
    refuse(b"\"\xff\"", 1, "not UTF-8");
    // A surrogate, and an overlong encoding, in UTF-8.
    refuse(b"\"\xed\xa0\x80\"", 1, "not UTF-8");
    refuse(b"\"\xc0\x80\"", 1, "not UTF-8");
    refuse(b"{}\xe6\x97", 2, "not UTF-8");
}

/// PITFALLS 12.
#[test]
fn nesting_is_bounded() {
    let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + &close.repeat(depth);
    check(&nested("[", "]", MAX_JSON_DEPTH), &nested("[", "]", MAX_JSON_DEPTH));
    refuse(nested("[", "]", MAX_JSON_DEPTH + 1), MAX_JSON_DEPTH, "nested too deeply");
    refuse("[".repeat(1_000_000), MAX_JSON_DEPTH, "nested too deeply");
    refuse(r#"{"a":"#.repeat(1_000_000), MAX_JSON_DEPTH * 5, "nested too deeply");
}

#[test]
fn nesting_is_counted() {
    let check = |text: &str, expected: usize| assert_eq!(parse(text.as_bytes()).unwrap().nesting(), expected, "{text}");
    check("1", 0);
    check("[]", 1);
    check("{}", 1);
    check(r#"{"a":[1,{},[]],"b":{"c":{"d":[]}}}"#, 4);
}

#[test]
fn objects_are_changed_by_name() {
    let mut object: Object = [("b", 1i64), ("a", 2), ("b", 3)].into_iter().collect();
    assert_eq!(object, Object::new().with("a", 2i64).with("b", 3i64));
    assert_eq!(object.insert("a", "x"), Some(Value::Integer(2)));
    assert_eq!((object.str("a"), object.integer("b"), object.get("c")), (Some("x"), Some(3), None));
    assert_eq!(object.remove("a"), Some(Value::from("x")));
    object.retain(|name, _| name != "b");
    assert!(object.is_empty());
    assert_eq!(object.with("x", 1i64).with("y", Value::Null).to_bytes_except(&["x"]), br#"{"y":null}"#);
}
