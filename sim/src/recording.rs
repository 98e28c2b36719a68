//! A recording: everything that happened in a world, for its report. It is kept only if somebody asks for it, nothing in the world
//! depends on it, and it outlives a world that panics.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use orrery_core::http::{Request, Response};

use crate::client::operations::Done;
use crate::clock::Time;
use crate::network::{Caller, ExchangeId};
use crate::plan::PlannedFault;
use crate::storage::SimStorage;
use crate::tasks::Lost;
use crate::trace::Place;
use crate::workload::PlannedOp;

/// What happened, each list in the order in which it began.
#[derive(Debug, Default)]
pub struct Recording {
    /// The last time at which anything was recorded.
    pub now: Time,
    pub healed: Option<Time>,
    pub messages: BTreeMap<ExchangeId, Message>,
    pub lives: Vec<Life>,
    pub notes: Vec<Note>,
    pub faults: Vec<Struck>,
    pub ops: Vec<Op>,
    /// The disk of each server, as it is now.
    pub disks: Vec<SimStorage>,
    /// What waited when the world ended: tasks of people, flows and queues of servers.
    pub waiting: Vec<Waiting>,
}

/// One request and what became of it.
#[derive(Debug)]
pub struct Message {
    pub caller: Caller,
    /// The task of a virtual person that asked.
    pub task: String,
    pub to: u32,
    pub request: Request,
    pub sent: Time,
    /// `None` if it was lost on its way.
    pub arrived: Option<Time>,
    /// Nobody listened, or the server crashed over it.
    pub refused: Option<Time>,
    /// When the answer left, and the answer.
    pub answer: Option<(Time, Response)>,
    /// When who asked knew, and what.
    pub end: Option<(Time, Result<(), Lost>)>,
}

/// A server between a start and a crash.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub place: Place,
    pub from: Time,
    pub to: Option<Time>,
}

/// A line of the trace that is neither input nor effect.
#[derive(Clone, Debug)]
pub struct Note {
    pub at: Time,
    pub place: Place,
    pub what: String,
}

/// A fault that struck.
#[derive(Clone, Copy, Debug)]
pub struct Struck {
    pub at: Time,
    pub planned: PlannedFault,
}

/// Something a person did.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub planned: PlannedOp,
    pub server: u32,
    pub user: u32,
    pub from: Time,
    /// `None` if the world ended before.
    pub end: Option<(Time, Done)>,
}

/// What a server or the people still waited for at the end.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// `None` are the people.
    pub server: Option<u32>,
    pub what: String,
}

/// A hold on a recording, if there is one. Without one nothing is kept and nothing is copied.
#[derive(Clone, Debug, Default)]
pub struct Watch(Option<Rc<RefCell<Recording>>>);

impl Watch {
    /// One that records.
    #[must_use]
    pub fn recording() -> Watch {
        Watch(Some(Rc::default()))
    }

    /// What was recorded up to now; nothing without a recording.
    #[must_use]
    pub fn take(&self) -> Recording {
        self.0.as_ref().map(|recording| recording.take()).unwrap_or_default()
    }

    /// Lets somebody write into the recording, if there is one.
    pub fn record(&self, now: Time, write: impl FnOnce(&mut Recording)) {
        if let Some(recording) = &self.0 {
            let mut recording = recording.borrow_mut();
            recording.now = recording.now.max(now);
            write(&mut recording);
        }
    }

    fn message(&self, now: Time, exchange: ExchangeId, write: impl FnOnce(&mut Message)) {
        self.record(now, |recording| {
            if let Some(message) = recording.messages.get_mut(&exchange) {
                write(message);
            }
        });
    }

    /// A request is sent.
    pub fn sent(&self, now: Time, exchange: ExchangeId, caller: Caller, to: u32, request: &Request) {
        self.record(now, |recording| {
            let message = Message {
                caller,
                task: String::new(),
                to,
                request: request.clone(),
                sent: now,
                arrived: None,
                refused: None,
                answer: None,
                end: None,
            };
            recording.messages.insert(exchange, message);
        });
    }

    /// Which task sent it.
    pub fn asked(&self, now: Time, exchange: ExchangeId, task: impl FnOnce() -> String) {
        self.message(now, exchange, |message| message.task = task());
    }

    pub fn arrived(&self, now: Time, exchange: ExchangeId) {
        self.message(now, exchange, |message| message.arrived = Some(now));
    }

    pub fn refused(&self, now: Time, exchange: ExchangeId) {
        self.message(now, exchange, |message| message.refused = Some(now));
    }

    pub fn answered(&self, now: Time, exchange: ExchangeId, response: &Response) {
        self.message(now, exchange, |message| message.answer = Some((now, response.clone())));
    }

    /// Who asked has an answer, or knows that there will be none.
    pub fn ended(&self, now: Time, exchange: ExchangeId, end: Result<(), Lost>) {
        self.message(now, exchange, |message| message.end = Some((now, end)));
    }

    pub fn life_begins(&self, now: Time, place: Place) {
        self.record(now, |recording| recording.lives.push(Life { place, from: now, to: None }));
    }

    pub fn life_ends(&self, now: Time, place: Place) {
        self.record(now, |recording| {
            let life = recording.lives.iter_mut().find(|life| life.place == place);
            if let Some(life) = life {
                life.to = Some(now);
            }
        });
    }

    pub fn note(&self, now: Time, place: Place, what: &str) {
        self.record(now, |recording| recording.notes.push(Note { at: now, place, what: what.to_owned() }));
    }

    pub fn struck(&self, now: Time, planned: PlannedFault) {
        self.record(now, |recording| recording.faults.push(Struck { at: now, planned }));
    }

    pub fn begins(&self, now: Time, planned: PlannedOp, server: u32, user: u32) {
        self.record(now, |recording| recording.ops.push(Op { planned, server, user, from: now, end: None }));
    }

    pub fn done(&self, now: Time, planned: PlannedOp, done: Done) {
        self.record(now, |recording| {
            let op = recording.ops.iter_mut().rev().find(|op| op.planned.number == planned.number);
            if let Some(op) = op {
                op.end = Some((now, done));
            }
        });
    }
}
