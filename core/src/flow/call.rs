//! Calls: what a flow waits for. Most are effects that the host answers; timers and lanes are answered here.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::executor::FlowId;
use super::lanes::{Lane, LaneGuard, Lanes};
use super::step::Step;
use crate::effect::{CallId, Effect, Fetch, Job};
use crate::error::ApiError;
use crate::input::Outcome;
use crate::time::Timestamp;

/// Every call under way.
#[derive(Default)]
pub struct Calls {
    last: u64,
    waiting: BTreeMap<CallId, Waiting>,
    /// Calls whose flow is gone; the host is told.
    abandoned: Vec<CallId>,
    /// The flow that is being polled.
    pub(super) current: Option<FlowId>,
    /// The flows that go on when their client is gone.
    pub(super) outliving: BTreeSet<FlowId>,
    timers: BTreeSet<(Timestamp, CallId)>,
    lanes: Lanes,
    /// The flows of calls that were answered here and not by the host.
    ready: VecDeque<FlowId>,
    spawned: VecDeque<Spawned>,
}

/// A flow that another one, or a machine, has started.
pub struct Spawned {
    pub name: &'static str,
    pub future: Pin<Box<dyn Future<Output = ()>>>,
}

#[derive(Debug)]
struct Waiting {
    flow: FlowId,
    what: &'static str,
    answered_by: AnsweredBy,
    outcome: Option<Outcome>,
}

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnsweredBy {
    Host,
    /// The clock.
    Timer(Timestamp),
    /// Whoever holds the lane, when they leave it.
    Lane,
}

impl Calls {
    /// Takes the host's answer. The flow to poll, or `None` if nobody waits any more.
    pub fn resolve(&mut self, call: CallId, outcome: Outcome) -> Option<FlowId> {
        let waiting = self.waiting.get_mut(&call)?;
        if waiting.outcome.is_some() || waiting.answered_by != AnsweredBy::Host {
            return None;
        }
        waiting.outcome = Some(outcome);
        Some(waiting.flow)
    }

    pub fn take_abandoned(&mut self) -> Vec<CallId> {
        core::mem::take(&mut self.abandoned)
    }

    /// A flow whose call was answered here: to be polled before the next input.
    pub fn take_ready(&mut self) -> Option<FlowId> {
        self.ready.pop_front()
    }

    /// A flow to be started before the next input.
    pub fn take_spawned(&mut self) -> Option<Spawned> {
        self.spawned.pop_front()
    }

    /// When the first timer ends.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|timer| timer.0)
    }

    /// Answers the timers that have ended.
    pub fn wake(&mut self, now: Timestamp) {
        while let Some(&(at, call)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            self.answer(call);
        }
    }

    fn answer(&mut self, call: CallId) {
        if let Some(waiting) = self.waiting.get_mut(&call) {
            waiting.outcome = Some(Outcome::Nothing);
            self.ready.push_back(waiting.flow);
        }
    }

    /// What a flow waits for.
    pub(super) fn waits_for(&self, flow: FlowId) -> impl Iterator<Item = &'static str> {
        self.waiting.values().filter(move |call| call.flow == flow && call.outcome.is_none()).map(|call| call.what)
    }

    fn begin(&mut self, what: &'static str, answered_by: AnsweredBy) -> CallId {
        self.last += 1;
        let id = CallId(self.last);
        let flow = self.current.expect("only a flow makes calls");
        self.waiting.insert(id, Waiting { flow, what, answered_by, outcome: None });
        id
    }

    /// Nobody waits for the call any more.
    fn forget(&mut self, call: CallId) {
        let Some(waiting) = self.waiting.remove(&call) else { return };
        match waiting.answered_by {
            AnsweredBy::Host if waiting.outcome.is_none() => self.abandoned.push(call),
            AnsweredBy::Timer(at) => {
                self.timers.remove(&(at, call));
            }
            AnsweredBy::Host | AnsweredBy::Lane => {}
        }
    }

    /// The holder leaves a lane: the one who has waited longest is next.
    pub(super) fn leave(&mut self, lane: &Lane) {
        while let Some(next) = self.lanes.leave(lane) {
            if self.waiting.contains_key(&next) {
                self.answer(next);
                return;
            }
            // It gave up waiting, and the lane is its successor's.
        }
    }
}

impl core::fmt::Debug for Calls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Calls").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

/// What flows need of the homeserver: a step now, an effect sent.
pub trait Host {
    /// Runs one step; it is committed if `run` says so.
    fn step(&self, run: &mut dyn FnMut(&mut Step<'_>) -> bool);
    fn emit(&self, effect: Effect);
    fn calls(&self) -> &RefCell<Calls>;
    fn now(&self) -> Timestamp;
}

/// A flow's hold on the homeserver.
#[derive(Clone)]
pub struct Cx(Rc<dyn Host>);

impl core::fmt::Debug for Cx {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Cx")
    }
}

impl Cx {
    pub fn new(host: Rc<dyn Host>) -> Cx {
        Cx(host)
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// One atomic step. An error drops all of it.
    pub fn step<T>(&self, run: impl FnOnce(&mut Step<'_>) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let mut run = Some(run);
        let mut result = None;
        self.0.step(&mut |step| {
            let run = run.take().expect("the host runs a step once");
            let outcome = run(step);
            let commit = outcome.is_ok();
            result = Some(outcome);
            commit
        });
        result.expect("the host ran the step")
    }

    /// Runs `job` on the host's threads.
    pub fn compute(&self, job: Job) -> impl Future<Output = Outcome> + use<> {
        self.call("compute", |call| Effect::Compute { call, job })
    }

    /// Sends one request to another server.
    pub fn fetch(&self, fetch: Fetch) -> impl Future<Output = Outcome> + use<> {
        self.call("fetch", |call| Effect::Fetch { call, fetch })
    }

    /// Asks DNS for SRV records.
    pub fn lookup(&self, name: String) -> impl Future<Output = Outcome> + use<> {
        self.call("lookup", |call| Effect::Lookup { call, name })
    }

    /// Waits until then.
    pub async fn sleep_until(&self, at: Timestamp) {
        let id = {
            let mut calls = self.0.calls().borrow_mut();
            let id = calls.begin("timer", AnsweredBy::Timer(at));
            calls.timers.insert((at, id));
            id
        };
        Call { host: self.0.clone(), id }.await;
    }

    /// Waits until nobody else is in the lane; then it is the caller's until the guard is dropped. First come, first served.
    /// Lanes order what must not run side by side: a room's incoming events, the fetching of one server's keys.
    pub async fn lane(&self, lane: Lane) -> LaneGuard {
        let free = self.0.calls().borrow_mut().lanes.enter(&lane);
        // From here on the lane is left again, whatever happens to the flow.
        if !free {
            let id = {
                let mut calls = self.0.calls().borrow_mut();
                let id = calls.begin("lane", AnsweredBy::Lane);
                calls.lanes.queue(&lane, id);
                id
            };
            let mut place = InQueue { host: self.0.clone(), lane: lane.clone(), id, has_lane: false };
            Call { host: self.0.clone(), id }.await;
            place.has_lane = true;
        }
        LaneGuard::new(self.0.clone(), lane)
    }

    /// How many wait for a lane that somebody is in.
    #[must_use]
    pub fn waiting_in(&self, lane: &Lane) -> usize {
        self.0.calls().borrow().lanes.waiting(lane)
    }

    /// Starts another flow, which goes on by itself. It is dropped if too many are under way.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + 'static) {
        self.0.calls().borrow_mut().spawned.push_back(Spawned { name, future: Box::pin(future) });
    }

    /// From here on the flow goes on although its client hangs up: what it has begun is to be finished.
    pub fn outlive_request(&self) {
        let mut calls = self.0.calls().borrow_mut();
        let flow = calls.current.expect("only a flow outlives its request");
        calls.outliving.insert(flow);
    }

    /// Lets other inputs have their turn: a flow that runs many steps does this now and then.
    pub async fn give_way(&self) {
        self.compute(Job::Nothing).await;
    }

    fn call(&self, what: &'static str, effect: impl FnOnce(CallId) -> Effect) -> Call {
        let id = self.0.calls().borrow_mut().begin(what, AnsweredBy::Host);
        self.0.emit(effect(id));
        Call { host: self.0.clone(), id }
    }
}

/// Waits for one call. Dropped unanswered, the call is abandoned.
struct Call {
    host: Rc<dyn Host>,
    id: CallId,
}

impl Future for Call {
    type Output = Outcome;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        let mut calls = self.host.calls().borrow_mut();
        let waiting = calls.waiting.get_mut(&self.id).expect("a call is forgotten only when it is dropped");
        match waiting.outcome.take() {
            Some(outcome) => {
                calls.waiting.remove(&self.id);
                Poll::Ready(outcome)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.host.calls().borrow_mut().forget(self.id);
    }
}

/// A flow's place in the queue of a lane. A flow that is dropped just when the lane became its own hands it on.
struct InQueue {
    host: Rc<dyn Host>,
    lane: Lane,
    id: CallId,
    has_lane: bool,
}

impl Drop for InQueue {
    fn drop(&mut self) {
        let mut calls = self.host.calls().borrow_mut();
        if !self.has_lane && !calls.lanes.unqueue(&self.lane, self.id) {
            calls.leave(&self.lane);
        }
    }
}
