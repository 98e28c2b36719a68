//! Any bytes as an event from another server: the first byte picks the room version, the rest is its JSON. What is accepted has
//! the ID and hashes that `ruma-signatures` computes, survives storage, and redaction leaves it what it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orrery_core::canonical_json::{Value, parse};
use orrery_core::event::redaction::redact;
use orrery_core::event::{Pdu, ReceivedPdu};
use orrery_core::room_version::{EventIdFormat, RoomVersion};
use orrery_core::signing;
use ruma_common::RoomVersionId;
use ruma_common::canonical_json::CanonicalJsonObject;

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let version = RoomVersion::ALL[usize::from(*first) % RoomVersion::ALL.len()];
    let rules = version.rules();
    let Ok(Value::Object(event)) = parse(text) else { return };
    let Ok(received) = ReceivedPdu::parse(event.clone(), version) else { return };
    let pdu = &received.pdu;

    let mut kept = event.clone();
    kept.remove("unsigned");
    assert_eq!(pdu.to_object().to_bytes(), kept.to_bytes());
    let mut stored = Pdu::from_stored(pdu.event_id.clone(), pdu.json().clone(), version).expect("it was accepted");
    // Encoding writes integers out that had an exponent.
    assert_eq!(stored.content.to_bytes(), pdu.content.to_bytes());
    stored.content = pdu.content.clone();
    assert_eq!(&stored, pdu, "an accepted event survives storage");

    let redacted = redact(&event, rules);
    assert_eq!(received.signed_bytes, signing::signed_bytes(&redacted));
    assert_eq!(pdu.reference_hash(rules), signing::reference_hash(&redacted));
    assert_eq!(received.content_hash_matches, signing::content_hash_matches(&event));
    let redacted_pdu = pdu.redacted(rules);
    assert_eq!(redacted_pdu.event_id, pdu.event_id);
    assert_eq!(redacted_pdu.to_object().to_bytes(), redacted.to_bytes());
    assert_eq!(redacted_pdu.reference_hash(rules), pdu.reference_hash(rules), "redaction keeps the reference hash");
    assert_eq!(redact(&redacted, rules), redacted, "redaction is idempotent");

    // The oracle reads strict canonical JSON, and keeps what is no object at `third_party_invite`.
    let invite = pdu.content.get("third_party_invite");
    if event.require_strict().is_err() || invite.is_some_and(|invite| invite.as_object().is_none()) {
        return;
    }
    let their_rules = RoomVersionId::try_from(version.as_str()).ok().and_then(|version| version.rules());
    let (Some(their_rules), Ok(other)) =
        (their_rules, serde_json::from_slice::<CanonicalJsonObject>(&event.to_bytes()))
    else {
        panic!("the oracle knows room versions and reads JSON");
    };
    let hash = ruma_signatures::reference_hash(&other, &their_rules).expect("checked for size");
    match rules.event_ids {
        EventIdFormat::Stated => assert_eq!(event.str("event_id"), Some(pdu.event_id.as_str())),
        EventIdFormat::Base64 | EventIdFormat::UrlSafeBase64 => assert_eq!(pdu.event_id[1..], hash),
    }
});
