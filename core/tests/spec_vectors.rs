//! The test vectors of the specification's appendices, which lie in `corpora/` as JSON.
#![allow(clippy::unwrap_used)] // the helpers of tests may

use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::redaction::redact;
use orrery_core::room_version::RoomVersion;
use orrery_core::signing::{
    SigningKey, add_signature, base64, content_hash_matches, set_content_hash, sign_json, signature_of, verify_json,
};

fn corpus(path: &str) -> Value {
    let path = format!("{}/../corpora/{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    parse(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Appendices, "Canonical JSON", "Examples".
#[test]
fn canonical_json() {
    let vectors = corpus("canonical_json/appendix.json");
    for vector in vectors.as_array().unwrap() {
        let (input, canonical) = (vector.get("input").unwrap(), vector.get("canonical").unwrap());
        let value = parse(input.as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(value.to_string(), canonical.as_str().unwrap(), "{input}");
    }
}

struct Signing {
    vectors: Value,
    key: SigningKey,
    entity: String,
}

impl Signing {
    fn load() -> Signing {
        let vectors = corpus("signing/appendix.json");
        let text = |name| vectors.get(name).and_then(Value::as_str).unwrap();
        let seed = base64::decode_array(text("seed")).unwrap();
        Signing {
            key: SigningKey::from_seed(text("version"), &seed).unwrap(),
            entity: text("entity").to_owned(),
            vectors: vectors.clone(),
        }
    }

    fn cases(&self, name: &str) -> impl Iterator<Item = &Object> {
        self.vectors.get(name).and_then(Value::as_array).unwrap().iter().map(|case| case.as_object().unwrap())
    }
}

/// Appendices, "JSON Signing".
#[test]
fn json_signing() {
    let signing = Signing::load();
    for case in signing.cases("objects") {
        let mut object = case.object("object").unwrap().clone();
        sign_json(&mut object, &signing.entity, &signing.key).unwrap();
        assert_eq!(&object, case.object("signed").unwrap());
        let public_key = signing.key.public_key();
        assert_eq!(verify_json(&object, &signing.entity, signing.key.key_id(), &public_key), Ok(()));
    }
}

/// Appendices, "Event Signing".
#[test]
fn event_signing() {
    let signing = Signing::load();
    for case in signing.cases("events") {
        let mut event = case.object("event").unwrap().clone();
        set_content_hash(&mut event);
        let redacted = redact(&event, RoomVersion::V1.rules());
        let expected = case.object("redacted").unwrap().clone();
        assert_eq!(redacted, expected.with("hashes", event.get("hashes").unwrap().clone()));
        let signature = signature_of(&redacted, &signing.key);
        add_signature(&mut event, &signing.entity, signing.key.key_id(), &signature).unwrap();

        let signed = case.object("signed").unwrap();
        assert_eq!(&event, signed);
        assert!(content_hash_matches(signed));
    }
}
