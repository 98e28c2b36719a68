//! A homeserver over an ordered map in memory. Effects are carried out at once, except requests to other servers, which wait
//! until they are answered or their time is over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use orrery_core::Homeserver;
use orrery_core::config::Config;
use orrery_core::effect::{Batch, CallId, Effect, Fetch};
use orrery_core::federation::again::is_pausing;
use orrery_core::http::{Request, RequestId, Response};
use orrery_core::input::{Input, Outcome};
use orrery_core::query;
use orrery_core::router::Router;
use orrery_core::store::{Order, Read, Storage, StorageError, Visit};
use orrery_core::time::Timestamp;

use super::check;
use super::world::trace;

/// What is durable.
#[derive(Clone, Debug, Default)]
pub struct Memory(BTreeMap<Bytes, Bytes>);

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        if from >= to {
            return Ok(());
        }
        let mut range = self.0.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        let mut each =
            |row: Option<(&Bytes, &Bytes)>| row.map_or(ControlFlow::Break(()), |(key, value)| visit(key, value));
        match order {
            Order::Ascending => while each(range.next()).is_continue() {},
            Order::Descending => while each(range.next_back()).is_continue() {},
        }
        Ok(())
    }
}

impl Storage for Memory {}

/// The most effects of one input and all that follows from it at that moment: nothing goes round in circles.
const MAX_EFFECTS: usize = 5_000;

pub struct Host {
    homeserver: Homeserver<Memory>,
    config: Config,
    router: Router,
    pub now: Timestamp,
    last_request: u64,
    /// Requests without an answer, and how each begins.
    waiting: BTreeMap<RequestId, String>,
    answers: BTreeMap<RequestId, Response>,
    /// Requests to other servers that nobody has looked at.
    pub fetches: VecDeque<(CallId, Fetch)>,
    /// Those that get no answer, and when their time is over.
    hanging: BTreeSet<(Timestamp, CallId)>,
    /// The bytes of keys and values that were written.
    pub written: usize,
    starts: u8,
}

impl Host {
    pub fn start(config: Config, storage: Memory, now: Timestamp) -> Host {
        let mut host = Host::begin(config, storage, now, 1);
        host.pump();
        host
    }

    fn begin(config: Config, storage: Memory, now: Timestamp, starts: u8) -> Host {
        let homeserver = Homeserver::new(config.clone(), [starts; 32], storage, now).expect("the storage is ours");
        Host {
            homeserver,
            config,
            router: Router::new(),
            now,
            last_request: 0,
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            fetches: VecDeque::new(),
            hanging: BTreeSet::new(),
            written: 0,
            starts,
        }
    }

    /// Loses what lives in memory, and starts again.
    pub fn restart(&mut self) {
        let storage = self.storage(Clone::clone);
        *self = Host { written: self.written, ..Host::begin(self.config.clone(), storage, self.now, self.starts + 1) };
        self.pump();
    }

    pub fn storage<T>(&mut self, look: impl FnOnce(&Memory) -> T) -> T {
        self.homeserver.with_storage(|storage| look(storage))
    }

    pub fn request(&mut self, request: Request) -> RequestId {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.waiting.insert(id, format!("{} {}", request.method.as_str(), request.path));
        self.input(Input::Request { id, request });
        id
    }

    /// The client of the oldest request without an answer goes away.
    pub fn hang_up(&mut self) {
        if let Some((id, _)) = self.waiting.pop_first() {
            self.input(Input::Hangup { id });
        }
    }

    /// The answer of a request, if it has one by now.
    pub fn answer(&mut self, id: RequestId) -> Option<Response> {
        self.answers.remove(&id)
    }

    pub fn resolve(&mut self, call: CallId, outcome: Outcome) {
        self.input(Input::Resolved { call, outcome });
    }

    /// A request to another server gets no answer for as long as it may wait.
    pub fn leave_hanging(&mut self, call: CallId, fetch: &Fetch) {
        self.hanging.insert((self.now + fetch.timeout, call));
    }

    /// Lets time pass until something happens, at most until `end`. `false` if nothing does.
    pub fn pass_time(&mut self, end: Timestamp) -> bool {
        let deadline = self.homeserver.next_deadline();
        let given_up = self.hanging.first().copied();
        let next = deadline.into_iter().chain(given_up.map(|(when, _)| when)).min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.now = self.now.max(end);
            return false;
        };
        self.now = self.now.max(next);
        match given_up.filter(|(when, _)| *when <= self.now) {
            Some(hanging) => {
                self.hanging.remove(&hanging);
                self.resolve(hanging.1, Outcome::Failed("there was no answer in time".to_owned()));
            }
            None => {
                self.input(Input::Wake);
                let next = self.homeserver.next_deadline();
                assert!(next.is_none_or(|next| next > self.now), "woken at {:?}, and again at {next:?}", self.now);
            }
        }
        true
    }

    /// Nothing waits for anything, once time has passed and others have answered.
    pub fn assert_quiet(&self) {
        assert!(self.waiting.is_empty(), "no answer to {:?}; {:?}", self.waiting, self.homeserver.report());
        let mut flows = self.homeserver.report();
        // What the other server did not prove is asked for again, for days.
        flows.retain(|flow| !is_pausing(flow));
        assert_eq!(flows, [], "a flow waits");
        assert_eq!((self.homeserver.pending_commits(), self.homeserver.held_effects()), (0, 0));
    }

    fn input(&mut self, input: Input) {
        self.homeserver.handle(self.now, input);
        self.pump();
    }

    fn pump(&mut self) {
        let mut effects = 0;
        loop {
            let Some(effect) = self.homeserver.drain().next() else { break };
            effects += 1;
            assert!(effects < MAX_EFFECTS, "{effects} effects of one input");
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Commit { id, batch } => {
                self.write(batch);
                self.homeserver.handle(self.now, Input::Durable { commit: id });
            }
            Effect::Reply { id, response } => self.reply(id, response),
            Effect::Query { id, query } => {
                let (router, config, now) = (&self.router, &self.config, self.now);
                let run = |storage: &mut Memory| query::run(router, storage, config, now, id, &query);
                let response = self.homeserver.with_storage(run);
                self.reply(id, response);
            }
            Effect::Compute { call, job } => {
                let outcome = job.run();
                self.homeserver.handle(self.now, Input::Resolved { call, outcome });
            }
            Effect::Fetch { call, fetch } => self.fetches.push_back((call, fetch)),
            Effect::Lookup { call, .. } => {
                let outcome = Outcome::Services { records: Vec::new(), ttl: 300 };
                self.homeserver.handle(self.now, Input::Resolved { call, outcome });
            }
            Effect::Abandon { call } => {
                self.fetches.retain(|(other, _)| *other != call);
                self.hanging.retain(|(_, other)| *other != call);
            }
        }
    }

    fn write(&mut self, batch: Batch) {
        self.written +=
            batch.writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum::<usize>();
        self.homeserver.with_storage(|storage| {
            for (key, value) in batch.writes {
                match value {
                    Some(value) => drop(storage.0.insert(key, value)),
                    None => drop(storage.0.remove(&key)),
                }
            }
        });
    }

    fn reply(&mut self, id: RequestId, response: Response) {
        // Whoever hung up is not told.
        if let Some(request) = self.waiting.remove(&id) {
            trace(|| format!("< {} to {request}: {}", response.status, String::from_utf8_lossy(&response.body)));
            check::answer(&request, &response);
            self.answers.insert(id, response);
        }
    }
}
