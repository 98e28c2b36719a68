//! Auth events: which an event is to cite, and which it may.

use super::*;

const ALICE: &str = r#"m.room.member @alice:a @alice:a {"membership":"join"}"#;
const BOB: &str = r#"m.room.member @bob:b @bob:b {"membership":"join"}"#;
const LEVELS: &str = "m.room.power_levels @alice:a '' {}";
const RULES: &str = r#"m.room.join_rules @alice:a '' {"join_rule":"public"}"#;

fn select(version: RoomVersion, event: &str) -> Vec<String> {
    let event = Room::new(version).event(event);
    select_auth_events(version.rules(), &event.kind, event.state_key.as_deref(), &event.sender, &event.content)
        .into_iter()
        .map(|(kind, state_key)| alloc::format!("{} {state_key}", kind.strip_prefix("m.room.").unwrap()))
        .collect()
}

#[test]
fn selection() {
    let check = |event: &str, expected: &[&str]| {
        for version in RoomVersion::ALL {
            let mut expected: Vec<&str> = expected.to_vec();
            if version < RoomVersion::V12 {
                expected.insert(0, "create ");
            }
            assert_eq!(select(version, event), expected, "version {version}");
        }
    };
    check("m.room.message @bob:b - {}", &["power_levels ", "member @bob:b"]);
    check("m.room.topic @bob:b '' {}", &["power_levels ", "member @bob:b"]);
    check(BOB, &["power_levels ", "member @bob:b", "join_rules "]);
    let by = |membership: &str, more: &str| {
        alloc::format!(r#"m.room.member @bob:b @carol:c {{"membership":"{membership}"{more}}}"#)
    };
    check(&by("invite", ""), &["power_levels ", "member @bob:b", "member @carol:c", "join_rules "]);
    check(&by("knock", ""), &["power_levels ", "member @bob:b", "member @carol:c", "join_rules "]);
    check(&by("leave", ""), &["power_levels ", "member @bob:b", "member @carol:c"]);
    check(&by("ban", ""), &["power_levels ", "member @bob:b", "member @carol:c"]);
    let third_party = r#","third_party_invite":{"signed":{"token":"t"}}"#;
    check(
        &by("invite", third_party),
        &["power_levels ", "member @bob:b", "member @carol:c", "join_rules ", "third_party_invite t"],
    );
    check(&by("join", third_party), &["power_levels ", "member @bob:b", "member @carol:c", "join_rules "]);
    // What cannot be told is left out.
    check("m.room.member @bob:b - {}", &["power_levels ", "member @bob:b"]);
    check(
        &by("invite", r#","third_party_invite":{"signed":{"token":1}}"#),
        &["power_levels ", "member @bob:b", "member @carol:c", "join_rules "],
    );

    let restricted = r#","join_authorised_via_users_server":"@alice:a""#;
    for version in RoomVersion::ALL {
        let has = |event: &str| select(version, event).contains(&"member @alice:a".to_string());
        assert_eq!(has(&by("join", restricted)), version >= RoomVersion::V8);
        assert!(!has(&by("invite", restricted)));
        let create = create_event(version, Object::new());
        let none = select_auth_events(version.rules(), "m.room.create", Some(""), &create.sender, &create.content);
        assert_eq!(none, []);
    }
}

/// The rule that rejects Bob's join for citing these events. `!` before one says that it was rejected itself.
fn check_room(room: &Room, cited: &[&str], with_create: bool, expected: Option<Rule>) {
    let mut events: Vec<(Pdu, bool)> = cited
        .iter()
        .map(|text| match text.strip_prefix('!') {
            Some(text) => (room.event(text), true),
            None => (room.event(text), false),
        })
        .collect();
    if with_create && room.version < RoomVersion::V12 {
        events.push((room.create.clone(), false));
    }
    let cited: Vec<CitedEvent<'_>> =
        events.iter().map(|(event, rejected)| CitedEvent { event, rejected: *rejected }).collect();
    let create = CitedEvent { event: &room.create, rejected: false };
    let verdict = check_auth_events(room.version.rules(), &room.event(BOB), &cited, Some(create));
    assert_eq!(verdict.map_err(|verdict| verdict.rule.rule()).err(), expected, "version {}", room.version);
}

#[test]
fn citations() {
    for version in RoomVersion::ALL {
        let room = Room::new(version);
        let check = |cited: &[&str], expected: Option<Rule>| check_room(&room, cited, true, expected);
        check(&[], None);
        check(&[LEVELS, RULES, BOB], None);
        check(&[LEVELS, RULES, r#"m.room.power_levels @alice:a '' {"ban":1}"#], Some(Rule::AuthEventsDuplicate));
        check(&[ALICE], Some(Rule::AuthEventsUnexpected));
        check(&["m.room.topic @alice:a '' {}"], Some(Rule::AuthEventsUnexpected));
        check(&["m.room.message @alice:a - {}"], Some(Rule::AuthEventsUnexpected));
        check(&["m.room.power_levels @alice:a x {}"], Some(Rule::AuthEventsUnexpected));
        check(&["!m.room.power_levels @alice:a '' {}"], Some(Rule::AuthEventsRejected));
        let none = if version < RoomVersion::V12 { Some(Rule::AuthEventsNoCreate) } else { None };
        check_room(&room, &[LEVELS], false, none);
    }
}

/// Pitfall 5 (MSC4307): auth events of other rooms.
#[test]
fn events_of_other_rooms() {
    for version in RoomVersion::ALL {
        let room = Room::new(version);
        let other = Room::with_create(version, r#"{"other":true}"#);
        let mut levels = other.event(LEVELS).to_object();
        levels.insert("room_id", if version < RoomVersion::V12 { "!other:a" } else { &other.create.room_id });
        let levels = Pdu::parse(levels, version).unwrap();
        let cited = |event| CitedEvent { event, rejected: false };
        let event = room.event(BOB);
        let verdict = |cited: &[CitedEvent<'_>], create| check_auth_events(version.rules(), &event, cited, create);
        let list = [cited(&room.create), cited(&levels)];
        let list = if version < RoomVersion::V12 { &list[..] } else { &list[1..] };
        let rejected = verdict(list, Some(cited(&room.create))).unwrap_err();
        assert_eq!(rejected.rule.rule(), Rule::AuthEventsOtherRoom);
        assert_eq!(rejected.inputs.len(), list.len());

        if version == RoomVersion::V12 {
            let names_none = |create| verdict(&[], create).unwrap_err().rule.rule();
            assert_eq!(names_none(None), Rule::RoomIdNamesNoCreate);
            assert_eq!(names_none(Some(cited(&other.create))), Rule::RoomIdNamesNoCreate);
            assert_eq!(names_none(Some(cited(&levels))), Rule::RoomIdNamesNoCreate);
            let rejected = CitedEvent { event: &room.create, rejected: true };
            assert_eq!(names_none(Some(rejected)), Rule::RoomIdNamesNoCreate);
            // The create event must not be cited.
            let verdict = verdict(&[cited(&room.create)], Some(cited(&room.create)));
            assert_eq!(verdict.unwrap_err().rule.rule(), Rule::AuthEventsUnexpected);
        }
    }
}
