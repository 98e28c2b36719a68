//! Any bytes as JSON: the same texts are accepted as by `serde_json`, with the same meaning, and their canonical encoding is that
//! of `ruma-common`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orrery_core::canonical_json::parse;
use orrery_oracles::json as oracle;
use ruma_common::canonical_json::CanonicalJsonValue;

fuzz_target!(|text: &[u8]| {
    let ours = parse(text);
    let theirs = serde_json::from_slice::<serde_json::Value>(text);
    let (value, other) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return,
        (ours, theirs) => {
            assert!(oracle::difference(&ours, &theirs).is_some(), "{ours:?}\n{theirs:?}");
            return;
        }
    };
    assert!(oracle::same_meaning(&value, &other), "{value}\n{other}");

    let canonical = value.to_string();
    let again = parse(canonical.as_bytes()).expect("canonical JSON is JSON");
    assert_eq!(again.to_string(), canonical);
    match (value.require_strict(), CanonicalJsonValue::try_from(other.clone())) {
        (Ok(()), Ok(theirs)) => {
            assert_eq!(canonical, theirs.to_string());
            assert_eq!(again, value);
        }
        (Err(_), Err(_)) => assert!(oracle::same_number_apart(&again, &other), "{value}\n{other}"),
        (ours, theirs) => panic!("{ours:?}\n{theirs:?}"),
    }
});
