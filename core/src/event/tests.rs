use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;

use super::*;
use crate::canonical_json::{Object, Value, parse};
use crate::identifiers::{EventId, RoomId, ServerName, UserId};
use crate::room_version::{RoomIdFormat, RoomVersion};
use crate::signing::{self, SigningKey};
use crate::time::Timestamp;

mod client;
mod format;
mod redactions;

fn key() -> SigningKey {
    SigningKey::from_seed("1", &[7; 32]).unwrap()
}

fn object(json: &str) -> Object {
    match parse(json.as_bytes()) {
        Ok(Value::Object(object)) => object,
        other => panic!("{json}: {other:?}"),
    }
}

fn ids(texts: &[&str]) -> Vec<EventId> {
    texts.iter().map(|text| EventId::parse(text).unwrap()).collect()
}

/// An event of `@alice:example.org`.
fn build(version: RoomVersion, kind: &str, state_key: Option<&str>, content: &str, redacts: Option<&str>) -> Pdu {
    let hashed = version.rules().room_ids == RoomIdFormat::CreateHash;
    let room_id =
        RoomId::parse(if hashed { "!Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ" } else { "!room:example.org" });
    let room_id = room_id.unwrap();
    let redacts = redacts.map(|text| EventId::parse(text).unwrap());
    NewEvent {
        version,
        room_id: if hashed && kind == "m.room.create" { None } else { Some(&room_id) },
        sender: &UserId::parse("@alice:example.org").unwrap(),
        kind,
        state_key,
        content: object(content),
        prev_events: &ids(&["$one:example.org", "$two:example.org"]),
        auth_events: &ids(&["$three:example.org"]),
        depth: 12,
        origin_server_ts: Timestamp(1_700_000_000_000),
        redacts: redacts.as_ref(),
        reference_hash: &|_| Ok(Some([1; 32])),
    }
    .build(&ServerName::parse("example.org").unwrap(), &key())
    .unwrap()
}

/// What this server makes, it accepts from the wire and from storage, as the same event, signed and hashed as the specification
/// says (by way of the general functions on JSON).
#[test]
fn round_trip() {
    for version in RoomVersion::ALL {
        let rules = version.rules();
        for pdu in [
            build(version, "m.room.message", None, r#"{"body":"a \"b\" \n ü","msgtype":"m.text"}"#, None),
            build(
                version,
                "m.room.member",
                Some("@alice:example.org"),
                r#"{"membership":"join","displayname":"A"}"#,
                None,
            ),
            build(version, "m.room.create", Some(""), r#"{"room_version":"1","creator":"@alice:example.org"}"#, None),
            build(version, "m.room.topic", Some("odd \u{1} key"), "{}", None),
            build(version, "m.room.redaction", None, r#"{"reason":"spam"}"#, Some("$gone:example.org")),
        ] {
            let received = ReceivedPdu::parse(pdu.to_object(), version).unwrap();
            assert_eq!(received.pdu, pdu, "version {version}");
            assert!(received.content_hash_matches);
            assert_eq!(Pdu::from_stored(pdu.event_id.clone(), pdu.json().clone(), version), Ok(pdu.clone()));
            assert_eq!(Pdu::parse_bytes(pdu.json(), version), Ok(pdu.clone()));
            assert_eq!(parse(pdu.content_bytes()), Ok(Value::Object(pdu.content.clone())));

            let event = pdu.to_object();
            let redacted = redaction::redact(&event, rules);
            assert!(signing::content_hash_matches(&event));
            assert_eq!(signing::reference_hash(&redacted), pdu.reference_hash(rules));
            assert_eq!(signing::signed_bytes(&redacted), received.signed_bytes);
            assert_eq!(received.signed_bytes, pdu.signed_bytes(rules));
            assert_eq!(signing::verify_json(&redacted, "example.org", key().key_id(), &key().public_key()), Ok(()));
            assert_eq!(received.required_signers(rules), Some([pdu.sender.server_name()].into()));

            let redacted_pdu = pdu.redacted(rules);
            assert_eq!(redacted_pdu.to_object(), redacted);
            assert_eq!(redacted_pdu.event_id, pdu.event_id);
            assert_eq!(redacted_pdu.signed_bytes(rules), received.signed_bytes);
            let stored = Pdu::from_stored(pdu.event_id.clone(), redacted_pdu.json().clone(), version);
            assert_eq!(stored, Ok(redacted_pdu));
        }
    }
}

#[test]
fn event_ids() {
    let stated = build(RoomVersion::V1, "m.room.message", None, "{}", None);
    assert!(stated.event_id.ends_with(":example.org"), "{}", stated.event_id);
    let other = build(RoomVersion::V1, "m.room.message", None, r#"{"body":"other"}"#, None);
    assert_ne!(stated.event_id, other.event_id);
    // The content makes no difference to what is signed, but its hash does.
    for version in [RoomVersion::V3, RoomVersion::V4, RoomVersion::V12] {
        let event = build(version, "m.room.message", None, r#"{"n":1}"#, None);
        assert_eq!(event.event_id.len(), 44, "$ and 43 characters of base64");
        let other = build(version, "m.room.message", None, r#"{"n":2}"#, None);
        assert_ne!(event.event_id, other.event_id);
    }
}

/// Room version 12, "Event format": the room ID is the create event's ID with another sigil.
#[test]
fn room_id_of_version_12() {
    let create = build(RoomVersion::V12, "m.room.create", Some(""), r#"{"room_version":"12"}"#, None);
    assert_eq!(create.room_id[1..], create.event_id[1..]);
    assert!(!create.to_object().contains("room_id"));
}

#[test]
fn large_events_are_refused() {
    let text = |len: usize| alloc::format!(r#"{{"body":"{}"}}"#, "x".repeat(len));
    let new = |content: &str, kind: &str| {
        NewEvent {
            version: RoomVersion::V11,
            room_id: Some(&RoomId::parse("!room:example.org").unwrap()),
            sender: &UserId::parse("@alice:example.org").unwrap(),
            kind,
            state_key: None,
            content: object(content),
            prev_events: &[],
            auth_events: &[],
            depth: i64::MAX,
            origin_server_ts: Timestamp(u64::MAX),
            redacts: None,
            reference_hash: &|_| Ok(None),
        }
        .build(&ServerName::parse("example.org").unwrap(), &key())
    };
    let small = new(&text(1000), "m.room.message").unwrap();
    assert_eq!(small.depth, 9_007_199_254_740_991, "a depth at the limit stays there");
    let room = 65_536 - (small.json().len() - 1000);
    assert_eq!(new(&text(room), "m.room.message").unwrap().json().len(), 65_536);
    let nested = |depth: usize| alloc::format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(new(&nested(98), "m.room.message").unwrap().to_object().nesting(), 100);
    assert_eq!(
        new(&nested(99), "m.room.message"),
        Err(BuildError::Format(FormatError::TooDeep)),
        "others may not read it"
    );
    let check = |error: BuildError, status: u16, errcode: &str| {
        let error = crate::error::ApiError::from(error);
        assert_eq!((error.status, error.errcode), (status, errcode), "{}", error.message);
    };
    check(new(&text(room + 1), "m.room.message").unwrap_err(), 413, "M_TOO_LARGE");
    check(new("{}", &"x".repeat(256)).unwrap_err(), 413, "M_TOO_LARGE");
    check(new(r#"{"n":1.5}"#, "m.room.message").unwrap_err(), 400, "M_BAD_JSON");
    assert!(new("{}", &"x".repeat(255)).is_ok());
}
