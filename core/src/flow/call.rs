//! Calls: effects that a flow waits for.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::executor::FlowId;
use super::step::Step;
use crate::effect::{CallId, Effect, Job};
use crate::error::ApiError;
use crate::input::Outcome;

/// Every call under way.
#[derive(Debug, Default)]
pub struct Calls {
    last: u64,
    waiting: BTreeMap<CallId, Waiting>,
    /// Calls whose flow is gone; the host is told.
    abandoned: Vec<CallId>,
    /// The flow that is being polled.
    pub(super) current: Option<FlowId>,
    /// The flows that go on when their client is gone.
    pub(super) outliving: BTreeSet<FlowId>,
}

#[derive(Debug)]
struct Waiting {
    flow: FlowId,
    what: &'static str,
    outcome: Option<Outcome>,
}

impl Calls {
    /// Takes the host's answer. The flow to poll, or `None` if nobody waits any more.
    pub fn resolve(&mut self, call: CallId, outcome: Outcome) -> Option<FlowId> {
        let waiting = self.waiting.get_mut(&call)?;
        if waiting.outcome.is_some() {
            return None;
        }
        waiting.outcome = Some(outcome);
        Some(waiting.flow)
    }

    pub fn take_abandoned(&mut self) -> Vec<CallId> {
        core::mem::take(&mut self.abandoned)
    }

    /// What a flow waits for.
    pub(super) fn waits_for(&self, flow: FlowId) -> impl Iterator<Item = &'static str> {
        self.waiting.values().filter(move |call| call.flow == flow && call.outcome.is_none()).map(|call| call.what)
    }
}

/// What flows need of the homeserver: a step now, an effect sent.
pub trait Host {
    /// Runs one step; it is committed if `run` says so.
    fn step(&self, run: &mut dyn FnMut(&mut Step<'_>) -> bool);
    fn emit(&self, effect: Effect);
    fn calls(&self) -> &RefCell<Calls>;
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
        let id = {
            let mut calls = self.0.calls().borrow_mut();
            calls.last += 1;
            let id = CallId(calls.last);
            let flow = calls.current.expect("only a flow makes calls");
            calls.waiting.insert(id, Waiting { flow, what, outcome: None });
            id
        };
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
        let mut calls = self.host.calls().borrow_mut();
        if let Some(waiting) = calls.waiting.remove(&self.id)
            && waiting.outcome.is_none()
        {
            calls.abandoned.push(self.id);
        }
    }
}
