//! Worlds of several servers: what each of the checkers is for that look at servers from outside, done on purpose, is found.

use orrery_core::http::{Request, Response};
use orrery_core::room::tables::{HEAD, ROOM_BY_ID};
use orrery_core::room::{EventIndex, Room, Standing, StoredEvent};
use orrery_core::store::state_map::StateId;
use orrery_core::store::tables::RoomNum;
use orrery_core::store::{Order, StorageError};
use orrery_sim::failure::{Failure, Kind};
use orrery_sim::options::Overrides;
use orrery_sim::plan::Plan;
use orrery_sim::runner::run;
use orrery_sim::storage::{Lie, SimStorage};
use orrery_sim::world::Extras;

/// A planted fault is found within this many seeds.
const SEEDS: u64 = 20;

fn first_failure(mut extras: impl FnMut() -> Extras) -> Failure {
    let servers = Overrides { servers: Some((2, 4)), ..Overrides::default() };
    let failure = (0..SEEDS).find_map(|seed| run(&Plan::draw(seed, servers), extras()).failure);
    failure.expect("a planted fault is found")
}

/// Changes disks when all is over.
fn edited(edit: impl FnMut(u32, &mut SimStorage) + 'static) -> Extras {
    Extras { edit: Some(Box::new(edit)), ..Extras::default() }
}

fn check_found(failure: &Failure, kind: Kind, checker: &str) {
    assert_eq!((failure.kind, failure.checker), (kind, checker), "{failure}");
}

/// The rooms in which somebody of the server is.
fn rooms(read: &SimStorage) -> Vec<Room> {
    let mut numbers: Vec<RoomNum> = Vec::new();
    let scanned = ROOM_BY_ID.scan::<StorageError>(read, (), Order::Ascending, |_, num| {
        numbers.push(num);
        Ok(std::ops::ControlFlow::Continue(()))
    });
    scanned.expect("whoever looks from outside can read");
    let rooms = numbers.into_iter().filter_map(|num| Room::get(read, num).expect("can read"));
    rooms.filter(Room::is_resident).collect()
}

#[test]
fn a_room_with_another_state_than_its_events_make_is_found() {
    let forget = |server: u32, disk: &mut SimStorage| {
        for room in rooms(disk).iter_mut().filter(|_| server == 1) {
            room.head.state = StateId::EMPTY;
            HEAD.put(disk, room.num, (), &room.head);
        }
    };
    check_found(&first_failure(|| edited(forget)), Kind::Safety, "resolution");
}

/// Changes the accepted messages in the rooms of one server.
fn messages(change: fn(&mut StoredEvent)) -> Extras {
    edited(move |server, disk| {
        for room in rooms(disk).into_iter().filter(|_| server == 1) {
            for index in (0..room.head.next_index).map(EventIndex) {
                let event = StoredEvent::get(disk, room.num, index).expect("can read");
                let is_message = |event: &StoredEvent| event.header.kind == "m.room.message" && !event.is_rejected();
                if let Some(mut event) = event.filter(is_message) {
                    change(&mut event);
                    event.put(disk, room.num);
                }
            }
        }
    })
}

#[test]
fn an_event_that_was_not_allowed_is_found() {
    let failure = first_failure(|| messages(|event| event.header.state_before = StateId::EMPTY));
    check_found(&failure, Kind::Safety, "authorization");
    assert!(failure.evidence.contains("accepted on the state before it"), "{failure}");
}

#[test]
fn an_event_that_was_rejected_for_nothing_is_found() {
    let failure = first_failure(|| messages(|event| event.header.standing = Standing::Rejected));
    check_found(&failure, Kind::Safety, "authorization");
}

#[test]
fn servers_that_differ_are_found() {
    // One has not heard the last that was said: its state is right for all that it knows.
    let deafen = |server: u32, disk: &mut SimStorage| {
        for room in rooms(disk).iter_mut().filter(|_| server == 1) {
            let [last] = room.head.extremities[..] else { continue };
            let last = StoredEvent::expect(disk, room.num, last).expect("can read");
            if last.is_state() {
                continue;
            }
            let before = last.pdu(room.info.version).expect("can read").prev_events;
            let known = before.iter().filter_map(|id| room.event(disk, id).expect("can read"));
            room.head.extremities = known.map(|event| event.index).collect();
            HEAD.put(disk, room.num, (), &room.head);
        }
    };
    check_found(&first_failure(|| edited(deafen)), Kind::Safety, "convergence");
}

#[test]
fn a_backup_that_is_restored_without_a_word_is_found() {
    // Worlds in which people change their devices often enough to do so in the time that is lost.
    let overrides = Overrides {
        servers: Some((2, 2)),
        clients: Some(8),
        steps: Some(600),
        older_stores: Some(3),
        lie: Some(Lie::HidesRestores),
        ..Overrides::default()
    };
    let failure = (SEEDS / 2..SEEDS).find_map(|seed| run(&Plan::draw(seed, overrides), Extras::default()).failure);
    // Nobody asks again for the devices of others.
    check_found(&failure.expect("a planted fault is found"), Kind::Safety, "device lists");
}

#[test]
fn a_queue_that_never_drains_is_found() {
    let refuse = |request: &Request, response: &mut Response| {
        if request.path.starts_with("/_matrix/federation/v1/send/") {
            response.status = 500;
        }
    };
    let failure = first_failure(|| Extras { tamper: Some(Box::new(refuse)), ..Extras::default() });
    check_found(&failure, Kind::Liveness, "queues");
}
