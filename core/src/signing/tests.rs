use alloc::string::{String, ToString};
use alloc::vec;
use bytes::Bytes;

use super::*;
use crate::canonical_json::{Object, Value, parse};
use crate::identifiers::KeyId;

/// Appendices, "Signing Key" of the test vectors.
fn key() -> SigningKey {
    let seed = base64::decode_array("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").unwrap();
    SigningKey::from_seed("1", &seed).unwrap()
}

fn object(text: &str) -> Object {
    match parse(text.as_bytes()) {
        Ok(Value::Object(object)) => object,
        other => panic!("{text}: {other:?}"),
    }
}

/// Appendices, "Unpadded Base64".
#[test]
fn base64_is_written_without_padding_and_read_either_way() {
    let check = |plain: &str, encoded: &str, padded: &str| {
        assert_eq!(base64::encode_unpadded(plain.as_bytes()), encoded);
        for text in [encoded, padded] {
            assert_eq!(base64::decode(text).as_deref(), Ok(plain.as_bytes()), "{text}");
        }
    };
    check("", "", "");
    check("f", "Zg", "Zg==");
    check("fo", "Zm8", "Zm8=");
    check("foo", "Zm9v", "Zm9v");
    check("foob", "Zm9vYg", "Zm9vYg==");
    check("fooba", "Zm9vYmE", "Zm9vYmE=");
    check("foobar", "Zm9vYmFy", "Zm9vYmFy");
}

#[test]
fn base64_is_read_in_both_alphabets() {
    let bytes = [0xfb, 0xef, 0xff];
    assert_eq!(base64::encode_unpadded(&bytes), "++//");
    assert_eq!(base64::encode_url_safe_unpadded(&bytes), "--__");
    for text in ["++//", "--__", "+-/_"] {
        assert_eq!(base64::decode(text).as_deref(), Ok(&bytes[..]), "{text}");
    }
    for text in ["A", "A===", "AA=A", "AA A", "A\u{e9}", "AA=", "*A"] {
        let expected = if text == "AA=" { Ok(vec![0]) } else { Err(base64::NotBase64) };
        assert_eq!(base64::decode(text), expected, "{text}");
    }
    assert_eq!(base64::decode("Zh"), Ok(vec![b'f']), "unused bits are ignored");
    assert_eq!(base64::decode_array::<2>("Zg"), Err(base64::NotBase64));
}

#[test]
fn signing_adds_beside_what_is_there_and_covers_neither_signatures_nor_unsigned() {
    let key = key();
    let mut signed = object(r#"{"one":1,"signatures":{"domain":{"ed25519:0":"x"},"other":{}},"unsigned":{"age":1}}"#);
    sign_json(&mut signed, "domain", &key).unwrap();
    let bare = object(r#"{"one":1}"#);
    assert_eq!(signature(&signed, "domain", key.key_id()), Ok(signature_of(&bare, &key)));
    assert_eq!(signed.object("signatures").unwrap().object("domain").unwrap().str("ed25519:0"), Some("x"));
    assert!(signed.contains("unsigned"));
    assert_eq!(verify_json(&signed, "domain", key.key_id(), &key.public_key()), Ok(()));

    signed.insert("unsigned", "changed");
    assert_eq!(verify_json(&signed, "domain", key.key_id(), &key.public_key()), Ok(()));
    signed.insert("one", 2i64);
    assert_eq!(verify_json(&signed, "domain", key.key_id(), &key.public_key()), Err(VerifyError::Mismatch));
}

#[test]
fn signatures_of_another_shape_are_refused() {
    for text in [r#"{"signatures":[]}"#, r#"{"signatures":{"domain":"x"}}"#] {
        assert_eq!(sign_json(&mut object(text), "domain", &key()), Err(MalformedSignatures), "{text}");
    }
    let check = |signature: &str, expected| {
        let text = alloc::format!(r#"{{"signatures":{{"domain":{{"ed25519:1":{signature}}}}}}}"#);
        assert_eq!(verify_json(&object(&text), "domain", key().key_id(), &key().public_key()), Err(expected), "{text}");
    };
    check("1", VerifyError::MalformedSignature);
    check(r#""""#, VerifyError::MalformedSignature);
    check(r#""*""#, VerifyError::MalformedSignature);
    let zeros = alloc::format!(r#""{}""#, base64::encode_unpadded(&[0; 64]));
    check(&zeros, VerifyError::Mismatch);
    let absent = verify_json(&object("{}"), "domain", key().key_id(), &key().public_key());
    assert_eq!(absent, Err(VerifyError::NoSignature));
}

#[test]
fn only_keys_of_known_algorithms_are_listed() {
    let signed = object(r#"{"signatures":{"domain":{"ed25519:1":"","ed25519":"","rsa:1":"","ed25519:b":""}}}"#);
    let listed = signing_key_ids(&signed, "domain").map(String::from).collect::<alloc::vec::Vec<_>>();
    assert_eq!(listed, ["ed25519:1", "ed25519:b"]);
    assert_eq!(signing_key_ids(&signed, "other").count(), 0);
}

/// A key of small order verifies a signature over anything; such keys are refused, and those that libsodium refuses.
#[test]
fn bad_keys_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    assert_eq!(verify(&identity, b"anything", &signature), Err(VerifyError::BadKey));
    let mut not_on_the_curve = [0; 32];
    not_on_the_curve[0] = 2;
    for bad in [[0; 32], [0xff; 32], not_on_the_curve] {
        assert_eq!(verify(&bad, b"anything", &signature), Err(VerifyError::BadKey), "{bad:?}");
    }
}

/// Adding the group's order to the second half of a signature makes another one of the same equation; only one form counts.
#[test]
fn a_signature_has_one_form() {
    const ORDER: u128 = 0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed;
    let key = key();
    let mut signature = key.sign(b"x");
    assert_eq!(verify(&key.public_key(), b"x", &signature), Ok(()));
    let low = u128::from_le_bytes(signature[32..48].try_into().unwrap());
    let high = u128::from_le_bytes(signature[48..].try_into().unwrap());
    let (low, carry) = low.overflowing_add(ORDER);
    let high = high + u128::from(carry) + (1 << 124);
    signature[32..48].copy_from_slice(&low.to_le_bytes());
    signature[48..].copy_from_slice(&high.to_le_bytes());
    assert_eq!(verify(&key.public_key(), b"x", &signature), Err(VerifyError::Mismatch));
}

#[test]
fn a_batch_judges_each_signature_alone() {
    let (a, b) = (key(), SigningKey::from_seed("2", &[7; 32]).unwrap());
    let item = |key: &SigningKey, signed: &'static [u8], sent: &'static [u8]| SignedMessage {
        public_key: key.public_key(),
        message: Bytes::from_static(sent),
        signature: Bytes::copy_from_slice(&key.sign(signed)),
    };
    let mut short = item(&a, b"x", b"x");
    short.signature.truncate(63);
    let mut weak = item(&a, b"x", b"x");
    weak.public_key = [0; 32];
    let batch = [item(&a, b"x", b"x"), item(&a, b"x", b"y"), item(&b, b"y", b"y"), short, weak, item(&a, b"z", b"z")];
    let verdicts = verify_batch(&batch);
    let expected = [
        Ok(()),
        Err(VerifyError::Mismatch),
        Ok(()),
        Err(VerifyError::MalformedSignature),
        Err(VerifyError::BadKey),
        Ok(()),
    ];
    assert_eq!(verdicts, expected);
}

#[test]
fn content_hashes_are_checked() {
    let mut event = object(r#"{"content":{"body":"hello"},"unsigned":{"age":1}}"#);
    assert!(!content_hash_matches(&event));
    set_content_hash(&mut event);
    assert!(content_hash_matches(&event));
    event.remove("unsigned");
    event.insert("signatures", Object::new());
    assert!(content_hash_matches(&event));
    event.insert("content", Object::new());
    assert!(!content_hash_matches(&event));
}

#[test]
fn key_files() {
    let text = "ed25519 a_AbCd YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0\n";
    let read = parse_key_file(text).unwrap();
    assert_eq!(read.key_id(), &KeyId::parse("ed25519:a_AbCd").unwrap());
    assert_eq!(read.public_key(), key().public_key());
    assert_eq!(format_key_file(&read), text);
    assert_eq!(alloc::format!("{read:?}"), r#"SigningKey { key_id: "ed25519:a_AbCd", .. }"#);

    let check = |text: &str, expected| assert_eq!(parse_key_file(text).map(|_| ()), expected, "{text}");
    check("\n  ed25519\ta YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0=\r\n", Ok(()));
    check("", Err(KeyFileError::Shape));
    check("ed25519 a", Err(KeyFileError::Shape));
    check("ed25519 a b c", Err(KeyFileError::Shape));
    check("rsa a YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0", Err(KeyFileError::Algorithm));
    check("ed25519 a:b YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0", Err(KeyFileError::Version));
    check("ed25519 a YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW", Err(KeyFileError::Seed));
    check(&(text.to_string() + text), Err(KeyFileError::ManyKeys));
}
