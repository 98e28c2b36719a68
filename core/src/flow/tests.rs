use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::{Cell, RefCell};
use core::future::Future;

use super::*;
use crate::config::Config;
use crate::effect::{Batch, CallId, CommitId, Effect, Job};
use crate::error::ApiError;
use crate::http::Response;
use crate::input::{Outcome, RequestId};
use crate::random::Random;
use crate::signing::SigningKey;
use crate::store::memory::Memory;
use crate::store::tables::{Position, RoomNum, RoomTable, Table, Write};
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

/// A host that only remembers what flows ask of it.
struct Desk {
    calls: RefCell<Calls>,
    effects: RefCell<Vec<Effect>>,
    storage: Memory,
    config: Config,
    key: SigningKey,
    committed: Cell<u32>,
}

impl Desk {
    fn new() -> Rc<Desk> {
        let config = crate::testing::config();
        let key = SigningKey::from_seed("a", &[1; 32]).unwrap();
        Rc::new(Desk {
            calls: RefCell::default(),
            effects: RefCell::default(),
            storage: Memory::default(),
            config,
            key,
            committed: Cell::new(0),
        })
    }

    fn answer(&self, executor: &mut Executor, call: CallId, matches: bool) -> bool {
        let flow = self.calls.borrow_mut().resolve(call, Outcome::PasswordMatches(matches));
        flow.map(|flow| executor.poll(&self.calls, flow)).is_some()
    }
}

impl Desk {
    /// As the homeserver does after each input.
    fn poll_ready(&self, executor: &mut Executor) {
        while let Some(flow) = { self.calls.borrow_mut().take_ready() } {
            executor.poll(&self.calls, flow);
        }
    }
}

impl Host for Desk {
    fn step(&self, run: &mut dyn FnMut(&mut Step<'_>) -> bool) {
        let mut random = Random::new(&[2; 32], "desk");
        let mut step = Step::new(Timestamp(0), (&self.config, &self.key), &mut random, &self.storage, Position(0));
        if run(&mut step) {
            self.committed.set(self.committed.get() + 1);
        }
    }
    fn emit(&self, effect: Effect) {
        self.effects.borrow_mut().push(effect);
    }
    fn calls(&self) -> &RefCell<Calls> {
        &self.calls
    }
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

fn job() -> Job {
    Job::CheckPassword { password: "a".to_string(), hash: "b".to_string() }
}

/// Asks twice, one after the other, and leaves the second answer in `result`.
async fn asks_twice(cx: Cx, result: Rc<Cell<Option<bool>>>) {
    let _first = cx.compute(job()).await;
    let second = cx.compute(job()).await;
    result.set(Some(second == Outcome::PasswordMatches(true)));
}

#[test]
fn a_flow_goes_on_when_its_call_is_answered() {
    let desk = Desk::new();
    let cx = Cx::new(desk.clone());
    let mut executor = Executor::default();
    let result = Rc::new(Cell::new(None));
    let request = Some(RequestId(7));
    assert!(executor.spawn(&desk.calls, "asks twice", request, asks_twice(cx, result.clone())));
    let report = executor.report(&desk.calls.borrow());
    assert_eq!(report, [WaitingFlow { name: "asks twice", request, waits_for: alloc::vec!["compute"] }]);

    assert!(desk.answer(&mut executor, CallId(1), false));
    assert!(!desk.answer(&mut executor, CallId(1), true), "an answer that nobody waits for is nobody's");
    assert_eq!(result.get(), None);
    assert!(desk.answer(&mut executor, CallId(2), true));
    assert_eq!(result.get(), Some(true));
    assert_eq!(executor.report(&desk.calls.borrow()), []);
    assert_eq!(desk.calls.borrow_mut().take_abandoned(), []);
}

#[test]
fn a_cancelled_flow_abandons_its_call() {
    let desk = Desk::new();
    let mut executor = Executor::default();
    let result = Rc::new(Cell::new(None));
    let flow = asks_twice(Cx::new(desk.clone()), result.clone());
    assert!(executor.spawn(&desk.calls, "asks twice", Some(RequestId(7)), flow));
    assert!(!executor.cancel(&desk.calls, RequestId(8)));
    assert!(executor.cancel(&desk.calls, RequestId(7)));
    assert_eq!(desk.calls.borrow_mut().take_abandoned(), [CallId(1)]);
    assert!(!desk.answer(&mut executor, CallId(1), true), "its answer comes too late");
    assert_eq!(result.get(), None);
}

#[test]
#[should_panic(expected = "is pending and has no outstanding effect")]
fn a_flow_that_waits_for_nothing_is_caught() {
    let desk = Desk::new();
    let mut executor = Executor::default();
    let _ = executor.spawn(&desk.calls, "stuck", None, core::future::pending());
}

#[test]
fn a_step_of_a_flow_is_all_or_nothing() {
    let desk = Desk::new();
    let cx = Cx::new(desk.clone());
    assert_eq!(cx.step(|_| Ok(5)), Ok(5));
    assert_eq!(desk.committed.get(), 1);
    let refused: Result<(), ApiError> = cx.step(|_| Err(ApiError::forbidden("no")));
    assert_eq!(refused, Err(ApiError::forbidden("no")));
    assert_eq!(desk.committed.get(), 1);
}

#[test]
fn flows_have_a_bound() {
    let desk = Desk::new();
    let cx = Cx::new(desk.clone());
    let mut executor = Executor::default();
    let mut spawn = || {
        let flow: core::pin::Pin<Box<dyn Future<Output = ()>>> =
            Box::pin(asks_twice(cx.clone(), Rc::new(Cell::new(None))));
        executor.spawn(&desk.calls, "asks twice", None, flow)
    };
    for _ in 0..crate::limits::MAX_FLOWS {
        assert!(spawn());
    }
    assert!(!spawn());
}

fn reply(id: u64) -> Effect {
    Effect::Reply { id: RequestId(id), response: Response::empty() }
}

fn drain(outbox: &mut Outbox) -> Vec<Effect> {
    core::iter::from_fn(|| outbox.pop()).collect()
}

fn commit(id: u64) -> Effect {
    Effect::Commit { id: CommitId(id), batch: Batch::default() }
}

#[test]
fn no_effect_leaves_before_the_commits_before_it_are_durable() {
    let mut outbox = Outbox::default();
    outbox.push(reply(1));
    outbox.commit(Batch::default());
    outbox.push(reply(2));
    outbox.commit(Batch::default());
    outbox.push(reply(3));
    outbox.push(Effect::Abandon { call: CallId(1) });
    // Commits go at once, and so does what came before any of them.
    assert_eq!(drain(&mut outbox), [commit(1), commit(2), reply(1)]);
    assert_eq!(drain(&mut outbox), []);
    outbox.durable(CommitId(1));
    assert_eq!(drain(&mut outbox), [reply(2)]);
    outbox.durable(CommitId(2));
    assert_eq!(drain(&mut outbox), [reply(3), Effect::Abandon { call: CallId(1) }]);
    assert_eq!(outbox.held(), 0);
}

#[test]
#[should_panic(expected = "only for commits that it was given")]
fn a_host_that_makes_up_commits_is_caught() {
    Outbox::default().durable(CommitId(1));
}

const ROOM_ROWS: RoomTable<u8, u32> = RoomTable::new(0x70);
const ROWS: Table<u8, u32> = Table::new(0x70);

fn with_step<T>(run: impl FnOnce(&mut Step<'_>) -> T) -> T {
    let desk = Desk::new();
    let mut random = Random::new(&[2; 32], "step");
    run(&mut Step::new(Timestamp(0), (&desk.config, &desk.key), &mut random, &desk.storage, Position(9)))
}

#[test]
fn a_step_reads_what_it_wrote() -> Result<(), StorageError> {
    with_step(|step| {
        ROWS.put(step, 1u8, &5);
        ROOM_ROWS.put(step, RoomNum(3), 1u8, &6);
        assert_eq!(ROWS.get(step, 1u8)?, Some(5));
        assert_eq!(ROOM_ROWS.get(step, RoomNum(3), 1u8)?, Some(6));
        ROWS.delete(step, 1u8);
        assert_eq!(ROWS.get(step, 1u8)?, None);
        assert_eq!(step.next_position(), Position(10));
        Ok(())
    })
}

#[test]
#[should_panic(expected = "a step writes to at most one room")]
fn a_step_that_writes_to_two_rooms_is_caught() {
    with_step(|step| {
        ROOM_ROWS.put(step, RoomNum(3), 1u8, &6);
        ROOM_ROWS.put(step, RoomNum(4), 1u8, &6);
    });
}

#[test]
fn a_finished_step_is_one_sorted_batch() {
    let desk = Desk::new();
    let mut random = Random::new(&[2; 32], "step");
    let mut step = Step::new(Timestamp(0), (&desk.config, &desk.key), &mut random, &desk.storage, Position(9));
    step.write(alloc::vec![2], Some(Bytes::from_static(b"b")));
    step.write(alloc::vec![1], None);
    step.next_position();
    step.notify(Notice::Room(RoomNum(1)));
    step.notify(Notice::Room(RoomNum(1)));
    assert_eq!(step.get(&[2]), Ok(Some(Bytes::from_static(b"b"))));
    let finished = step.finish();
    let keys: Vec<&[u8]> = finished.batch.writes.iter().map(|write| write.0.as_ref()).collect();
    assert_eq!(keys, [&[1][..], &[2]]);
    assert_eq!(finished.position, Position(10));
    assert_eq!(finished.notices, [Notice::Room(RoomNum(1))]);
}

#[test]
fn a_timer_ends_when_its_time_has_come() {
    let desk = Desk::new();
    let mut executor = Executor::default();
    let (cx, over) = (Cx::new(desk.clone()), Rc::new(Cell::new(false)));
    let flow = {
        let over = over.clone();
        async move {
            cx.sleep_until(Timestamp(5)).await;
            over.set(true);
        }
    };
    assert!(executor.spawn(&desk.calls, "sleep", None, flow));
    assert_eq!(desk.calls.borrow().next_deadline(), Some(Timestamp(5)));
    for (now, ends) in [(4, false), (5, true)] {
        desk.calls.borrow_mut().wake(Timestamp(now));
        desk.poll_ready(&mut executor);
        assert_eq!(over.get(), ends, "at {now}");
    }
    assert_eq!(desk.calls.borrow().next_deadline(), None);
}

/// Enters a lane, says so, and stays until its call is answered.
async fn visits(cx: Cx, name: char, log: Rc<RefCell<Vec<char>>>) {
    let lane = Lane::ServerKeys(crate::identifiers::ServerName::parse("example.org").unwrap());
    let _guard = cx.lane(lane).await;
    log.borrow_mut().push(name);
    cx.compute(job()).await;
}

#[test]
fn a_lane_is_for_one_at_a_time_and_survives_those_who_give_up() {
    let desk = Desk::new();
    let mut executor = Executor::default();
    let log = Rc::new(RefCell::new(Vec::new()));
    for (i, name) in "abcd".chars().enumerate() {
        let flow = visits(Cx::new(desk.clone()), name, log.clone());
        assert!(executor.spawn(&desk.calls, "visit", Some(RequestId(i as u64)), flow));
    }
    assert_eq!(*log.borrow(), ['a']);
    // One gives up while it waits, one while it is inside.
    assert!(executor.cancel(&desk.calls, RequestId(1)));
    assert!(executor.cancel(&desk.calls, RequestId(0)));
    desk.poll_ready(&mut executor);
    assert_eq!(*log.borrow(), ['a', 'c']);
    let last = desk.effects.borrow().iter().rev().find_map(|effect| match effect {
        Effect::Compute { call, .. } => Some(*call),
        _ => None,
    });
    desk.answer(&mut executor, last.unwrap(), true);
    desk.poll_ready(&mut executor);
    assert_eq!(*log.borrow(), ['a', 'c', 'd']);
}
