use alloc::string::String;

use super::*;

fn check_bad(text: &str, errcode: &str) {
    match Filter::parse_text(text) {
        Err(error) => assert_eq!((error.status, error.errcode), (400, errcode), "{text}"),
        Ok(filter) => panic!("{text} was taken as {filter:?}"),
    }
}

#[test]
fn malformed_filters_are_refused() {
    for text in ["{", "{}}", "{\"room\":", "\u{0}"] {
        check_bad(text, "M_NOT_JSON");
    }
    let cases = [
        "[]",
        "\"a\"",
        r#"{"event_fields":"type"}"#,
        r#"{"event_fields":[1]}"#,
        r#"{"event_format":"xml"}"#,
        r#"{"event_format":1}"#,
        r#"{"presence":[]}"#,
        r#"{"presence":{"limit":"10"}}"#,
        r#"{"presence":{"limit":-1}}"#,
        r#"{"presence":{"limit":1.5}}"#,
        r#"{"presence":{"types":"m.presence"}}"#,
        r#"{"account_data":{"types":[{}]}}"#,
        r#"{"room":"all"}"#,
        r#"{"room":{"include_leave":"yes"}}"#,
        r#"{"room":{"rooms":["general"]}}"#,
        r#"{"room":{"not_rooms":{}}}"#,
        r#"{"room":{"timeline":1}}"#,
        r#"{"room":{"timeline":{"senders":["alice"]}}}"#,
        r#"{"room":{"timeline":{"not_senders":[null]}}}"#,
        r#"{"room":{"state":{"lazy_load_members":1}}}"#,
        r#"{"room":{"state":{"contains_url":"no"}}}"#,
        r#"{"room":{"ephemeral":{"rooms":["!"]}}}"#,
    ];
    for text in cases {
        check_bad(text, "M_BAD_JSON");
    }
    let many = alloc::format!(r#"{{"presence":{{"types":[{}"a"]}}}}"#, r#""a","#.repeat(MAX_FILTER_TYPES));
    check_bad(&many, "M_BAD_JSON");
}

#[test]
fn absent_and_unknown_members_are_nothing() {
    for text in ["{}", r#"{"room":null,"presence":{}}"#, r#"{"org.example.extension":true}"#] {
        assert_eq!(Filter::parse_text(text).unwrap(), Filter::default(), "{text}");
    }
}

fn check_event(filter: &str, kind: &str, sender: &str, expected: bool) {
    let filter = RoomEventFilter::parse_text(filter).unwrap();
    let content = br#"{"body":"\"url\": is not a key","info":{"url":"mxc://a/b"}}"#;
    let event = Candidate { kind, sender, content };
    assert_eq!(filter.passes(&event), expected, "{filter:?}: {kind} by {sender}");
}

#[test]
fn filters_choose_by_type_sender_and_url() {
    let (alice, message) = ("@alice:a.example", "m.room.message");
    check_event("{}", message, alice, true);
    check_event(r#"{"types":[]}"#, message, alice, false);
    check_event(r#"{"types":["m.room.*"]}"#, message, alice, true);
    check_event(r#"{"types":["*.message"]}"#, message, alice, true);
    check_event(r#"{"types":["m*ss*ge"]}"#, message, alice, true);
    check_event(r#"{"types":["m.room.messag"]}"#, message, alice, false);
    check_event(r#"{"types":["m.room.message*x"]}"#, message, alice, false);
    check_event(r#"{"types":["*"],"not_types":["m.room.m*"]}"#, message, alice, false);
    check_event(r#"{"not_types":["m.room.member"]}"#, message, alice, true);
    check_event(r#"{"senders":["@alice:a.example"]}"#, message, alice, true);
    check_event(r#"{"senders":["@bob:a.example"]}"#, message, alice, false);
    check_event(r#"{"senders":["@alice:a.example"],"not_senders":["@alice:a.example"]}"#, message, alice, false);
    check_event(r#"{"contains_url":false}"#, message, alice, true);
    check_event(r#"{"contains_url":true}"#, message, alice, false);
}

#[test]
fn filters_choose_rooms() {
    let parse = |text: &str| Filter::parse_text(text).unwrap().room.rooms;
    assert!(parse("{}").selects("!a:a.example"));
    assert!(!parse(r#"{"room":{"rooms":[]}}"#).selects("!a:a.example"));
    let both = parse(r#"{"room":{"rooms":["!a:a.example","!b:a.example"],"not_rooms":["!b:a.example"]}}"#);
    assert!(both.selects("!a:a.example"));
    assert!(!both.selects("!b:a.example"));
}

#[test]
fn event_fields_pick_nested_members() {
    let event = r#"before{"content":{"a":{"b":1,"c":2},"body":"x","m.relates_to":{"k":1},"m\\foo":3},"type":"t"}"#;
    let check = |paths: &[&str], expected: &str| {
        let mut out = Vec::from(event.as_bytes());
        EventFields::parse(paths).unwrap().apply(6, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), alloc::format!("before{expected}"), "{paths:?}");
    };
    check(&["type"], r#"{"type":"t"}"#);
    check(&["content.body", "content.a.c"], r#"{"content":{"a":{"c":2},"body":"x"}}"#);
    check(&["content.a", "content.a.b"], r#"{"content":{"a":{"b":1,"c":2}}}"#);
    check(&[r"content.m\.relates_to", r"content.m\\foo"], r#"{"content":{"m.relates_to":{"k":1},"m\\foo":3}}"#);
    check(&[r"content.m\foo"], r#"{"content":{"m\\foo":3}}"#);
    check(&["content.body.x", "nothing", "type.x"], "{}");
    assert_eq!(EventFields::parse(&[]), None);
}
