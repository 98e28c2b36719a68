//! The executor: polls a flow when what it waits for has come, and never otherwise.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::call::Calls;
use crate::input::RequestId;
use crate::limits::MAX_FLOWS;

/// Names a flow for as long as it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowId(u64);

/// A line of `report()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingFlow {
    pub name: &'static str,
    /// The request that the flow will answer.
    pub request: Option<RequestId>,
    pub waits_for: Vec<&'static str>,
}

struct Flow {
    name: &'static str,
    request: Option<RequestId>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// The flows under way.
#[derive(Default)]
pub struct Executor {
    last: u64,
    flows: BTreeMap<FlowId, Flow>,
}

impl Executor {
    /// How many flows are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.flows.len()
    }

    /// Starts a flow and polls it once. `false` if too many are under way; the flow is dropped unpolled.
    #[must_use]
    pub fn spawn(
        &mut self,
        calls: &RefCell<Calls>,
        name: &'static str,
        request: Option<RequestId>,
        future: impl Future<Output = ()> + 'static,
    ) -> bool {
        if self.flows.len() >= MAX_FLOWS {
            return false;
        }
        self.last += 1;
        let id = FlowId(self.last);
        self.flows.insert(id, Flow { name, request, future: Box::pin(future) });
        self.poll(calls, id);
        true
    }

    /// Polls a flow whose call was answered.
    pub fn poll(&mut self, calls: &RefCell<Calls>, id: FlowId) {
        let Some(mut flow) = self.flows.remove(&id) else { return };
        calls.borrow_mut().current = Some(id);
        let poll = flow.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        calls.borrow_mut().current = None;
        if poll == Poll::Ready(()) {
            calls.borrow_mut().outliving.remove(&id);
        } else {
            assert!(
                calls.borrow().waits_for(id).next().is_some(),
                "the flow {} is pending and has no outstanding effect: it would wait for ever",
                flow.name
            );
            self.flows.insert(id, flow);
        }
    }

    /// Nobody waits for the answer of `request` any more: drops the flow that would have given it, unless it
    /// [outlives](super::Cx::outlive_request) its request. `true` if one was dropped.
    pub fn cancel(&mut self, calls: &RefCell<Calls>, request: RequestId) -> bool {
        let Some((id, flow)) = self.flows.iter_mut().find(|(_, flow)| flow.request == Some(request)) else {
            return false;
        };
        let id = *id;
        if calls.borrow().outliving.contains(&id) {
            flow.request = None;
            return false;
        }
        self.flows.remove(&id).is_some()
    }

    /// Every waiting flow and what it waits for.
    #[must_use]
    pub fn report(&self, calls: &Calls) -> Vec<WaitingFlow> {
        self.flows
            .iter()
            .map(|(id, flow)| WaitingFlow {
                name: flow.name,
                request: flow.request,
                waits_for: calls.waits_for(*id).collect(),
            })
            .collect()
    }
}

impl core::fmt::Debug for Executor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Executor").field("flows", &self.flows.len()).finish_non_exhaustive()
    }
}
