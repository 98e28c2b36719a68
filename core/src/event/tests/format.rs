//! Events that are not of their version's format.

use super::*;

/// A valid event of `version` as JSON.
fn valid(version: RoomVersion) -> Object {
    let mut event =
        build(version, "m.room.message", Some(""), r#"{"body":"b"}"#, Some("$gone:example.org")).to_object();
    event.insert("unsigned", object(r#"{"age":1.5}"#));
    event
}

/// `version`'s valid event, changed by `change`, is refused.
fn refused(version: RoomVersion, change: impl Fn(&mut Object)) -> FormatError {
    let mut event = valid(version);
    change(&mut event);
    let text = event.to_bytes();
    match Pdu::parse(event, version) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            error
        }
        Ok(_) => panic!("version {version} takes {}", String::from_utf8_lossy(&text)),
    }
}

#[test]
fn required_members() {
    for version in RoomVersion::ALL {
        let rules = version.rules();
        let mut required = Vec::from([
            "auth_events",
            "content",
            "depth",
            "hashes",
            "origin_server_ts",
            "prev_events",
            "room_id",
            "sender",
            "signatures",
            "type",
        ]);
        if rules.event_id_server_signs {
            required.push("event_id");
        }
        for member in required {
            let error = refused(version, |event| drop(event.remove(member)));
            assert_eq!(error, FormatError::Missing(member));
        }
        assert_eq!(
            refused(version, |event| drop(event.insert("hashes", Object::new()))),
            FormatError::Missing("hashes.sha256")
        );
    }
}

#[test]
fn wrong_types() {
    let values =
        ["null", "true", "1", "1.5", "\"text\"", "\"\"", "[]", "[1]", "[[]]", r#"[["$a",1]]"#, "{}", r#"{"a":1}"#];
    let allowed: &[(&str, &[&str])] = &[
        ("auth_events", &["[]"]),
        ("content", &["{}", r#"{"a":1}"#]),
        ("depth", &["1"]),
        ("hashes", &[]),
        ("origin_server_ts", &["1"]),
        ("prev_events", &["[]"]),
        ("room_id", &[]),
        ("sender", &[]),
        ("signatures", &["{}"]),
        ("state_key", &["\"text\"", "\"\""]),
        ("type", &["\"text\"", "\"\""]),
        ("unsigned", &values),
    ];
    for version in RoomVersion::ALL {
        for (member, allowed) in allowed {
            for value in values {
                let json = parse(value.as_bytes()).unwrap();
                if allowed.contains(&value) {
                    let mut event = valid(version);
                    event.insert(*member, json);
                    assert!(Pdu::parse(event, version).is_ok(), "version {version} takes {value} for {member}");
                } else {
                    refused(version, |event| drop(event.insert(*member, json.clone())));
                }
            }
        }
        for value in ["null", "1", "[]", "{}"] {
            let json = parse(value.as_bytes()).unwrap();
            let mut event = valid(version);
            event.insert("redacts", json.clone());
            assert_eq!(Pdu::parse(event, version).is_ok(), version.rules().redacts_in_content, "redacts {value}");
            if version.rules().event_id_server_signs {
                refused(version, |event| drop(event.insert("event_id", json.clone())));
            }
        }
    }
}

#[test]
fn identifiers() {
    for version in RoomVersion::ALL {
        for (member, text) in [
            ("sender", "alice"),
            ("sender", "@alice"),
            ("sender", "@alice:exa mple.org"),
            ("room_id", "room"),
            ("room_id", "!"),
            ("room_id", "$room:example.org"),
        ] {
            refused(version, |event| drop(event.insert(member, text)));
        }
        for (member, sigil) in [("sender", '@'), ("room_id", '!')] {
            let id = |len: usize| alloc::format!("{sigil}{}:x.org", "a".repeat(len - 7));
            let mut event = valid(version);
            event.insert(member, id(255));
            assert!(Pdu::parse(event, version).is_ok());
            refused(version, |event| drop(event.insert(member, id(256))));
        }
        for member in ["type", "state_key"] {
            let mut event = valid(version);
            event.insert(member, "é".repeat(127));
            assert!(Pdu::parse(event, version).is_ok());
            let error = refused(version, |event| drop(event.insert(member, "é".repeat(128))));
            assert_eq!(error, FormatError::TooLong(member), "the limit is in bytes");
        }
    }
}

#[test]
fn references() {
    for version in RoomVersion::ALL {
        let pairs = version.rules().references_have_hashes;
        let list = |len: usize| -> Value {
            let one = if pairs { r#"["$a:b",{"sha256":"x"}]"# } else { "\"$a\"" };
            parse(alloc::format!("[{}]", [one].repeat(len).join(",")).as_bytes()).unwrap()
        };
        for (member, most) in [("prev_events", 20), ("auth_events", 10)] {
            let mut event = valid(version);
            event.insert(member, list(most));
            assert!(Pdu::parse(event, version).is_ok());
            let error = refused(version, |event| drop(event.insert(member, list(most + 1))));
            assert_eq!(error, FormatError::TooMany(member));
            // In events of the past only the auth events are limited.
            let mut event = valid(version);
            event.insert(member, list(most + 1));
            assert_eq!(ReceivedPdu::parse_history(event, version).is_ok(), member == "prev_events");
            for wrong in ["[\"a\"]", "[\"\"]", r#"[["$a:b"]]"#, r#"[["$a:b",{},{}]]"#, r#"[["a",{}]]"#] {
                refused(version, |event| drop(event.insert(member, parse(wrong.as_bytes()).unwrap())));
            }
            let other = if pairs { "[\"$a\"]" } else { r#"[["$a:b",{"sha256":"x"}]]"# };
            refused(version, |event| drop(event.insert(member, parse(other.as_bytes()).unwrap())));
        }
    }
}

/// CVE-2018-10657: a huge depth must neither overflow nor stop the room.
#[test]
fn depth() {
    let check = |version: RoomVersion, depth: &str, expected: Option<i64>| {
        let mut event = valid(version);
        event.insert("depth", parse(depth.as_bytes()).unwrap());
        let parsed = Pdu::parse(event, version).ok();
        assert_eq!(parsed.as_ref().map(|pdu| pdu.depth), expected, "version {version}, depth {depth}");
        if let Some(pdu) = parsed {
            assert_eq!(Pdu::from_stored(pdu.event_id.clone(), pdu.json().clone(), version), Ok(pdu));
        }
    };
    for version in RoomVersion::ALL {
        let lenient = !version.rules().strict_canonical_json;
        check(version, "0", Some(0));
        check(version, "9007199254740991", Some(9_007_199_254_740_991));
        check(version, "9007199254740992", lenient.then_some(9_007_199_254_740_992));
        check(version, "9223372036854775807", lenient.then_some(i64::MAX));
        for wrong in ["-1", "9223372036854775808", "1.0", "1e3", "1e999999999"] {
            check(version, wrong, None);
        }
    }
}

#[test]
fn numbers_outside_canonical_json() {
    for version in RoomVersion::ALL {
        for number in ["1.5", "1e3", "-0", "9007199254740992", "1e400"] {
            let mut event = valid(version);
            event.insert("content", object(&alloc::format!(r#"{{"a":[{{"b":{number}}}]}}"#)));
            let parsed = Pdu::parse(event, version);
            assert_eq!(parsed.is_ok(), !version.rules().strict_canonical_json, "version {version}, {number}");
        }
    }
}

#[test]
fn size() {
    for version in RoomVersion::ALL {
        let event = |len: usize| {
            let mut event = valid(version);
            event.insert("content", Object::new().with("body", "x".repeat(len)));
            event.insert("unsigned", Object::new().with("not", "x".repeat(70_000)));
            event
        };
        let size = Pdu::parse(event(0), version).unwrap().json().len();
        let room = 65_536 - size;
        assert_eq!(Pdu::parse(event(room), version).unwrap().json().len(), 65_536);
        assert_eq!(Pdu::parse(event(room + 1), version), Err(FormatError::TooLarge(65_537)));
    }
}

#[test]
fn texts_that_are_no_events() {
    let deep = "[".repeat(100_000);
    for text in ["", "{", "[]", "null", "\"x\"", "{\"a\":1,\"a\":2}", "{\"a\":\"\\ud800\"}", deep.as_str()] {
        assert!(Pdu::parse_bytes(text.as_bytes(), RoomVersion::V12).is_err());
        let id = EventId::parse("$id").unwrap();
        assert!(Pdu::from_stored(id.clone(), Bytes::copy_from_slice(text.as_bytes()), RoomVersion::V12).is_err());
        assert!(Essentials::read(text.as_bytes()).is_none());
    }
    assert!(Pdu::parse_bytes(b"{\"a\":\"\xff\"}", RoomVersion::V12).is_err());
}

/// Storage that was cut or changed is an error, not a panic.
#[test]
fn damaged_storage() {
    let pdu = build(RoomVersion::V11, "m.room.member", Some("@a:b"), r#"{"membership":"join","x":["\"",{}]}"#, None);
    for len in 0..pdu.json().len() {
        let cut = pdu.json().slice(..len);
        assert!(Pdu::from_stored(pdu.event_id.clone(), cut, RoomVersion::V11).is_err());
    }
    for at in 0..pdu.json().len() {
        for byte in [0, b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', 0xff] {
            let mut changed = pdu.json().to_vec();
            changed[at] = byte;
            let _ = Pdu::from_stored(pdu.event_id.clone(), Bytes::from(changed), RoomVersion::V11);
        }
    }
}

/// An event may state more than the format names; what it states is hashed and kept.
#[test]
fn further_members_are_kept() {
    for version in RoomVersion::ALL {
        let mut event = valid(version);
        event.insert("org.example.more", 1i64);
        let pdu = Pdu::parse(event.clone(), version).unwrap();
        event.remove("unsigned");
        assert_eq!(pdu.to_object(), event);
    }
}
