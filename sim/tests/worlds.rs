//! Whole worlds: some pass, and each thing that a checker is for, done on purpose, is found.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::http::{Request, Response};
use orrery_sim::failure::{Failure, Kind};
use orrery_sim::network::Tamper;
use orrery_sim::options::Overrides;
use orrery_sim::plan::Plan;
use orrery_sim::runner::{run, run_twice};
use orrery_sim::storage::Lie;
use orrery_sim::world::Extras;

/// A planted fault is found within this many seeds.
const SEEDS: u64 = 40;

#[test]
fn worlds_pass_and_repeat() {
    for seed in 0..SEEDS {
        let outcome = run_twice(&Plan::draw(seed, Overrides::default()), Extras::default);
        assert_eq!(outcome.failure, None, "seed {seed}");
    }
}

/// The first failure of the seeds.
fn first_failure(overrides: Overrides, mut tamper: impl FnMut() -> Option<Tamper>) -> Option<Failure> {
    (0..SEEDS)
        .find_map(|seed| run(&Plan::draw(seed, overrides), Extras { tamper: tamper(), ..Extras::default() }).failure)
}

fn check_found(failure: Option<Failure>, kind: Kind, checkers: &[&str]) {
    let failure = failure.expect("a planted fault is found");
    assert_eq!(failure.kind, kind, "{failure}");
    assert!(checkers.contains(&failure.checker), "{failure}");
}

#[test]
fn a_disk_that_loses_what_it_acknowledged_is_found() {
    let overrides = Overrides { lie: Some(Lie::LosesAcknowledged), crashes: Some(8), ..Overrides::default() };
    check_found(first_failure(overrides, || None), Kind::Safety, &["durability", "answers", "sync", "order"]);
}

#[test]
fn a_disk_that_tears_batches_is_found() {
    let overrides = Overrides { lie: Some(Lie::TearsBatches), crashes: Some(8), ..Overrides::default() };
    let failure = first_failure(overrides, || None).expect("a planted fault is found");
    // Half a batch may break an invariant of core as well as a promise to a client.
    assert!([Kind::Safety, Kind::Crash].contains(&failure.kind), "{failure}");
}

#[test]
fn a_server_that_cannot_start_again_is_found() {
    let overrides = Overrides { lie: Some(Lie::SpoilsRows), crashes: Some(8), ..Overrides::default() };
    check_found(first_failure(overrides, || None), Kind::Safety, &["start"]);
}

#[test]
fn what_is_lost_with_a_restored_backup_is_excused() {
    let overrides = Overrides { older_stores: Some(2), ..Overrides::default() };
    assert_eq!(first_failure(overrides, || None), None);
}

#[test]
fn a_disk_that_loses_what_it_acknowledged_is_found_beside_restored_backups() {
    let lie = Some(Lie::LosesAcknowledged);
    let overrides = Overrides { lie, crashes: Some(8), older_stores: Some(1), ..Overrides::default() };
    check_found(first_failure(overrides, || None), Kind::Safety, &["durability", "answers", "sync", "order"]);
}

/// Tampers with every `nth` answer of those whose path contains `path`, with its JSON.
fn tamper(
    path: &'static str,
    nth: u64,
    mut change: impl FnMut(&mut Object) -> bool + Clone + 'static,
) -> Option<Tamper> {
    let mut seen = 0;
    Some(Box::new(move |request: &Request, response: &mut Response| {
        if !request.path.contains(path) || response.status != 200 {
            return;
        }
        let Ok(Value::Object(mut body)) = parse(&response.body) else { return };
        if (seen + 1) % nth != 0 {
            seen += 1;
        } else if change(&mut body) {
            seen += 1;
            response.body = Value::Object(body).to_bytes().into();
        }
    }))
}

/// The events of the first joined room's timeline in a sync.
fn change_timeline(body: &mut Object, change: impl FnOnce(&mut Vec<Value>) -> bool) -> bool {
    let rooms = body.get_mut("rooms").and_then(Value::as_object_mut);
    let joined = rooms.and_then(|rooms| rooms.get_mut("join")).and_then(Value::as_object_mut);
    let Some(joined) = joined else { return false };
    let Some(id) = joined.iter().next().map(|(id, _)| id.to_owned()) else { return false };
    let room = joined.get_mut(&id).and_then(Value::as_object_mut);
    let timeline = room.and_then(|room| room.get_mut("timeline")).and_then(Value::as_object_mut);
    match timeline.and_then(|timeline| timeline.get_mut("events")) {
        Some(Value::Array(events)) => change(events),
        _ => false,
    }
}

#[test]
fn a_sync_that_leaves_out_an_event_is_found() {
    let leave_out = |body: &mut Object| change_timeline(body, |events| events.len() > 1 && events.pop().is_some());
    check_found(first_failure(Overrides::default(), || tamper("/sync", 5, leave_out)), Kind::Safety, &["sync"]);
}

#[test]
fn a_sync_that_repeats_an_event_is_found() {
    let repeat = |body: &mut Object| {
        change_timeline(body, |events| {
            let Some(first) = events.first().cloned() else { return false };
            events.push(first);
            true
        })
    };
    check_found(first_failure(Overrides::default(), || tamper("/sync", 5, repeat)), Kind::Safety, &["sync"]);
}

#[test]
fn a_sync_that_loses_account_data_is_found() {
    let lose = |body: &mut Object| body.remove("account_data").is_some();
    let failure = first_failure(Overrides::default(), || tamper("/sync", 3, lose));
    check_found(failure, Kind::Safety, &["sync"]);
}

/// The messages to the device in a sync.
fn change_messages(body: &mut Object, change: impl FnOnce(&mut Vec<Value>) -> bool) -> bool {
    match body.get_mut("to_device").and_then(Value::as_object_mut).and_then(|part| part.get_mut("events")) {
        Some(Value::Array(events)) if !events.is_empty() => change(events),
        _ => false,
    }
}

#[test]
fn a_message_to_a_device_that_is_lost_is_found() {
    let lose = |body: &mut Object| change_messages(body, |events| events.pop().is_some());
    let federated = Overrides { servers: Some((2, 3)), ..Overrides::default() };
    for overrides in [Overrides::default(), federated] {
        check_found(first_failure(overrides, || tamper("/sync", 3, lose)), Kind::Safety, &["to-device"]);
    }
}

#[test]
fn a_message_to_a_device_that_comes_again_is_found() {
    let last = Rc::new(RefCell::new(None));
    let again = move |body: &mut Object| {
        change_messages(body, |events| {
            let before = last.replace(events.last().cloned());
            events.extend(before);
            true
        })
    };
    check_found(
        first_failure(Overrides::default(), || tamper("/sync", 1, again.clone())),
        Kind::Safety,
        &["to-device"],
    );
}

#[test]
fn messages_to_a_device_in_another_order_are_found() {
    let reverse = |body: &mut Object| {
        change_messages(body, |events| {
            events.reverse();
            events.len() > 1
        })
    };
    check_found(first_failure(Overrides::default(), || tamper("/sync", 1, reverse)), Kind::Safety, &["to-device"]);
}

#[test]
fn a_one_time_key_that_is_handed_out_twice_is_found() {
    let first = Rc::new(RefCell::new(None));
    let again = move |body: &mut Object| {
        let keys = body.get_mut("one_time_keys").filter(|keys| keys.as_object().is_some_and(|keys| !keys.is_empty()));
        let Some(keys) = keys else { return false };
        let before = first.borrow_mut().get_or_insert_with(|| keys.clone()).clone();
        *keys = before;
        true
    };
    let failure = first_failure(Overrides::default(), || tamper("/keys/claim", 1, again.clone()));
    check_found(failure, Kind::Safety, &["one-time keys"]);
}

#[test]
fn a_wrong_count_of_one_time_keys_is_found() {
    let miscount = |body: &mut Object| {
        let counts = body.get_mut("device_one_time_keys_count").and_then(Value::as_object_mut);
        counts.is_some_and(|counts| !counts.is_empty() && counts.insert("signed_curve25519", 77u64).is_some())
    };
    let failure = first_failure(Overrides::default(), || tamper("/sync", 2, miscount));
    check_found(failure, Kind::Safety, &["one-time keys"]);
}

#[test]
fn a_device_list_that_changes_without_a_word_is_found() {
    let silence = |body: &mut Object| body.remove("device_lists").is_some();
    let federated = Overrides { servers: Some((2, 3)), ..Overrides::default() };
    for overrides in [Overrides::default(), federated] {
        check_found(first_failure(overrides, || tamper("/sync", 2, silence)), Kind::Safety, &["device lists"]);
    }
}

/// The counts of what is unread in a room of a sync in which something is, as the member `name` of the room has them.
fn change_unread(body: &mut Object, name: &str, change: impl Fn(&mut Object) -> bool) -> bool {
    let rooms = body.get_mut("rooms").and_then(Value::as_object_mut);
    let Some(joined) = rooms.and_then(|rooms| rooms.get_mut("join")).and_then(Value::as_object_mut) else {
        return false;
    };
    let ids: Vec<String> = joined.iter().map(|(id, _)| id.to_owned()).collect();
    ids.iter().any(|id| {
        let room = joined.get_mut(id).and_then(Value::as_object_mut);
        room.and_then(|room| room.get_mut(name)).and_then(Value::as_object_mut).is_some_and(&change)
    })
}

#[test]
fn wrong_counts_of_what_is_unread_are_found() {
    let forget = |count: &'static str| {
        move |counts: &mut Object| {
            let is_some = counts.integer(count).is_some_and(|count| count > 0);
            is_some && counts.insert(count, 0u32).is_some()
        }
    };
    // Where few people meet and say little, little is unread.
    let crowded = Overrides { clients: Some(8), steps: Some(300), ..Overrides::default() };
    let federated = Overrides { servers: Some((2, 3)), ..crowded };
    for overrides in [crowded, federated] {
        for count in ["notification_count", "highlight_count"] {
            let miscount = move |body: &mut Object| change_unread(body, "unread_notifications", forget(count));
            let failure = first_failure(overrides, || tamper("/sync", 1, miscount));
            check_found(failure, Kind::Safety, &["unread"]);
        }
        let lose = |body: &mut Object| {
            change_unread(body, "unread_thread_notifications", |threads| {
                let first = threads.iter().next().map(|(root, _)| root.to_owned());
                first.is_some_and(|root| threads.remove(&root).is_some())
            })
        };
        check_found(first_failure(overrides, || tamper("/sync", 1, lose)), Kind::Safety, &["unread"]);
    }
}

#[test]
fn a_token_that_goes_backwards_is_found() {
    let rewind = |body: &mut Object| body.insert("next_batch", "s1_1_0_0").is_some();
    check_found(first_failure(Overrides::default(), || tamper("/sync", 7, rewind)), Kind::Safety, &["sync"]);
}

#[test]
fn a_history_in_another_order_is_found() {
    let swap = |body: &mut Object| match body.get_mut("chunk") {
        Some(Value::Array(chunk)) if chunk.len() > 1 => {
            chunk.swap(0, 1);
            true
        }
        _ => false,
    };
    check_found(first_failure(Overrides::default(), || tamper("/messages", 2, swap)), Kind::Safety, &["order", "sync"]);
}

#[test]
fn a_history_that_shows_an_event_twice_is_found() {
    let repeat = |body: &mut Object| match body.get_mut("chunk") {
        Some(Value::Array(chunk)) if !chunk.is_empty() => {
            chunk.push(chunk[0].clone());
            true
        }
        _ => false,
    };
    let failure = first_failure(Overrides::default(), || tamper("/messages", 1, repeat));
    check_found(failure, Kind::Safety, &["order", "durability"]);
}

#[test]
fn another_event_for_the_same_transaction_is_found() {
    let another = |body: &mut Object| body.insert("event_id", "$another").is_some();
    check_found(
        first_failure(Overrides::default(), || tamper("/send/", 3, another)),
        Kind::Safety,
        &["durability", "sync"],
    );
}

#[test]
fn a_fault_of_the_server_is_found() {
    let failure = first_failure(Overrides::default(), || {
        Some(Box::new(|request: &Request, response: &mut Response| {
            if request.path.contains("createRoom") {
                response.status = 500;
            }
        }))
    });
    check_found(failure, Kind::Safety, &["answers"]);
}

#[test]
fn a_panic_is_found() {
    let failure = first_failure(Overrides::default(), || {
        Some(Box::new(|request: &Request, _: &mut Response| {
            assert!(!request.path.contains("createRoom"), "an invariant does not hold");
        }))
    });
    check_found(failure, Kind::Crash, &["panic"]);
}

#[test]
fn a_session_that_is_lost_is_found() {
    let failure = first_failure(Overrides::default(), || {
        let mut seen = 0;
        Some(Box::new(move |request: &Request, response: &mut Response| {
            seen += u32::from(request.path.contains("/sync"));
            if seen == 9 {
                response.status = 401;
                response.body = br#"{"errcode":"M_UNKNOWN_TOKEN","error":"who?"}"#.as_slice().into();
            }
        }))
    });
    check_found(failure, Kind::Safety, &["answers", "durability"]);
}

#[test]
fn an_answer_that_never_comes_is_found() {
    // What clients take for being asked to wait, for ever.
    let overrides = Overrides { steps: Some(5), clients: Some(1), ..Overrides::default() };
    let failure = first_failure(overrides, || {
        Some(Box::new(|request: &Request, response: &mut Response| {
            if request.path.contains("createRoom") {
                response.status = 429;
                response.body = br#"{"errcode":"M_LIMIT_EXCEEDED","error":"later"}"#.as_slice().into();
            }
        }))
    });
    check_found(failure, Kind::Liveness, &["end"]);
}

#[test]
fn a_world_that_does_not_repeat_is_found() {
    // What an iteration in random order would do: the second run gives another answer than the first, as good as it.
    let runs = Rc::new(Cell::new(0));
    let outcome = run_twice(&Plan::draw(1, Overrides::default()), || {
        runs.set(runs.get() + 1);
        let mut busy = runs.get() == 2;
        let tamper: Tamper = Box::new(move |request, response| {
            if request.path.contains("createRoom") && std::mem::take(&mut busy) {
                response.status = 429;
                response.body = br#"{"errcode":"M_LIMIT_EXCEEDED","error":"later"}"#.as_slice().into();
            }
        });
        Extras { tamper: Some(tamper), ..Extras::default() }
    });
    check_found(outcome.failure, Kind::Determinism, &["repeat"]);
}
