//! Random rooms whose branches quarrel, resolved by Orrery, by the reference model and by `ruma-state-res`: the states are the
//! same, or [`Tally`] says what makes the difference.
#![allow(clippy::unwrap_used)] // the helpers of tests may

mod fixtures;
mod generate;
mod room;
mod ruma;

use orrery_core::identifiers::EventId;
use orrery_core::room_version::{RoomVersion, StateResolution};
use orrery_core::state_res::Outcome;
use orrery_oracles::for_each_version;
use orrery_sim::reference::State;
use orrery_sim::reference::state_res::{self, Reading, separate};

use generate::Generator;
use orrery_oracles::random::Random;
use room::{EventTable, Room};

/// Resolutions with a conflict that are compared for each version.
const RESOLUTIONS: usize = if cfg!(debug_assertions) { 200 } else { 20_000 };

/// How the resolutions of one version came out.
#[derive(Debug, Default)]
struct Tally {
    conflicts: usize,
    /// Results that the reference model does not have if it reads the text by the letter.
    not_by_the_letter: usize,
    /// Results that `ruma` does not have, because it passes over rejected events that the checks let into the state. The
    /// specification excludes rejected *auth events* from the checks, because those are not checked again, and has other
    /// rejected events "handled as usual".
    rejected_in_state: usize,
}

fn compare(room: &mut Room, sets: &[State], shuffled: &EventTable, tally: &mut Tally) {
    let (agreed, conflicted) = separate(sets);
    if conflicted.is_empty() {
        return;
    }
    tally.conflicts += 1;
    let ours = room.resolve(sets);
    let reference = |reading| state_res::resolve(&room.graph, sets, reading);
    assert_eq!(ours, reference(Reading::AS_DEPLOYED), "by the reference model");
    tally.not_by_the_letter += usize::from(ours != reference(Reading::LETTER));
    if room.version.rules().state_resolution != StateResolution::V1 {
        let theirs = room.ruma.resolve(&room.graph, sets);
        if ours != theirs {
            let explained = Reading { rejected_count_nowhere: true, ..Reading::AS_DEPLOYED };
            assert_eq!(theirs, reference(explained), "by ruma");
            tally.rejected_in_state += 1;
        }
    }
    assert_eq!(ours, room.resolve_in(sets, Some(shuffled)), "whatever the order in which the events arrived");
    let keys = conflicted.keys().chain(agreed.keys().take(1));
    if tally.conflicts.is_multiple_of(10) {
        keys.for_each(|key| compare_explanation(room, sets, key, ours.get(key)));
    }
}

/// The explanation tells of the same result, and of every candidate.
fn compare_explanation(room: &mut Room, sets: &[State], key: &(String, String), ours: Option<&EventId>) {
    let explanation = room.explain(sets, key);
    let event = |index: u32| &room.table.events[index as usize].pdu.event_id;
    let told = match explanation.outcome {
        Outcome::Agreed(event) => event,
        Outcome::Won(event) | Outcome::FirstInLine(event) => Some(event),
        Outcome::Nothing => None,
    };
    assert_eq!(told.map(event), ours, "{explanation}");
    for (index, event_id, in_sets) in &explanation.candidates {
        assert_eq!(event(*index), event_id);
        assert!(!in_sets.is_empty() && in_sets.len() < sets.len(), "{explanation}");
        let judged = explanation.considered.iter().any(|considered| considered.event == *index);
        assert!(judged || room.version == RoomVersion::V1, "{explanation}");
    }
    let last_allowed = explanation.considered.iter().rfind(|considered| considered.verdict.allowed);
    if let Outcome::Won(event) = explanation.outcome {
        assert!(last_allowed.is_some_and(|last| last.event == event), "{explanation}");
    }
}

/// The same events in another order in which they could have arrived.
fn shuffle(random: &mut Random, table: &EventTable) -> EventTable {
    let mut left: Vec<usize> = (0..table.events.len()).collect();
    let mut shuffled = EventTable::default();
    while !left.is_empty() {
        let ready = |at: &usize| {
            let event = &table.events[left[*at]].pdu;
            event.auth_events.iter().all(|id| shuffled.index.contains_key(id))
        };
        let start = random.below(left.len());
        let next = (start..left.len()).chain(0..start).find(ready).unwrap();
        let event = &table.events[left.remove(next)];
        shuffled.push((*event.pdu).clone(), event.rejected);
    }
    shuffled
}

fn check(version: RoomVersion) {
    let mut tally = Tally::default();
    let mut random = Random::new(version as u64);
    while tally.conflicts < RESOLUTIONS {
        let mut generator = Generator::new(&mut random, version);
        let steps = 5 + generator.random.below(45);
        for _ in 0..steps {
            generator.step();
        }
        // States that met, and states that did not but could have.
        for _ in 0..4 {
            let count = 2 + generator.random.below(3);
            let sets = (0..count).map(|_| generator.some_state()).collect();
            generator.merges.push(sets);
        }
        let Generator { mut room, merges, .. } = generator;
        let shuffled = shuffle(&mut random, &room.table);
        for sets in merges {
            compare(&mut room, &sets, &shuffled, &mut tally);
        }
    }
    println!("version {version}: {tally:?}");
    assert!(tally.not_by_the_letter * 100 < tally.conflicts, "it takes an odd graph");
    assert!(tally.rejected_in_state * 100 < tally.conflicts, "it takes an odd graph");
}

for_each_version!(check);
