//! Generated events, whose format, redaction, hashes and signatures Orrery and `ruma` judge alike.
#![allow(clippy::unwrap_used)] // the helpers of tests may

use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::{FormatError, Pdu, ReceivedPdu, redaction};
use orrery_core::room_version::RoomVersion;
use orrery_core::signing;
use orrery_oracles::random::Random;
use ruma_common::canonical_json::redact;
use ruma_common::room_version_rules::RoomVersionRules;
use ruma_common::{CanonicalJsonObject, RoomVersionId};

fn rules(version: RoomVersion) -> RoomVersionRules {
    RoomVersionId::try_from(version.as_str()).unwrap().rules().unwrap()
}

fn theirs(event: &Object) -> CanonicalJsonObject {
    serde_json::from_slice(&event.to_bytes()).unwrap()
}

fn ours(event: &CanonicalJsonObject) -> Object {
    match parse(&serde_json::to_vec(event).unwrap()) {
        Ok(Value::Object(object)) => object,
        other => panic!("{other:?}"),
    }
}

const TYPES: &[&str] = &[
    "m.room.member",
    "m.room.create",
    "m.room.join_rules",
    "m.room.power_levels",
    "m.room.aliases",
    "m.room.history_visibility",
    "m.room.redaction",
    "m.room.message",
    "m.room.server_acl",
    "m.room.third_party_invite",
];

const CONTENT: &[&str] = &[
    "membership",
    "join_authorised_via_users_server",
    "third_party_invite",
    "creator",
    "room_version",
    "join_rule",
    "allow",
    "ban",
    "events",
    "events_default",
    "invite",
    "kick",
    "redact",
    "state_default",
    "users",
    "users_default",
    "notifications",
    "aliases",
    "history_visibility",
    "redacts",
    "reason",
    "body",
    "signed",
];

const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-7",
    "\"text\"",
    "\"\u{fc}\\u0001\\\"\"",
    "[]",
    "[1,{\"b\":2,\"a\":1}]",
    "{}",
    "{\"signed\":{\"token\":\"t\"},\"display_name\":\"x\"}",
    "{\"b\":{},\"a\":[]}",
];

fn value(random: &mut Random) -> Value {
    parse(random.pick(VALUES).as_bytes()).unwrap()
}

fn well_formed(random: &mut Random, version: RoomVersion) -> Object {
    let pairs = version.rules().references_have_hashes;
    let mut references = || {
        let one = if pairs { "[\"$a:b\",{\"sha256\":\"x\"}]" } else { "\"$a\"" };
        let count = random.below(3);
        parse(format!("[{}]", vec![one; count].join(",")).as_bytes()).unwrap()
    };
    let (prev_events, auth_events) = (references(), references());
    let content: Object = (0..random.below(8)).map(|_| (random.pick(CONTENT), value(random))).collect();
    let mut event = Object::new()
        .with("auth_events", auth_events)
        .with("content", content)
        .with("depth", 12i64)
        .with("hashes", Object::new().with("sha256", "x"))
        .with("origin_server_ts", 1_700_000_000_000i64)
        .with("prev_events", prev_events)
        .with("sender", "@alice:example.org")
        .with("signatures", parse(br#"{"example.org":{"ed25519:1":"x"}}"#).unwrap())
        .with("room_id", "!Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ")
        .with("type", random.pick(TYPES));
    if random.below(2) == 0 {
        event.insert("state_key", random.pick(&["", "@alice:example.org", "x"]));
    }
    if version.rules().event_id_server_signs {
        event.insert("event_id", "$event:example.org");
    }
    for more in ["origin", "membership", "prev_state", "redacts", "age_ts", "unsigned", "other"] {
        if random.below(6) == 0 {
            let value = if more == "redacts" { "$gone:example.org".into() } else { value(random) };
            event.insert(more, value);
        }
    }
    event
}

/// Room version pages, "Redactions"; Server-Server API, "Calculating the reference hash for an event" and "Calculating the
/// content hash for an event".
#[test]
fn redaction_and_hashes() {
    for version in RoomVersion::ALL {
        let (rules, mut random, mut invites) = (rules(version), Random::new(version as u64), 0);
        for _ in 0..400 {
            let mut event = well_formed(&mut random, version);
            // "It allows the `signed` key of the `third_party_invite` key": of what has no keys, nothing is allowed. ruma lets
            // anything but an object stand.
            let keeps_invite =
                version.rules().redaction.keeps_member_signed_invite && event.str("type") == Some("m.room.member");
            let invite = event.object("content").unwrap().get("third_party_invite");
            if keeps_invite && invite.is_some_and(|invite| invite.as_object().is_none()) {
                let redacted = redaction::redact(&event, version.rules());
                assert!(!redacted.object("content").unwrap().contains("third_party_invite"));
                let content = event.get_mut("content").and_then(Value::as_object_mut).unwrap();
                content.remove("third_party_invite");
                invites += 1;
            }
            let redacted = redact(theirs(&event), &rules.redaction, None).unwrap();
            assert_eq!(redaction::redact(&event, version.rules()), ours(&redacted), "version {version}: {event:?}");

            event.remove("unsigned");
            let pdu = Pdu::parse(event.clone(), version).unwrap();
            let hash = ruma_signatures::reference_hash(&theirs(&event), &rules).unwrap();
            if !version.rules().event_id_server_signs {
                assert_eq!(pdu.event_id[1..], hash);
            }
            assert_eq!(pdu.redacted(version.rules()).to_object(), ours(&redacted));
            let content_hash = ruma_signatures::content_hash(&theirs(&event)).unwrap().encode();
            assert_eq!(signing::base64::encode_unpadded(&signing::content_hash(&event)), content_hash);
            let hashes = Object::new().with("sha256", content_hash);
            assert!(ReceivedPdu::parse(event.with("hashes", hashes), version).unwrap().content_hash_matches);
        }
        assert_eq!(invites > 0, version >= RoomVersion::V11);
    }
}

/// Server-Server API, "Checks performed on receipt of a PDU", 1. `ruma` checks less: types and counts, not identifiers, nor
/// what is in hashes, signatures and references.
#[test]
fn formats() {
    const MEMBERS: &[&str] = &[
        "auth_events",
        "content",
        "depth",
        "event_id",
        "hashes",
        "origin_server_ts",
        "prev_events",
        "room_id",
        "sender",
        "signatures",
        "state_key",
        "type",
    ];
    for version in RoomVersion::ALL {
        let (rules, mut random, mut refused) = (rules(version), Random::new(100 + version as u64), 0);
        for _ in 0..800 {
            let mut event = well_formed(&mut random, version);
            event.remove("unsigned");
            let member = random.pick(MEMBERS);
            match random.below(5) {
                0 => drop(event.remove(member)),
                1 => drop(event.insert(member, value(&mut random))),
                2 => drop(event.insert(member, "x".repeat(250 + random.below(10)))),
                3 => {
                    let one = event.array("prev_events").unwrap().first().cloned().unwrap_or("$a".into());
                    let list = random.pick(&["prev_events", "auth_events"]);
                    event.insert(list, vec![one; 8 + random.below(16)]);
                }
                _ => {}
            }
            let mine = Pdu::parse(event.clone(), version);
            let others = ruma_state_res::check_pdu_format(&theirs(&event), &rules.event_format);
            refused += usize::from(mine.is_err());
            match (&mine, &others) {
                (Ok(_), Ok(())) | (Err(_), Err(_)) => {}
                (Err(error), Ok(())) => {
                    assert!(checked_here_only(error, &event), "version {version}, {error}: {event:?}")
                }
                (Ok(pdu), Err(error)) => panic!("version {version}, {error}: {pdu:?}"),
            }
        }
        assert!(refused > 200);
    }
}

/// Whether the format of the room version says it ("Event format") and `ruma` leaves it to other functions.
fn checked_here_only(error: &FormatError, event: &Object) -> bool {
    const ELSEWHERE: &[&str] = &[
        "auth_events",
        "content",
        "hashes",
        "hashes.sha256",
        "origin_server_ts",
        "prev_events",
        "redacts",
        "signatures",
    ];
    match error {
        FormatError::Identifier { .. } => true,
        // That version 12 has no room ID in create events is a rule; that a room ID is a string, the format.
        FormatError::WrongType { member: "room_id", .. } => event.str("type") == Some("m.room.create"),
        FormatError::WrongType { member, .. } | FormatError::Missing(member) => ELSEWHERE.contains(member),
        _ => false,
    }
}
