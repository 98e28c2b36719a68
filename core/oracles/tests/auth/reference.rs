//! The reference model's judgement on what Orrery has judged: the same verdict by the same rule.

use orrery_core::auth_rules::{AuthState, CitedEvent, Rule, Verdict, authorize, check_auth_events};
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::Pdu;
use orrery_core::identifiers::UserId;
use orrery_core::room_version::RoomVersion;
use orrery_sim::reference::auth::{Asked, Cited, Decision, judge};

use crate::generate::Room;
use crate::{state, text};
use orrery_oracles::random::Random;

fn ask(version: RoomVersion, event: &Pdu, create: &Pdu, state: &[Pdu]) -> Decision {
    let authoriser = event.content.str("join_authorised_via_users_server");
    let authoriser = authoriser.and_then(|user| UserId::parse(user).ok());
    judge(&Asked {
        version,
        event,
        auth_events: None,
        create: Some(Cited { event: create, rejected: false }),
        state: &|kind, state_key| state.iter().find(|event| event.is_state_of(kind, state_key)),
        // Whoever asks core has seen to that signature.
        is_signed_by: &|server| authoriser.as_ref().is_some_and(|user| user.server_str() == server),
    })
}

/// Whether they decide alike. The rules are one by one the same, too, except where core makes one step of two.
fn agree(ours: &Verdict, theirs: &Decision) -> bool {
    let same_rule = ours.rule.number() == theirs.rule() || ours.rule.rule() == Rule::ThirdPartyInviteMalformed;
    ours.allowed == theirs.allowed && same_rule
}

pub fn on_state(room: &Room, event: &Pdu, ours: &Verdict) {
    let theirs = ask(room.version, event, &room.create, &room.state);
    assert!(agree(ours, &theirs), "{ours:?}, and {theirs} by the reference\n{}\non {}", text(event), state(room));
}

pub fn on_auth_events(
    version: RoomVersion,
    event: &Pdu,
    cited: &[CitedEvent<'_>],
    create: CitedEvent<'_>,
    ours: &Result<(), Verdict>,
) {
    fn cite<'a>(cited: &CitedEvent<'a>) -> Cited<'a> {
        Cited { event: cited.event, rejected: cited.rejected }
    }
    let theirs = judge(&Asked {
        version,
        event,
        auth_events: Some(&cited.iter().map(cite).collect::<Vec<_>>()),
        create: Some(cite(&create)),
        state: &|kind, key| cited.iter().map(|cited| cited.event).find(|event| event.is_state_of(kind, key)),
        is_signed_by: &|_| true,
    });
    let list = if version == RoomVersion::V12 { "3" } else { "2" };
    let of_citation = |rule: &str| rule == "2" || rule.split_once('.').is_some_and(|(first, _)| first == list);
    let agreed = match ours {
        Ok(()) => !of_citation(&theirs.rule()),
        Err(ours) => agree(ours, &theirs),
    };
    let cited = || cited.iter().map(|cited| text(cited.event)).collect::<Vec<_>>().join("\n   ");
    assert!(agreed, "{ours:?}, and {theirs} by the reference\n{}\nciting {}", text(event), cited());
}

pub fn on_create(version: RoomVersion, create: &Pdu, ours: &Verdict) {
    let theirs = ask(version, create, create, &[]);
    assert!(agree(ours, &theirs), "{ours:?}, and {theirs} by the reference\n{}", text(create));
}

/// Judges the event again with odd things in it, and on a state with odd things in it.
pub fn on_odd_contents(room: &Room, event: &Pdu, random: &mut Random) {
    let event = odd(random, room.version, event);
    // Power levels are only such as the rules let into a room, whose content the rules on first ones alone decide.
    let may_be = |event: &Pdu| {
        let creator = UserId::parse("@creator:one").unwrap();
        let mut event = event.clone();
        let mut create = room.create.clone();
        create.sender = creator.clone();
        create.content.insert("creator", creator.as_str());
        create.content.insert("m.federate", true);
        create.content.remove("additional_creators");
        event.sender = creator.clone();
        let mut joined = event.clone();
        joined.kind = "m.room.member".to_owned();
        joined.state_key = Some(creator.to_string());
        joined.content = Object::new().with("membership", "join");
        event.kind != "m.room.power_levels" || ask(room.version, &event, &create, &[joined]).allowed
    };
    let state: Vec<Pdu> = room
        .state
        .iter()
        .map(|event| if random.below(4) == 0 { odd(random, room.version, event) } else { event.clone() })
        .filter(|event| event.kind != "m.room.create" && may_be(event))
        .chain([room.create.clone()])
        .collect();
    let ours = authorize(room.version.rules(), &event, &room.create, &AuthState(&state));
    let theirs = ask(room.version, &event, &room.create, &state);
    let state = || state.iter().map(text).collect::<Vec<_>>().join("\n   ");
    assert!(agree(&ours, &theirs), "{ours:?}, and {theirs} by the reference\n{}\non {}", text(&event), state());
    let cited: Vec<CitedEvent<'_>> = room.state.iter().map(|event| CitedEvent { event, rejected: false }).collect();
    let create = CitedEvent { event: &room.create, rejected: false };
    let few: Vec<CitedEvent<'_>> = cited.into_iter().filter(|_| random.below(3) == 0).collect();
    let ours = check_auth_events(room.version.rules(), &event, &few, Some(create));
    on_auth_events(room.version, &event, &few, create, &ours);
}

const ODD: [&str; 20] = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "\"\"",
    "\"x\"",
    "0",
    "-1",
    "50",
    "100",
    "\"50\"",
    "\" +7 \"",
    "\"- 7\"",
    "\"٣\"",
    "\"99999999999999999999\"",
    "[\"@a:one\"]",
    "{\"@a:one\":1}",
    "\"@a:one\"",
    "\"join\"",
];
/// What is no canonical JSON.
const ODD_NUMBERS: [&str; 12] = [
    "49.9",
    "-0.9",
    "5e1",
    "1E400",
    "123456789012345678901",
    "-9223372036854775809",
    "1e-400",
    "0e999999999999999999999",
    "0.00000000000000000001e22",
    "1.7976931348623157e308",
    "1.8e308",
    "12345678901234567890e-1",
];

/// The event with something in its content replaced, added or taken out.
fn odd(random: &mut Random, version: RoomVersion, event: &Pdu) -> Pdu {
    let mut object = event.to_object();
    let mut content = event.content.clone();
    for _ in 0..=random.below(2) {
        change(random, version, &mut content);
    }
    object.insert("content", content);
    Pdu::parse(object, version).unwrap()
}

fn change(random: &mut Random, version: RoomVersion, content: &mut Object) {
    let names: Vec<String> = content.iter().map(|(name, _)| name.to_owned()).collect();
    if names.is_empty() || random.below(12) == 0 {
        let name = ["membership", "users", "events", "notifications", "third_party_invite", "join_rule", "ban"];
        content.insert(name[random.below(name.len())], odd_value(random, version));
        return;
    }
    let name = &names[random.below(names.len())];
    if random.below(3) > 0
        && let Some(Value::Object(inner)) = content.get_mut(name)
    {
        return change(random, version, inner);
    }
    match random.below(4) {
        0 => drop(content.remove(name)),
        _ => drop(content.insert(name.as_str(), odd_value(random, version))),
    }
}

fn odd_value(random: &mut Random, version: RoomVersion) -> Value {
    let odd = if version < RoomVersion::V6 && random.below(2) == 0 { &ODD_NUMBERS[..] } else { &ODD[..] };
    parse(odd[random.below(odd.len())].as_bytes()).unwrap()
}
