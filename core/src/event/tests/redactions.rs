//! Room version pages, "Redactions".

use super::*;

/// In version `version` of an event of `kind`, `kept` is what stays of `content`.
fn check(version: RoomVersion, kind: &str, content: &str, kept: &str) {
    assert_eq!(
        Value::Object(redaction::redact_content(kind, &object(content), version.rules())).to_string(),
        kept,
        "version {version}, {kind} with {content}"
    );
}

/// What stays in `first` and later, and what before.
fn since(first: RoomVersion, kind: &str, content: &str, before: &str, after: &str) {
    for version in RoomVersion::ALL {
        check(version, kind, content, if version >= first { after } else { before });
    }
}

#[test]
fn contents() {
    use RoomVersion::*;
    since(V1, "m.room.message", r#"{"body":"b"}"#, "{}", "{}");
    since(
        V1,
        "m.room.history_visibility",
        r#"{"a":1,"history_visibility":"shared"}"#,
        "",
        r#"{"history_visibility":"shared"}"#,
    );
    since(V6, "m.room.aliases", r##"{"a":1,"aliases":["#a:b"]}"##, r##"{"aliases":["#a:b"]}"##, "{}");
    since(
        V8,
        "m.room.join_rules",
        r#"{"a":1,"allow":[],"join_rule":"x"}"#,
        r#"{"join_rule":"x"}"#,
        r#"{"allow":[],"join_rule":"x"}"#,
    );
    since(
        V9,
        "m.room.member",
        r#"{"a":1,"join_authorised_via_users_server":"@a:b","membership":"join"}"#,
        r#"{"membership":"join"}"#,
        r#"{"join_authorised_via_users_server":"@a:b","membership":"join"}"#,
    );
    since(V11, "m.room.create", r#"{"a":1,"creator":"@a:b"}"#, r#"{"creator":"@a:b"}"#, r#"{"a":1,"creator":"@a:b"}"#);
    since(V11, "m.room.redaction", r#"{"a":1,"redacts":"$a"}"#, "{}", r#"{"redacts":"$a"}"#);
    since(
        V11,
        "m.room.power_levels",
        r#"{"ban":1,"events":{},"events_default":1,"invite":1,"kick":1,"notifications":{},"redact":1,"state_default":1,"users":{},"users_default":1}"#,
        r#"{"ban":1,"events":{},"events_default":1,"kick":1,"redact":1,"state_default":1,"users":{},"users_default":1}"#,
        r#"{"ban":1,"events":{},"events_default":1,"invite":1,"kick":1,"redact":1,"state_default":1,"users":{},"users_default":1}"#,
    );
    let invite = r#"{"membership":"invite","third_party_invite":{"display_name":"x","signed":{"token":"t"}}}"#;
    let kept = r#"{"membership":"invite","third_party_invite":{"signed":{"token":"t"}}}"#;
    since(V11, "m.room.member", invite, r#"{"membership":"invite"}"#, kept);
    since(V11, "m.room.member", r#"{"third_party_invite":{"a":1}}"#, "{}", r#"{"third_party_invite":{}}"#);
    since(V11, "m.room.member", r#"{"third_party_invite":"text"}"#, "{}", "{}");
}

#[test]
fn top_level() {
    for version in RoomVersion::ALL {
        let event = object(
            r#"{"auth_events":[],"content":{},"depth":1,"event_id":"$a","hashes":{},"membership":"join","origin":"x",
            "origin_server_ts":1,"prev_events":[],"prev_state":[],"redacts":"$b","room_id":"!a","sender":"@a:b",
            "signatures":{},"state_key":"","type":"x","unsigned":{},"other":1}"#,
        );
        let mut kept = event.clone();
        kept.retain(|name, _| !["redacts", "unsigned", "other"].contains(&name));
        if version >= RoomVersion::V11 {
            kept.retain(|name, _| !["membership", "origin", "prev_state"].contains(&name));
        }
        assert_eq!(redaction::redact(&event, version.rules()), kept, "version {version}");
    }
}

/// A redacted copy has the ID and the signatures of the original, and takes its place when the content was changed on the way.
#[test]
fn changed_content_fails_the_hash_only() {
    for version in RoomVersion::ALL {
        let pdu = build(version, "m.room.message", None, r#"{"body":"mine"}"#, None);
        let mut event = pdu.to_object();
        event.insert("content", object(r#"{"body":"yours"}"#));
        let received = ReceivedPdu::parse(event, version).unwrap();
        assert!(!received.content_hash_matches);
        assert_eq!(received.pdu.event_id, pdu.event_id);
        assert_eq!(received.signed_bytes, pdu.signed_bytes(version.rules()));
        assert_eq!(received.pdu.redacted(version.rules()), pdu.redacted(version.rules()));
    }
}
