//! A denser form of the canonical JSON of events, for rows at rest.
//!
//! Half of an event is hashes, signatures and event IDs in base64, and member names. Canonical JSON has no raw control
//! characters, so the bytes below 0x20 are free to stand for them: [`HASH`], [`URL_SAFE_HASH`] and [`SIGNATURE`] come before
//! the bytes that a base64 text of 32 or 64 bytes encodes, the rest stand for a text of [`PHRASES`]. Any text without control
//! characters packs, and unpacks to itself.

use alloc::vec::Vec;

use crate::signing::base64;

/// Before 32 bytes: 43 characters of standard base64.
const HASH: u8 = 0x00;
/// Before 32 bytes: 43 characters of URL-safe base64.
const URL_SAFE_HASH: u8 = 0x01;
/// Before 64 bytes: 86 characters of standard base64.
const SIGNATURE: u8 = 0x02;
const FIRST_PHRASE: u8 = 0x03;

/// The length of 32 bytes in base64.
const HASH_TEXT: usize = 43;
/// That of 64 bytes.
const SIGNATURE_TEXT: usize = 86;

/// What stands in many events, the longer of two with a common beginning first. The order is part of the schema.
const PHRASES: [&str; 29] = [
    "{\"auth_events\":[\"$",
    "\",\"$",
    "\"],\"content\":{",
    "},\"depth\":",
    ",\"hashes\":{\"sha256\":\"",
    "\"},\"origin_server_ts\":",
    ",\"prev_events\":[\"$",
    "\"],\"room_id\":\"!",
    "\",\"sender\":\"@",
    "\",\"signatures\":{\"",
    "\":{\"ed25519:",
    "\"}},\"state_key\":\"",
    "\"}},\"type\":\"m.room.message\"}",
    "\"}},\"type\":\"m.room.",
    "\"}},\"type\":\"",
    "\",\"type\":\"m.room.member\"}",
    "\",\"type\":\"m.room.",
    "\",\"type\":\"",
    "\"body\":\"",
    "\",\"msgtype\":\"m.text\"",
    "\"msgtype\":\"m.",
    "\"membership\":\"join\"",
    "\"membership\":\"",
    "\"displayname\":\"",
    "\"avatar_url\":\"mxc://",
    "\"formatted_body\":\"",
    "\"m.relates_to\":{",
    "\"event_id\":\"$",
    "\"m.mentions\":{",
];

/// What a byte can be the first of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Control,
    Base64,
    /// One of the bytes that phrases begin with.
    Phrase,
    Other,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0u8;
    loop {
        classes[byte as usize] = match byte {
            0..0x20 => Class::Control,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'+' | b'/' | b'-' | b'_' => Class::Base64,
            _ => Class::Other,
        };
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    let mut phrase = 0;
    while phrase < PHRASES.len() {
        classes[PHRASES[phrase].as_bytes()[0] as usize] = Class::Phrase;
        phrase += 1;
    }
    classes
};

/// The phrases by their second byte, which is ASCII: a bit for each. There most of them differ.
const BY_SECOND_BYTE: [u32; 128] = {
    let mut phrases = [0; 128];
    let mut phrase = 0;
    while phrase < PHRASES.len() {
        phrases[PHRASES[phrase].as_bytes()[1] as usize] |= 1 << phrase;
        phrase += 1;
    }
    phrases
};

/// The packed form of `text`, or `None` if `text` has control characters.
#[must_use]
pub fn pack(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    // What comes before `at` and is not in `out` yet stands for itself.
    let (mut literal, mut at) = (0, 0);
    while let Some(&byte) = text.get(at) {
        match CLASSES[usize::from(byte)] {
            Class::Control => return None,
            Class::Other => at += 1,
            Class::Phrase => match phrase_at(&text[at..]) {
                Some(phrase) => {
                    out.extend_from_slice(&text[literal..at]);
                    out.push(FIRST_PHRASE + u8::try_from(phrase).expect("the phrases fit below 0x20"));
                    at += PHRASES[phrase].len();
                    literal = at;
                }
                None => at += 1,
            },
            Class::Base64 => {
                // Base64 is looked for where a run of its characters begins, and no longer one is ever packed.
                let rest = &text[at..];
                let run = rest.iter().take_while(|byte| CLASSES[usize::from(**byte)] == Class::Base64).count();
                if matches!(run, HASH_TEXT | SIGNATURE_TEXT) {
                    out.extend_from_slice(&text[literal..at]);
                    literal = at;
                    if pack_base64(&rest[..run], &mut out) {
                        literal += run;
                    }
                }
                at += run;
            }
        }
    }
    out.extend_from_slice(&text[literal..]);
    Some(out)
}

/// The phrase that a text begins with.
fn phrase_at(text: &[u8]) -> Option<usize> {
    let mut phrases = *BY_SECOND_BYTE.get(usize::from(*text.get(1)?))?;
    while phrases != 0 {
        let phrase = phrases.trailing_zeros() as usize;
        if text.starts_with(PHRASES[phrase].as_bytes()) {
            return Some(phrase);
        }
        phrases &= phrases - 1;
    }
    None
}

/// Packs a run of base64 characters, if it is one that [`unpack`] makes again.
fn pack_base64(run: &[u8], out: &mut Vec<u8>) -> bool {
    match run.len() {
        HASH_TEXT => {
            let Ok(bytes) = base64::decode_exact::<32>(run) else { return false };
            out.push(if base64::is_url_safe(run) { URL_SAFE_HASH } else { HASH });
            out.extend_from_slice(&bytes);
            true
        }
        SIGNATURE_TEXT if !base64::is_url_safe(run) => {
            let Ok(bytes) = base64::decode_exact::<64>(run) else { return false };
            out.push(SIGNATURE);
            out.extend_from_slice(&bytes);
            true
        }
        _ => false,
    }
}

/// The text that [`pack`] was given. `None` if `packed` is nothing that it gave.
#[must_use]
pub fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(packed.len() * 2 + 128);
    let mut rest = packed;
    while let Some(marker) = rest.iter().position(|byte| *byte < 0x20) {
        out.extend_from_slice(&rest[..marker]);
        let byte = rest[marker];
        rest = &rest[marker + 1..];
        let len = match byte {
            HASH | URL_SAFE_HASH => 32,
            SIGNATURE => 64,
            _ => 0,
        };
        let (bytes, after) = rest.split_at_checked(len)?;
        rest = after;
        match byte {
            HASH | SIGNATURE => base64::append_unpadded(bytes, &mut out),
            URL_SAFE_HASH => base64::append_url_safe_unpadded(bytes, &mut out),
            phrase => out.extend_from_slice(PHRASES.get(usize::from(phrase - FIRST_PHRASE))?.as_bytes()),
        }
    }
    out.extend_from_slice(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;

    fn check(text: &str) -> usize {
        let packed = pack(text.as_bytes()).expect("no control characters");
        assert_eq!(unpack(&packed).as_deref(), Some(text.as_bytes()), "{text}");
        packed.len()
    }

    #[test]
    fn events_pack_to_about_half() {
        let hash = base64::encode_url_safe_unpadded(&[0xfb; 32]);
        let plain = base64::encode_unpadded(&[0xfb; 32]);
        let signature = base64::encode_unpadded(&[7; 64]);
        let event = format!(
            "{{\"auth_events\":[\"${hash}\",\"${hash}\"],\"content\":{{\"body\":\"hello\",\"msgtype\":\"m.text\"}},\"depth\":12,\
             \"hashes\":{{\"sha256\":\"{plain}\"}},\"origin_server_ts\":1700000000000,\"prev_events\":[\"${hash}\"],\
             \"room_id\":\"!{hash}\",\"sender\":\"@alice:example.org\",\"signatures\":{{\"example.org\":{{\"ed25519:a\":\
             \"{signature}\"}}}},\"type\":\"m.room.message\"}}"
        );
        let len = check(&event);
        assert!(len * 100 < event.len() * 52, "{len} of {}", event.len());
    }

    #[test]
    fn anything_without_control_characters_comes_back() {
        let mut random = Random::new(&[3; 32], "packing");
        for _ in 0..5_000 {
            let mut text = String::new();
            for _ in 0..random.below(12) {
                match random.below(5) {
                    0 => text.push_str(PHRASES[random.below(29) as usize]),
                    1 => text.push_str(&base64::encode_unpadded(&random.bytes::<32>())),
                    2 => text.push_str(&base64::encode_url_safe_unpadded(&random.bytes::<64>())),
                    // Nearly base64: a length that is wrong, or last bits that no encoder sets.
                    3 => {
                        let len = 41 + random.below(48) as usize;
                        text.push_str(&random.token(len));
                    }
                    _ => text.push_str(["é", "\u{7f}", "\\\"", "日本", " "][random.below(5) as usize]),
                }
            }
            check(&text);
        }
    }

    #[test]
    fn what_was_never_packed_is_refused_or_harmless() {
        assert_eq!(pack(b"a\nb"), None);
        assert_eq!(unpack(&[HASH, 1, 2, 3]), None);
        let mut random = Random::new(&[4; 32], "unpacking");
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..random.below(90)).map(|_| random.below(256) as u8).collect();
            let _ = unpack(&bytes);
        }
    }
}
