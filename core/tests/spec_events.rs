//! The example events of the specification, which lie in `corpora/events/`: PDUs of every room version, power levels of old
//! versions, and events as clients see them.
#![allow(clippy::unwrap_used)] // the helpers of tests may

use orrery_core::auth_rules::{AuthState, PowerLevel, PowerLevels, authorize};
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::{ClientEvent, NewEvent, Pdu, ReceivedPdu, Unsigned};
use orrery_core::identifiers::{EventId, RoomId, ServerName, UserId};
use orrery_core::room_version::{RoomIdFormat, RoomVersion};
use orrery_core::signing::SigningKey;
use orrery_core::time::Timestamp;

/// The entries of a corpus.
fn corpus(name: &str) -> Vec<Object> {
    let path = format!("{}/../corpora/events/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let Ok(Value::Array(entries)) = parse(&text) else { panic!("{path}") };
    entries.into_iter().map(|entry| entry.as_object().unwrap().clone()).collect()
}

fn versions(entry: &Object) -> Vec<RoomVersion> {
    let versions = entry.array("versions").unwrap().iter();
    versions.map(|version| RoomVersion::parse(version.as_str().unwrap()).unwrap()).collect()
}

fn event(entry: &Object) -> &Object {
    entry.object("event").unwrap()
}

/// An example is an event of the versions it is for, and stays the same in storage. Its hashes are invented.
#[test]
fn pdus() {
    for entry in corpus("pdus.json") {
        for version in versions(&entry) {
            let received = ReceivedPdu::parse(event(&entry).clone(), version).unwrap();
            assert!(!received.content_hash_matches);
            assert_eq!(received.signatures, *event(&entry).object("signatures").unwrap());
            let pdu = &received.pdu;
            assert_eq!((&*pdu.sender, pdu.depth, pdu.origin_server_ts), ("@alice:example.com", 12, 1_404_838_188_000));
            assert_eq!(Some(pdu.room_id.as_str()), event(&entry).str("room_id"));
            assert_eq!(Pdu::from_stored(pdu.event_id.clone(), pdu.json().clone(), version).as_ref(), Ok(pdu));
            let mut kept = event(&entry).clone();
            kept.remove("unsigned");
            assert_eq!(pdu.to_object(), kept);
            let signers = received.required_signers(version.rules()).unwrap();
            assert_eq!(signers.iter().map(|server| server.as_str()).collect::<Vec<_>>(), ["example.com"]);
            let join = entry.str("example") == Some("pdu_v4_join_membership");
            let authoriser = pdu.authorising_server(version.rules());
            assert_eq!(authoriser.as_deref(), join.then_some("resident.example.com"));
        }
    }
}

/// The formats of versions 1 and 2 and of the later ones exclude each other.
#[test]
fn pdus_of_other_versions() {
    for entry in corpus("pdus.json") {
        let own = versions(&entry);
        for version in RoomVersion::ALL {
            let pairs = version.rules().references_have_hashes;
            let same = own[0].rules().references_have_hashes == pairs;
            assert_eq!(Pdu::parse(event(&entry).clone(), version).is_ok(), same, "version {version}: {entry:?}");
        }
    }
}

/// An event of `sender`, built here.
fn build(version: RoomVersion, room_id: &RoomId, example: &Object, redacts: Option<&EventId>) -> Pdu {
    let kind = example.str("type").unwrap();
    let create = kind == "m.room.create" && version.rules().room_ids == RoomIdFormat::CreateHash;
    NewEvent {
        version,
        room_id: (!create).then_some(room_id),
        sender: &UserId::parse(example.str("sender").unwrap()).unwrap(),
        kind,
        state_key: example.str("state_key"),
        content: example.object("content").unwrap().clone(),
        prev_events: &[],
        auth_events: &[],
        depth: 1,
        origin_server_ts: Timestamp(u64::try_from(example.integer("origin_server_ts").unwrap()).unwrap()),
        redacts,
        reference_hash: &|_| Ok(None),
    }
    .build(&ServerName::parse("example.org").unwrap(), &SigningKey::from_seed("1", &[1; 32]).unwrap())
    .unwrap()
}

/// Room versions 1 to 9, "Deprecated event content schemas".
#[test]
fn power_levels_of_old_versions() {
    for entry in corpus("power_levels.json") {
        let lenient = versions(&entry);
        for version in RoomVersion::ALL {
            let rules = version.rules();
            let room_id = RoomId::parse(event(&entry).str("room_id").unwrap()).unwrap();
            let sender = event(&entry).str("sender").unwrap();
            let state = |kind: &str, state_key: &str, content: Object| {
                let example = Object::new()
                    .with("type", kind)
                    .with("state_key", state_key)
                    .with("sender", sender)
                    .with("origin_server_ts", 1i64)
                    .with("content", content);
                build(version, &room_id, &example, None)
            };
            let create = state("m.room.create", "", Object::new().with("creator", sender));
            let joined = state("m.room.member", sender, Object::new().with("membership", "join"));
            let floats = event(&entry).require_strict().is_err();
            if floats && rules.strict_canonical_json {
                continue;
            }
            let levels = build(version, &room_id, event(&entry), None);
            let verdict = authorize(rules, &levels, &create, &AuthState(&[joined]));
            // From version 12 on the creator may not be given a level, whatever it is.
            assert_eq!(verdict.allowed, lenient.contains(&version), "version {version}: {verdict}");
            if !lenient.contains(&version) {
                continue;
            }
            let levels = PowerLevels::new(rules, create, Some(levels));
            for (user, level) in [("@example:example.org", 100), ("@alice:localhost", 50), ("@bob:localhost", 50)] {
                if event(&entry).object("content").unwrap().object("users").unwrap().contains(user) {
                    assert_eq!(levels.user(user), PowerLevel::Int(level));
                }
            }
            assert_eq!(levels.user("@other:localhost"), PowerLevel::Int(0));
            assert_eq!(levels.ban(), PowerLevel::Int(50));
            assert_eq!(levels.event("m.room.power_levels", true), PowerLevel::Int(100));
            assert_eq!(levels.event("m.room.topic", true), PowerLevel::Int(50));
        }
    }
}

/// Every event that the Client-Server API shows can be made in every room version, and is shown to clients as it stands there.
#[test]
fn client_events() {
    for entry in corpus("client_events.json") {
        let example = event(&entry);
        for version in RoomVersion::ALL {
            let room_id = RoomId::parse(example.str("room_id").unwrap()).unwrap();
            let redacts = example.object("content").unwrap().str("redacts").map(|id| EventId::parse(id).unwrap());
            let pdu = build(version, &room_id, example, redacts.as_ref());
            let received = ReceivedPdu::parse(pdu.to_object(), version).unwrap();
            assert!(received.content_hash_matches);
            assert_eq!(received.pdu, pdu);

            let mut json = Vec::new();
            ClientEvent::of(&pdu, version.rules()).write(Some(&pdu.room_id), &Unsigned::default(), &mut json);
            let Ok(Value::Object(mut shown)) = parse(&json) else { panic!("{entry:?}") };
            assert_eq!(shown.remove("event_id"), Some(Value::from(&pdu.event_id)));
            assert_eq!(shown.remove("room_id"), Some(Value::from(&pdu.room_id)));
            let mut expected = example.clone();
            for own in ["event_id", "room_id", "unsigned"] {
                expected.remove(own);
            }
            if let Some(redacts) = &redacts {
                // The example is of a version that has it in the content; clients find it in both places.
                expected.insert("redacts", redacts);
            }
            assert_eq!(shown, expected, "version {version}");
        }
    }
}
