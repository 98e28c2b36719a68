//! Power levels as clients and rules read them.

use super::super::levels::read_level;
use super::*;

/// What `json` is as a power level in versions 1 to 5, 6 to 9, and later.
fn check(json: &str, lenient: Option<i64>, strings: Option<i64>, integers: Option<i64>) {
    let value = parse(json.as_bytes()).unwrap();
    for version in RoomVersion::ALL {
        let expected = match version {
            RoomVersion::V1 | RoomVersion::V2 | RoomVersion::V3 | RoomVersion::V4 | RoomVersion::V5 => lenient,
            RoomVersion::V6 | RoomVersion::V7 | RoomVersion::V8 | RoomVersion::V9 => strings,
            RoomVersion::V10 | RoomVersion::V11 | RoomVersion::V12 => integers,
        };
        assert_eq!(read_level(version.rules(), &value), expected, "version {version}: {json}");
    }
}

#[test]
fn values() {
    let float = |json: &str, level: Option<i64>| check(json, level, None, None);
    let string = |json: &str, level: Option<i64>| check(json, level, level, None);
    check("50", Some(50), Some(50), Some(50));
    check("-50", Some(-50), Some(-50), Some(-50));
    for none in ["null", "true", "[]", "{}", "[50]"] {
        check(none, None, None, None);
    }
    string("\"50\"", Some(50));
    string("\"000100\"", Some(100));
    string("\"+100\"", Some(100));
    string("\"-100\"", Some(-100));
    string("\" \\t+0100 \\n\"", Some(100));
    for none in ["", " ", "+", "-", "+-1", "1.0", "1e2", "0x10", "1 2", "1_0", "five", "+ 1", "٥"] {
        string(&alloc::format!("\"{none}\""), None);
    }
    check("\"9007199254740992\"", Some(9_007_199_254_740_992), None, None);
    check("\"99999999999999999999\"", Some(i64::MAX), None, None);
    check("\"-99999999999999999999\"", Some(i64::MIN), None, None);

    // The specification's examples.
    float("5.114698E4", Some(51146));
    float("50.57", Some(50));
    float("0.99", Some(0));
    float("-0.99", Some(0));
    float("-1.5", Some(-1));
    float("1e2", Some(100));
    float("1E+2", Some(100));
    float("12345e-2", Some(123));
    float("1e-400", Some(0));
    float("0e999999999999999999999", Some(0));
    float("0.00012e5", Some(12));
    float("1e300", Some(i64::MAX));
    float("-1e300", Some(i64::MIN));
    float("1.7976931348623157e308", Some(i64::MAX));
    float("1.8e308", None);
    float("-1.8e308", None);
    float("1e309", None);
    float("0.1e310", None);
    float("1e99999999999999999999", None);
    float("9223372036854775808", Some(i64::MAX));
}

fn levels(version: RoomVersion, content: Option<&str>, look: impl FnOnce(PowerLevels<&Pdu>)) {
    let room = Room::with_create(version, r#"{"additional_creators":["@extra:e"]}"#);
    let texts = content.map(|content| alloc::format!("m.room.power_levels @alice:a '' {content}"));
    let state = room.state(&texts.as_deref().into_iter().collect::<Vec<_>>());
    let state: Vec<&Pdu> = state.iter().collect();
    look(PowerLevels::from_state(version.rules(), &room.create, &AuthState(&state)));
}

#[test]
fn defaults() {
    for version in RoomVersion::ALL {
        let creators = version == RoomVersion::V12;
        levels(version, None, |levels| {
            let creator = if creators { PowerLevel::Infinite } else { PowerLevel::Int(100) };
            assert_eq!(levels.user("@alice:a"), creator);
            let extra = if creators { PowerLevel::Infinite } else { PowerLevel::Int(0) };
            assert_eq!(levels.user("@extra:e"), extra);
            assert_eq!(levels.user("@bob:b"), PowerLevel::Int(0));
        });
        for content in [None, Some("{}")] {
            levels(version, content, |levels| {
                let fields: Vec<PowerLevel> = LevelField::ALL.into_iter().map(|field| levels.field(field)).collect();
                assert_eq!(fields, [0, 0, 50, 50, 50, 50, 0].map(PowerLevel::Int));
                assert_eq!(levels.event("m.room.message", false), PowerLevel::Int(0));
                assert_eq!(levels.event("m.room.topic", true), PowerLevel::Int(50));
                assert_eq!(levels.notification("room"), PowerLevel::Int(50));
            });
        }
        levels(version, Some("{}"), |levels| {
            let creator = if creators { PowerLevel::Infinite } else { PowerLevel::Int(0) };
            assert_eq!(levels.user("@alice:a"), creator);
        });
    }
}

#[test]
fn explicit_levels() {
    let content = r#"{"users":{"@bob:b":7},"users_default":-1,"events":{"m.room.message":3},"events_default":4,
        "state_default":5,"notifications":{"room":6},"ban":1,"kick":2}"#;
    for version in RoomVersion::ALL {
        levels(version, Some(content), |levels| {
            assert_eq!(levels.user("@bob:b"), PowerLevel::Int(7));
            assert_eq!(levels.user("@carol:c"), PowerLevel::Int(-1));
            assert_eq!(levels.event("m.room.message", false), PowerLevel::Int(3));
            assert_eq!(levels.event("m.room.message", true), PowerLevel::Int(3));
            assert_eq!(levels.event("other", false), PowerLevel::Int(4));
            assert_eq!(levels.event("other", true), PowerLevel::Int(5));
            assert_eq!(levels.notification("room"), PowerLevel::Int(6));
            assert_eq!(levels.ban(), PowerLevel::Int(1));
            assert_eq!(levels.kick(), PowerLevel::Int(2));
        });
    }
    assert!(PowerLevel::Infinite > PowerLevel::Int(i64::MAX));
}

/// Rooms up to version 9 may hold levels that are no numbers.
#[test]
fn no_numbers() {
    levels(RoomVersion::V9, Some(r#"{"users_default":"x","ban":[],"events":7}"#), |levels| {
        assert_eq!(levels.user("@bob:b"), PowerLevel::Int(i64::MIN));
        assert_eq!(levels.ban(), PowerLevel::Infinite);
        assert_eq!(levels.event("m.room.message", false), PowerLevel::Infinite);
    });
}
