//! What clients see.

use super::*;

fn shown(pdu: &Pdu, version: RoomVersion, room: bool, unsigned: &Unsigned<'_>) -> String {
    let mut out = Vec::new();
    ClientEvent::of(pdu, version.rules()).write(room.then_some(&pdu.room_id), unsigned, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(parse(text.as_bytes()).is_ok(), "{text}");
    text
}

#[test]
fn message() {
    for version in RoomVersion::ALL {
        let pdu = build(version, "m.room.message", None, r#"{"body":"\"","n":[1]}"#, None);
        let (id, room) = (&pdu.event_id, &pdu.room_id);
        let plain = shown(&pdu, version, false, &Unsigned::default());
        assert_eq!(
            plain,
            alloc::format!(
                r#"{{"content":{{"body":"\"","n":[1]}},"event_id":"{id}","origin_server_ts":1700000000000,"sender":"@alice:example.org","type":"m.room.message"}}"#
            )
        );
        let unsigned = Unsigned { age: Some(-5), transaction_id: Some("t\"1"), ..Unsigned::default() };
        let full = shown(&pdu, version, true, &unsigned);
        assert_eq!(
            full,
            alloc::format!(
                r#"{{"content":{{"body":"\"","n":[1]}},"event_id":"{id}","origin_server_ts":1700000000000,"room_id":"{room}","sender":"@alice:example.org","type":"m.room.message","unsigned":{{"age":-5,"transaction_id":"t\"1"}}}}"#
            )
        );
    }
}

#[test]
fn state_with_everything_unsigned() {
    let pdu = build(RoomVersion::V11, "m.room.member", Some("@b:c"), r#"{"membership":"invite"}"#, None);
    let event_id = EventId::parse("$before").unwrap();
    let unsigned = Unsigned {
        age: Some(0),
        transaction_id: None,
        membership: Some(content::Membership::Join),
        replaces_state: Some(&event_id),
        prev_content: Some(br#"{"membership":"leave"}"#),
        redacted_because: Some(b"{}"),
        relations: Some(b"{}"),
        invite_room_state: Some(b"[]"),
        knock_room_state: Some(b"[]"),
    };
    let event = object(&shown(&pdu, RoomVersion::V11, false, &unsigned));
    assert_eq!(event.str("state_key"), Some("@b:c"));
    let expected = object(
        r#"{"age":0,"membership":"join","replaces_state":"$before","prev_content":{"membership":"leave"},
        "redacted_because":{},"m.relations":{},"invite_room_state":[],"knock_room_state":[]}"#,
    );
    assert_eq!(event.object("unsigned"), Some(&expected));
    let view = ClientEvent::of(&pdu, RoomVersion::V11.rules());
    assert_eq!((view.kind().as_ref(), view.sender().as_ref()), ("m.room.member", "@alice:example.org"));
    assert_eq!(view.state_key().as_deref(), Some("@b:c"));
    assert_eq!(view.origin_server_ts(), 1_700_000_000_000);
    assert_eq!(view.content(), br#"{"membership":"invite"}"#);
}

/// Room version 11, "Moving the `redacts` property": clients find it in both places in every version.
#[test]
fn redactions() {
    for version in RoomVersion::ALL {
        for (content, reason) in [("{}", false), (r#"{"reason":"r","redacts":"$other"}"#, true)] {
            let pdu = build(version, "m.room.redaction", None, content, Some("$gone:example.org"));
            assert_eq!(pdu.redacts.as_deref(), Some("$gone:example.org"));
            let event = object(&shown(&pdu, version, false, &Unsigned::default()));
            assert_eq!(event.str("redacts"), Some("$gone:example.org"), "version {version}");
            let content = event.object("content").unwrap();
            assert_eq!(content.str("redacts"), Some("$gone:example.org"), "version {version}");
            assert_eq!(content.contains("reason"), reason);
        }
        // Something else with a member of that name is left alone.
        let pdu = build(version, "m.room.message", None, r#"{"redacts":"$x"}"#, None);
        assert!(!object(&shown(&pdu, version, false, &Unsigned::default())).contains("redacts"));
    }
}

#[test]
fn stripped_state() {
    let pdu = build(RoomVersion::V12, "m.room.create", Some(""), r#"{"room_version":"12","type":"m.space"}"#, None);
    let mut out = Vec::new();
    write_stripped(("m.room.create", ""), &pdu.sender, pdu.content_bytes(), &mut out);
    let stripped = object(core::str::from_utf8(&out).unwrap());
    let expected = r#"{"content":{"room_version":"12","type":"m.space"},"sender":"@alice:example.org","state_key":"","type":"m.room.create"}"#;
    assert_eq!(stripped, object(expected));
    assert_eq!(prune_stripped_state(&pdu.to_object()), Some(object(expected)), "a whole event from a server of today");
    assert_eq!(prune_stripped_state(&stripped), Some(object(expected)), "a stripped one from an older server");
    for wrong in
        [r#"{"content":[],"sender":"a","state_key":"","type":"x"}"#, r#"{"content":{},"sender":"a","type":"x"}"#]
    {
        assert_eq!(prune_stripped_state(&object(wrong)), None);
    }
}
