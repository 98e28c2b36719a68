//! What will happen, in the order in which it will.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use orrery_core::http::{Request, Response};
use orrery_core::input::RequestId;

use crate::clock::{Span, Time};
use crate::network::ExchangeId;
use crate::server::Doing;
use crate::tasks::{Lost, WaitId};

/// One thing that will happen.
#[derive(Debug)]
pub enum Event {
    Elapsed {
        wait: WaitId,
    },
    RequestArrives {
        exchange: ExchangeId,
        server: u32,
        request: Request,
    },
    ReplyArrives {
        exchange: ExchangeId,
        reply: Result<Response, Lost>,
    },
    PatienceOver {
        exchange: ExchangeId,
    },
    HangupArrives {
        server: u32,
        life: u32,
        request: RequestId,
    },
    /// A server's host has something to do, if that life still lasts.
    Host {
        server: u32,
        life: u32,
        doing: Doing,
    },
    /// A server that is down starts.
    Start {
        server: u32,
    },
    /// The plan's fault of this number strikes.
    Fault {
        index: usize,
    },
    /// The backup is taken that the fault of this number restores.
    Backup {
        index: usize,
    },
    /// The plan's attack of this number is made.
    Attack {
        index: usize,
    },
    /// The fault of this number is over.
    FaultOver {
        index: usize,
    },
}

/// Events by time; of two at one time the one that was put in first comes first.
#[derive(Debug, Default)]
pub struct Queue {
    now: Time,
    last: u64,
    order: BinaryHeap<Reverse<(Time, u64)>>,
    events: BTreeMap<u64, Event>,
}

impl Queue {
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    pub fn after(&mut self, span: Span, event: Event) {
        self.at(self.now + span, event);
    }

    /// Times in the past count as now.
    pub fn at(&mut self, time: Time, event: Event) {
        self.last += 1;
        self.order.push(Reverse((time.max(self.now), self.last)));
        self.events.insert(self.last, event);
    }

    /// The next event; time moves on to it.
    pub fn advance(&mut self) -> Option<Event> {
        let Reverse((time, number)) = self.order.pop()?;
        self.now = time;
        Some(self.events.remove(&number).expect("every number in the order has its event"))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
