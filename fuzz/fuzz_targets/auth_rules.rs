//! Any room state and any event judged on it. The first byte picks the room version; the rest is a JSON array of events as
//! `[type, state key, sender, content]`: first the create event, then the state, last the event to be judged.
//!
//! What a verdict says of itself must be true: it is the same on the state that the event is to cite, and on the events alone
//! that the verdict names. Whether it is the right one is for `core/oracles` to ask.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orrery_core::auth_rules::{AuthState, CitedEvent, authorize, check_auth_events, select_auth_events};
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::Pdu;
use orrery_core::identifiers::EventId;
use orrery_core::room_version::{RoomIdFormat, RoomVersion};

/// The most events of one input.
const MOST: usize = 24;

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let version = RoomVersion::ALL[usize::from(*first) % RoomVersion::ALL.len()];
    let Ok(Value::Array(events)) = parse(text) else { return };
    let Some((create, events)) = events.split_first() else { return };
    let Some((event, state)) = events.split_last() else { return };
    if state.len() > MOST {
        return;
    }
    let Some(create) = pdu(version, None, create, 0).filter(|create| create.is_state_of("m.room.create", "")) else {
        return;
    };
    // An even number of events: the judged one is the first after the create event.
    let prev_event = if events.len() % 2 == 0 { create.event_id.clone() } else { some_event() };
    let Some(event) = pdu_after(version, Some(&create), event, events.len(), &prev_event) else { return };
    let mut all = vec![create.clone()];
    for (i, member) in state.iter().enumerate() {
        let Some(member) = pdu(version, Some(&create), member, i + 1).filter(Pdu::is_state) else { return };
        all.push(member);
    }
    judge(version, &create, &all, &event);
});

fn judge(version: RoomVersion, create: &Pdu, state: &[Pdu], event: &Pdu) {
    let rules = version.rules();
    let create = if event.kind == "m.room.create" { event } else { create };
    let verdict = authorize(rules, event, create, &AuthState(state));

    let named: Vec<&Pdu> = state.iter().filter(|state| verdict.inputs.contains(&state.event_id)).collect();
    assert_eq!(authorize(rules, event, create, &AuthState(&named)), verdict, "on what it names");

    let selected = select_auth_events(rules, &event.kind, event.state_key.as_deref(), &event.sender, &event.content);
    let mut cited: Vec<&Pdu> = vec![];
    for (i, (kind, state_key)) in selected.iter().enumerate() {
        assert!(!selected[..i].contains(&(*kind, *state_key)), "selected twice");
        cited.extend(state.iter().find(|state| state.is_state_of(kind, state_key)));
    }
    assert_eq!(authorize(rules, event, create, &AuthState(&cited)), verdict, "on what the event is to cite");

    let cited: Vec<_> = cited.into_iter().map(|event| CitedEvent { event, rejected: false }).collect();
    let create = CitedEvent { event: &state[0], rejected: false };
    assert_eq!(check_auth_events(rules, event, &cited, Some(create)), Ok(()), "what is selected may be cited");
}

fn some_event() -> EventId {
    EventId::parse("$before:a").expect("an event ID")
}

fn pdu(version: RoomVersion, create: Option<&Pdu>, short: &Value, number: usize) -> Option<Pdu> {
    pdu_after(version, create, short, number, &some_event())
}

/// The event of which `short` is the part that matters to the rules.
fn pdu_after(
    version: RoomVersion,
    create: Option<&Pdu>,
    short: &Value,
    number: usize,
    prev_event: &EventId,
) -> Option<Pdu> {
    let rules = version.rules();
    let [kind, state_key, sender, content] = short.as_array()? else { return None };
    let reference = |id: &EventId| {
        let id = Value::from(id);
        if rules.references_have_hashes { Value::from(vec![id, Object::new().into()]) } else { id }
    };
    let prev_events: Vec<Value> = create.iter().map(|_| reference(prev_event)).collect();
    let mut event = Object::new()
        .with("type", kind.clone())
        .with("sender", sender.clone())
        .with("content", content.clone())
        .with("prev_events", prev_events)
        .with("auth_events", Vec::<Value>::new())
        .with("depth", 1i64)
        .with("origin_server_ts", number as u64)
        .with("hashes", Object::new().with("sha256", "x"))
        .with("signatures", Object::new());
    if *state_key != Value::Null {
        event.insert("state_key", state_key.clone());
    }
    match create {
        Some(create) => drop(event.insert("room_id", &create.room_id)),
        None if rules.room_ids == RoomIdFormat::Stated => drop(event.insert("room_id", "!room:a")),
        None => {}
    }
    if rules.event_id_server_signs {
        event.insert("event_id", format!("${number}:a"));
    }
    if !rules.redacts_in_content && kind.as_str() == Some("m.room.redaction") {
        event.insert("redacts", "$redacted:a");
    }
    Pdu::parse(event, version).ok()
}
