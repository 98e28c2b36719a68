//! Random events on random states of every room version, judged by Orrery, by the reference model of the simulator and by
//! `ruma-state-res`. The reference model decides the same by the same rule. So does `ruma`, or [`explained`] says which words of the
//! specification make the difference.
#![allow(clippy::unwrap_used)] // the helpers of tests may

mod explained;
mod generate;
mod reference;
mod ruma;

use orrery_core::auth_rules::{AuthState, CitedEvent, Rule, authorize, check_auth_events, select_auth_events};
use orrery_core::event::Pdu;
use orrery_core::room_version::RoomVersion;
use orrery_oracles::for_each_version;
use orrery_sim::reference::auth::selection;
use std::collections::{BTreeMap, BTreeSet};

use generate::Room;
use orrery_oracles::random::Random;

/// States that are made for each version, and events that are judged on each.
const ROOMS: usize = 250;
const EVENTS: usize = 80;

/// How the judgements of one version came out.
#[derive(Default)]
struct Tally {
    /// By the rule that decided and whether it allowed.
    rules: BTreeMap<(String, bool), usize>,
    /// By the explanation.
    explained: BTreeMap<&'static str, usize>,
}

fn judge_version(version: RoomVersion) -> Tally {
    let mut tally = Tally::default();
    let (mut random, mut odd) = (Random::new(version as u64), Random::new(version as u64));
    for _ in 0..ROOMS {
        let room = Room::new(&mut random, version);
        for _ in 0..EVENTS {
            let event = room.event(&mut random);
            judge_on_state(&room, &event, &mut tally);
            reference::on_odd_contents(&room, &event, &mut odd);
            if random.below(3) == 0 {
                judge_on_auth_events(&room, &event, &mut random, &mut tally);
                compare_selection(&room, &event);
            }
        }
        let create = room.other_create(&mut random);
        judge_create(&room, &create, &mut tally);
    }
    tally
}

fn judge_on_state(room: &Room, event: &Pdu, tally: &mut Tally) {
    let ours = authorize(room.version.rules(), event, &room.create, &AuthState(&room.state));
    reference::on_state(room, event, &ours);
    let theirs = ruma::on_state(&room.ruma, &room.ruma_state, event);
    *tally.rules.entry((ours.rule.number().to_owned(), ours.allowed)).or_default() += 1;
    if ours.allowed == theirs.is_ok() {
        return;
    }
    let Some(why) = explained::on_state(room, event, &ours) else {
        panic!("{ours:?} and not {theirs:?}\n{}\non {}", text(event), state(room));
    };
    *tally.explained.entry(why).or_default() += 1;
}

fn judge_on_auth_events(room: &Room, event: &Pdu, random: &mut Random, tally: &mut Tally) {
    let cited = room.cite(random, event);
    let cited: Vec<CitedEvent<'_>> =
        cited.iter().map(|(event, rejected)| CitedEvent { event, rejected: *rejected }).collect();
    let create = CitedEvent { event: &room.create, rejected: random.below(20) == 0 };
    let ours = check_auth_events(room.version.rules(), event, &cited, Some(create));
    reference::on_auth_events(room.version, event, &cited, create, &ours);
    let theirs = ruma::on_auth_events(&room.ruma, event, &cited, create);
    if let Err(verdict) = &ours {
        *tally.rules.entry((verdict.rule.number().to_owned(), false)).or_default() += 1;
    }
    if ours.is_ok() == theirs.is_ok() {
        return;
    }
    let Some(why) = explained::on_auth_events(room, event) else {
        let cited: Vec<String> = cited.iter().map(|cited| text(cited.event)).collect();
        panic!("{ours:?} and not {theirs:?}\n{}\nciting {}", text(event), cited.join("\n   "));
    };
    *tally.explained.entry(why).or_default() += 1;
}

fn judge_create(room: &Room, create: &Pdu, tally: &mut Tally) {
    let ours = authorize(room.version.rules(), create, create, &AuthState::<Pdu>(&[]));
    reference::on_create(room.version, create, &ours);
    let theirs = ruma::on_auth_events(&room.ruma, create, &[], CitedEvent { event: create, rejected: false });
    *tally.rules.entry((ours.rule.number().to_owned(), ours.allowed)).or_default() += 1;
    if ours.allowed == theirs.is_ok() {
        return;
    }
    let Some(why) = explained::on_create(create, &ours) else {
        panic!("{ours:?} and not {theirs:?}\n{}", text(create));
    };
    *tally.explained.entry(why).or_default() += 1;
}

/// Server-Server API, "Auth events selection".
fn compare_selection(room: &Room, event: &Pdu) {
    let ours = select_auth_events(
        room.version.rules(),
        &event.kind,
        event.state_key.as_deref(),
        &event.sender,
        &event.content,
    );
    let ours: BTreeSet<(String, String)> =
        ours.into_iter().map(|(kind, state_key)| (kind.to_owned(), state_key.to_owned())).collect();
    let reference: BTreeSet<(String, String)> = selection(room.version, event).into_iter().collect();
    assert_eq!(ours, reference, "{}", text(event));
    if let Some(theirs) = ruma::selection(&room.ruma, event) {
        assert_eq!(ours, theirs, "{}", text(event));
    }
}

fn text(event: &Pdu) -> String {
    String::from_utf8_lossy(event.json()).into_owned()
}

fn state(room: &Room) -> String {
    room.state.iter().map(text).collect::<Vec<_>>().join("\n   ")
}

fn check(version: RoomVersion) {
    let tally = judge_version(version);
    let judged: usize = tally.rules.values().sum();
    let differing: usize = tally.explained.values().sum();
    println!("version {version}: {judged} judgements, {differing} differ");
    for ((rule, allowed), count) in &tally.rules {
        println!("  rule {rule:<9} {} {count}", if *allowed { "allows " } else { "rejects" });
    }
    for (why, count) in &tally.explained {
        println!("  {count} times: {why}");
    }
    assert!(judged > ROOMS * EVENTS, "every event is judged");
    assert!(differing * 50 < judged, "differences are rare");
    let rules = Rule::ALL.iter().filter_map(|rule| rule.number(version.rules().auth.numbering));
    for rule in rules {
        assert!(tally.rules.keys().any(|(number, _)| number == rule), "no event met rule {rule}");
    }
}

for_each_version!(check);
