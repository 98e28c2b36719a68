//! Generated JSON, judged by Orrery and by published implementations: which texts are JSON (`serde_json`), what their
//! canonical encoding is (`ruma-common`), what an event's hashes and signatures are (`ruma-signatures`).
//!
//! Where parsers differ on purpose, `src/json.rs` says why.
#![allow(clippy::unwrap_used)] // the helpers of tests may

use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::redaction::redact;
use orrery_core::room_version::{EventIdFormat, RoomVersion};
use orrery_core::signing::{
    SigningKey, add_signature, base64, content_hash, reference_hash, sign_json, signature_of, verify_json,
};
use orrery_oracles::json::{difference, same_meaning, same_number_apart};
use orrery_oracles::random::Random;
use ruma_common::RoomVersionId;
use ruma_common::canonical_json::{self, CanonicalJsonObject, CanonicalJsonValue};
use ruma_signatures::Ed25519KeyPair;

/// Writes JSON texts.
struct Writer<'a> {
    random: &'a mut Random,
    /// Whether numbers outside canonical JSON, lone surrogates, members of one name, … occur.
    odd: bool,
    out: String,
}

impl Writer<'_> {
    fn text(random: &mut Random, odd: bool) -> String {
        let mut writer = Writer { random, odd, out: String::new() };
        writer.space();
        writer.value(0);
        writer.space();
        writer.out
    }

    fn space(&mut self) {
        if self.random.rarely(6) {
            let space = self.random.pick(&[" ", "\n", "\r\n", "\t", "  \n "]);
            self.out.push_str(space);
        }
    }

    fn value(&mut self, depth: usize) {
        // A text is most often an object, and not deeper than five.
        let kind = match depth {
            0 => 4 + self.random.below(6),
            1..5 => self.random.below(9),
            _ => self.random.below(6),
        };
        match kind {
            0 => self.out.push_str("null"),
            1 => self.out.push_str("true"),
            2 => self.out.push_str("false"),
            3 => self.number(),
            4 | 5 => self.string(),
            6 => self.list('[', ']', depth, Writer::value),
            _ => self.list('{', '}', depth, Writer::member),
        }
    }

    fn list(&mut self, open: char, close: char, depth: usize, item: fn(&mut Self, usize)) {
        self.out.push(open);
        self.space();
        for i in 0..self.random.below(6) {
            if i > 0 {
                self.out.push(',');
                self.space();
            }
            item(self, depth + 1);
            self.space();
        }
        self.out.push(close);
    }

    fn member(&mut self, depth: usize) {
        if self.odd && self.random.rarely(3) {
            // Few names, so that some come twice.
            let name = self.random.pick(&["a", "\\u0061", "b", ""]);
            self.out.extend(["\"", name, "\""]);
        } else {
            self.string();
        }
        self.space();
        self.out.push(':');
        self.space();
        self.value(depth);
    }

    fn number(&mut self) {
        const ODD: &[&str] = &[
            "-0",
            "-0.0",
            "0.0",
            "1.0",
            "1.50",
            "1e10",
            "1E+2",
            "-12e-1",
            "10e-1",
            "0e5",
            "1e400",
            "-1e400",
            "1e-400",
            "9007199254740992",
            "-9007199254740992",
            "9223372036854775808",
            "18446744073709551616",
            "1e15",
            "1e16",
            "9007199254740991e0",
            "123456789012345678901234567890",
            "0.1e1",
            "1e99999999999999999999",
            "5e-324",
        ];
        let text = match self.random.below(6) {
            0..=3 if self.odd => self.random.pick(ODD).to_owned(),
            0 | 1 => self.random.pick(&["0", "1", "-1", "9007199254740991", "-9007199254740991"]).to_owned(),
            2 => self.random.below(100).to_string(),
            _ => {
                let size = self.random.number() >> (11 + self.random.below(53));
                format!("{}{size}", if size > 0 && self.random.rarely(2) { "-" } else { "" })
            }
        };
        self.out.push_str(&text);
    }

    fn string(&mut self) {
        self.out.push('"');
        for _ in 0..self.random.below(12) {
            let piece = match self.random.below(10) {
                0 => format!("\\u{:04x}", self.random.below(0xd800)),
                1 => format!("\\u{:04X}", self.random.below(0x80)),
                2 => self.random.pick(&["\\n", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\r", "\\t"]).to_owned(),
                3 => self.random.pick(&["日", "é", "😀", "\u{7f}", "\u{ffff}", "\u{10ffff}", "\u{2028}"]).to_owned(),
                4 => self.random.pick(&["\\ud83d\\ude00", "\\uDBFF\\uDFFF", "\\uE000"]).to_owned(),
                5 if self.odd && self.random.rarely(8) => {
                    self.random.pick(&["\\ud800", "\\udc00", "\\ud800\\u0041", "\\u12", "\\x", "\u{1f}"]).to_owned()
                }
                _ => self.random.pick(&["m.room.", "a", "Z", "@user:example.org", " "]).to_owned(),
            };
            self.out.push_str(&piece);
        }
        self.out.push('"');
    }
}

/// Breaks a text in one place.
fn damage(random: &mut Random, text: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    let at = random.below(text.len());
    match random.below(4) {
        0 => text.truncate(at),
        1 => text[at] = random.number() as u8,
        2 => text.insert(at, b"{}[],:\"\\0-.eE \x00\xc3"[random.below(16)]),
        _ => drop(text.remove(at)),
    }
}

#[test]
fn the_same_texts_are_json_and_mean_the_same() {
    let mut random = Random::new(1);
    let (mut accepted, mut refused, mut differ) = (0, 0, 0);
    for round in 0..40_000 {
        let mut text = Writer::text(&mut random, round % 2 == 0).into_bytes();
        if random.rarely(3) {
            damage(&mut random, &mut text);
        }
        let shown = String::from_utf8_lossy(&text);
        let ours = parse(&text);
        let theirs = serde_json::from_slice::<serde_json::Value>(&text);
        match (&ours, &theirs) {
            (Ok(a), Ok(b)) => {
                assert!(same_meaning(a, b), "{shown}\n{a}\n{b}");
                accepted += 1;
            }
            (Err(_), Err(_)) => refused += 1,
            _ => {
                assert!(difference(&ours, &theirs).is_some(), "{shown}\n{ours:?}\n{theirs:?}");
                differ += 1;
            }
        }
    }
    assert!(accepted > 20_000 && refused > 4_000 && differ > 50, "{accepted} {refused} {differ}");
}

#[test]
fn the_canonical_encoding_is_the_same() {
    let mut random = Random::new(2);
    let (mut strict, mut lenient) = (0, 0);
    for round in 0..40_000 {
        let text = Writer::text(&mut random, round % 3 == 0);
        let (Ok(ours), Ok(theirs)) = (parse(text.as_bytes()), serde_json::from_str::<serde_json::Value>(&text)) else {
            continue;
        };
        let canonical = ours.to_string();
        match (ours.require_strict(), CanonicalJsonValue::try_from(theirs)) {
            (Ok(()), Ok(theirs)) => {
                assert_eq!(canonical, theirs.to_string(), "{text}");
                assert_eq!(parse(canonical.as_bytes()), Ok(ours), "{text}");
                strict += 1;
            }
            (Err(_), Err(_)) => {
                // What is left of a number means the same, and encoding it again changes nothing.
                let again = parse(canonical.as_bytes()).unwrap();
                let theirs = serde_json::from_str::<serde_json::Value>(&text).unwrap();
                assert!(same_number_apart(&again, &theirs), "{text}\n{canonical}");
                assert_eq!(again.to_string(), canonical, "{text}");
                lenient += 1;
            }
            (ours, theirs) => panic!("{text}\n{ours:?}\n{theirs:?}"),
        }
    }
    assert!(strict > 20_000 && lenient > 1_000, "{strict} {lenient}");
}

const SEED: [u8; 32] = [42; 32];

fn our_key() -> SigningKey {
    SigningKey::from_seed("a_key", &SEED).unwrap()
}

/// The same key in the document that the oracle reads (RFC 8410).
fn their_key() -> Ed25519KeyPair {
    let mut document = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    document.extend(SEED);
    Ed25519KeyPair::from_der(&document, "a_key".to_owned()).unwrap()
}

fn to_theirs(object: &Object) -> CanonicalJsonObject {
    serde_json::from_slice(&object.to_bytes()).unwrap()
}

fn to_ours(object: &CanonicalJsonObject) -> Object {
    match parse(&serde_json::to_vec(object).unwrap()) {
        Ok(Value::Object(object)) => object,
        other => panic!("{other:?}"),
    }
}

/// An event in shape only: some of the usual members, some others, any content.
fn event(random: &mut Random) -> Object {
    const TYPES: &[&str] = &[
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.join_rules",
        "m.room.aliases",
        "m.room.history_visibility",
        "m.room.redaction",
        "m.room.message",
        "m.room.third_party_invite",
        "x",
    ];
    const NAMES: &[&str] = &[
        "membership",
        "creator",
        "join_rule",
        "allow",
        "ban",
        "users",
        "invite",
        "redacts",
        "aliases",
        "body",
        "join_authorised_via_users_server",
        "third_party_invite",
        "history_visibility",
        "room_version",
    ];
    let any = |random: &mut Random| parse(Writer::text(random, false).as_bytes()).unwrap();
    let mut content = Object::new();
    for _ in 0..random.below(8) {
        let value = any(random);
        content.insert(random.pick(NAMES), value);
    }
    if random.rarely(4) {
        let token = any(random);
        let signed = Object::new().with("signed", Object::new().with("token", token)).with("display_name", "x");
        content.insert("third_party_invite", signed);
    }
    let mut event = Object::new()
        .with("type", random.pick(TYPES))
        .with("content", content)
        .with("sender", "@a:example.org")
        .with("origin_server_ts", random.number() >> 16)
        .with("hashes", Object::new().with("sha256", "x"))
        .with("signatures", Object::new().with("other", Object::new().with("ed25519:1", "x")));
    for name in ["room_id", "event_id", "state_key", "origin", "membership", "prev_state", "redacts", "unsigned", "x"] {
        if random.rarely(2) {
            let value = if name == "unsigned" { Value::Object(Object::new()) } else { any(random) };
            event.insert(name, value);
        }
    }
    for name in ["depth", "prev_events", "auth_events"] {
        event.insert(name, any(random));
    }
    event
}

#[test]
fn json_signatures_are_the_same() {
    let mut random = Random::new(3);
    let (ours, theirs) = (our_key(), their_key());
    assert_eq!(ours.public_key(), theirs.public_key());
    for _ in 0..500 {
        let mut object = event(&mut random);
        let mut other = to_theirs(&object);
        sign_json(&mut object, "example.org", &ours).unwrap();
        ruma_signatures::sign_json("example.org", &theirs, &mut other).unwrap();
        assert_eq!(object, to_ours(&other));
        assert_eq!(verify_json(&object, "example.org", ours.key_id(), &ours.public_key()), Ok(()));
    }
}

/// Redaction keeps `third_party_invite.signed` of a member event from room version 11 on, and nothing else of what is there. The
/// oracle keeps a `third_party_invite` that is not an object as a whole.
fn redacted_otherwise(event: &Object) -> bool {
    let invite = event.object("content").and_then(|content| content.get("third_party_invite"));
    event.str("type") == Some("m.room.member") && invite.is_some_and(|invite| invite.as_object().is_none())
}

#[test]
fn event_hashes_and_signatures_are_the_same_in_every_room_version() {
    let mut random = Random::new(4);
    let (ours, theirs) = (our_key(), their_key());
    for version in RoomVersion::ALL {
        let rules = version.rules();
        let their_rules = RoomVersionId::try_from(version.as_str()).unwrap().rules().unwrap();
        for round in 0..400 {
            let mut event = event(&mut random);
            let mut other = to_theirs(&event);
            let expected = ruma_signatures::content_hash(&other).unwrap();
            assert_eq!(
                content_hash(&event).as_slice(),
                expected.as_bytes(),
                "{version} {}",
                Value::from(event.clone())
            );

            if rules.redaction.keeps_member_signed_invite && redacted_otherwise(&event) {
                continue;
            }
            let redacted = redact(&event, rules);
            let their_redacted = canonical_json::redact(other.clone(), &their_rules.redaction, None).unwrap();
            assert_eq!(redacted, to_ours(&their_redacted), "{version} {}", Value::from(event.clone()));

            let hash = reference_hash(&redacted);
            let text = match rules.event_ids {
                EventIdFormat::Stated | EventIdFormat::Base64 => base64::encode_unpadded(&hash),
                EventIdFormat::UrlSafeBase64 => base64::encode_url_safe_unpadded(&hash),
            };
            assert_eq!(
                text,
                ruma_signatures::reference_hash(&other, &their_rules).unwrap(),
                "{version} {}",
                Value::from(event.clone())
            );

            if round % 20 == 0 {
                let signature = signature_of(&redacted, &ours);
                add_signature(&mut event, "example.org", ours.key_id(), &signature).unwrap();
                ruma_signatures::sign_event("example.org", &theirs, &mut other, &their_rules.redaction).unwrap();
                assert_eq!(event, to_ours(&other), "{version}");
            }
        }
    }
}
