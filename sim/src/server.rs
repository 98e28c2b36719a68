//! One server: a real `Homeserver` and the host around it, which keeps the contract of the boundary (ARCHITECTURE.md) and
//! misuses every freedom that the contract leaves.

mod fetching;
mod restoring;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use orrery_core::config::{Config, OldVerifyKey};
use orrery_core::effect::{CallId, Effect, Job, Query};
use orrery_core::http::{Request, Response};
use orrery_core::input::{Input, Outcome, RequestId};
use orrery_core::router::Router;
use orrery_core::state_res::Resolutions;
use orrery_core::time::Timestamp;
use orrery_core::{Homeserver, StartError};
use serde::{Deserialize, Serialize};

use crate::byzantine::PlannedAttack;
use crate::byzantine::liar::Liar;
use crate::checkers::costs::Account;
use crate::clock::{Clock, Span, Time};
use crate::draw::{Draw, Latency};
use crate::failure::Failure;
use crate::key_server::{Answer, KeyServer};
use crate::keys;
use crate::measures::traffic::{Endpoint, Traffic};
use crate::memo::Memo;
use crate::names::Names;
use crate::network::{Caller, ExchangeId, Network};
use crate::queue::{Event, Queue};
use crate::recording::Watch;
use crate::storage::{Disk, Lie, SimStorage, Visibility};
use crate::trace::{Place, Trace};
use crate::world::server_number;

/// How the host of a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostOptions {
    pub disk: Latency,
    /// The most batches that one group takes.
    pub group: usize,
    pub visibility: Visibility,
    /// How many of 1000 crashes leave some batches behind that were not durable yet.
    pub survivors: u64,
    pub compute: Latency,
    pub query: Latency,
    /// How many of 1000 queries see the snapshot of when they end, not of when they began.
    pub late_queries: u64,
    /// How many of 1000 inputs are drained only after others were handled.
    pub late_drain: u64,
    /// The clock is at most this many milliseconds wrong, at first and after each start.
    pub skew: u64,
    /// The clock gains or loses at most so many microseconds in a second; which it does changes with each start.
    pub drift: u64,
    /// For how long others may keep the server's keys.
    pub keys_lifetime: Span,
    /// Others are asked for the keys of a server that does not give them itself.
    pub notaries: bool,
    pub lie: Lie,
}

impl Default for HostOptions {
    fn default() -> HostOptions {
        HostOptions {
            disk: Latency::default(),
            group: 1,
            visibility: Visibility::default(),
            survivors: 0,
            compute: Latency::default(),
            query: Latency::default(),
            late_queries: 0,
            late_drain: 0,
            skew: 0,
            drift: 0,
            keys_lifetime: Span::secs(24 * 3_600),
            notaries: true,
            lie: Lie::None,
        }
    }
}

/// How long a liar waits for an answer.
const PATIENCE_OF_LIARS: Span = Span::secs(300);

/// The factor of a slow disk.
pub const SLOW_DISK: u64 = 5;

/// What the host does later.
#[derive(Debug)]
pub enum Doing {
    Drain,
    GroupWritten,
    Resolved {
        call: CallId,
        outcome: Outcome,
    },
    /// Run the query now and answer.
    RunQuery {
        id: RequestId,
        query: Query,
    },
    Answer {
        id: RequestId,
        response: Response,
    },
    Wake(Timestamp),
}

/// What the host needs of the world.
#[derive(Debug)]
pub struct Surroundings<'w> {
    pub queue: &'w mut Queue,
    pub network: &'w mut Network,
    pub names: &'w Names,
    pub trace: &'w mut Trace,
    pub watch: &'w Watch,
}

/// A crash that waits for its moment.
#[derive(Clone, Copy, Debug)]
struct Armed {
    /// Effects that are still carried out.
    effects: u64,
    down: Span,
}

#[derive(Debug)]
pub struct Server {
    number: u32,
    config: Config,
    options: HostOptions,
    draw: Draw,
    router: Router,
    disk: Disk,
    clock: Clock,
    core: Option<Homeserver<SimStorage>>,
    life: u32,
    last_request: u64,
    requests: BTreeMap<RequestId, ExchangeId>,
    computing: BTreeSet<CallId>,
    /// The deadline for which a wake is under way.
    wake: Option<Timestamp>,
    draining: bool,
    armed: Option<Armed>,
    full: bool,
    slow: bool,
    /// When it crashed, and when it is to start again.
    pub down: Vec<(Time, Time)>,
    /// Whether a backup was ever restored.
    pub has_lost: bool,
    /// How often its key was rotated.
    pub rotations: u32,
    /// The latest that it ever was for it.
    latest: Timestamp,
    pub account: Account,
    /// If it is measured.
    pub traffic: Option<Traffic>,
    /// Of its lives that are over.
    resolutions: Resolutions,
    /// What its fetches ask for, and how long the answers may be.
    longest_answers: BTreeMap<CallId, (Endpoint, usize)>,
    /// The server is Byzantine.
    pub liar: Option<Liar>,
    /// What it shares with the other servers.
    pub memo: Memo,
    /// Where it publishes its signing keys.
    pub key_server: KeyServer,
}

impl Server {
    #[must_use]
    pub fn new(number: u32, config: Config, options: HostOptions, draw: Draw) -> Server {
        let key = keys::signing_key(&config.signing_key);
        let key_server = KeyServer::new(&config, &key, Clock::default().read(Time(0)));
        Server {
            number,
            config,
            options,
            draw,
            router: Router::new(),
            disk: Disk::new(options.visibility, options.lie),
            clock: Clock::default(),
            core: None,
            life: 0,
            last_request: 0,
            requests: BTreeMap::new(),
            computing: BTreeSet::new(),
            wake: None,
            draining: false,
            armed: None,
            full: false,
            slow: false,
            down: Vec::new(),
            has_lost: false,
            rotations: 0,
            latest: Timestamp::default(),
            account: Account::default(),
            traffic: None,
            resolutions: Resolutions::default(),
            longest_answers: BTreeMap::new(),
            liar: None,
            memo: Memo::default(),
            key_server,
        }
    }

    /// The current life, while it lasts.
    #[must_use]
    pub fn core(&self) -> Option<&Homeserver<SimStorage>> {
        self.core.as_ref()
    }

    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    #[must_use]
    pub fn life(&self) -> u32 {
        self.life
    }

    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// What it resolved, over all its lives.
    #[must_use]
    pub fn resolutions(&self) -> Resolutions {
        let mut all = self.resolutions;
        all.add(self.core.as_ref().map(Homeserver::resolutions).unwrap_or_default());
        all
    }

    fn place(&self) -> Place {
        Place { server: self.number, life: self.life }
    }

    fn note(&self, around: &mut Surroundings<'_>, what: &str) {
        around.trace.note(around.queue.now(), self.place(), what);
        around.watch.note(around.queue.now(), self.place(), what);
    }

    fn later(&self, queue: &mut Queue, span: Span, doing: Doing) {
        queue.after(span, Event::Host { server: self.number, life: self.life, doing });
    }

    /// Starts on what the disk holds.
    pub fn start(&mut self, around: &mut Surroundings<'_>) -> Result<(), Failure> {
        if self.core.is_some() {
            return Ok(());
        }
        self.life += 1;
        self.clock = Clock { skew: self.draw_wrong(self.options.skew), drift: self.draw_drift() };
        let seed = self.draw.seed();
        let drift = if self.clock.drift == 0 { String::new() } else { format!(", {:+} us/s", self.clock.drift) };
        self.note(around, &format!("start, clock {:+} ms{drift}", self.clock.skew));
        let now = self.clock.read(around.queue.now());
        match Homeserver::new(self.config.clone(), seed, self.disk.storage(), now) {
            Ok(core) => {
                self.core = Some(core);
                around.watch.life_begins(around.queue.now(), self.place());
            }
            // Hosts try again.
            Err(StartError::Storage(_)) if self.disk.reads_fail() => {
                self.note(around, "cannot start: the disk cannot read");
                around.queue.after(Span::millis(300), Event::Start { server: self.number });
                return Ok(());
            }
            Err(error) => {
                let evidence = format!("server {} does not start on its own disk: {error}", self.number);
                return Err(Failure::safety("start", evidence));
            }
        }
        self.drain(around);
        Ok(())
    }

    /// By how much a clock is wrong, in either direction.
    fn draw_wrong(&mut self, most: u64) -> i64 {
        let signed = |number: u64| i64::try_from(number).expect("clocks are wrong by hours at most");
        signed(self.draw.below(2 * most + 1)) - signed(most)
    }

    /// Nothing is drawn where clocks do not drift, so that what else is drawn there is what it was without drift.
    fn draw_drift(&mut self) -> i64 {
        if self.options.drift == 0 { 0 } else { self.draw_wrong(self.options.drift) }
    }

    /// A request comes in from the network.
    pub fn request(&mut self, around: &mut Surroundings<'_>, exchange: ExchangeId, request: Request) {
        if self.core.is_none() {
            around.network.refused(around.queue, exchange);
            return;
        }
        match self.key_server.answer(&request, around.queue.now()) {
            Answer::OfServer => {}
            Answer::None => return,
            Answer::Instead(response) => return around.network.reply(around.queue, exchange, response),
        }
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.requests.insert(id, exchange);
        self.account.requests += 1;
        self.account.bytes_in += request.body.len() as u64;
        if let Some(traffic) = &mut self.traffic {
            traffic.is_asked(&request);
        }
        if let Some(liar) = &mut self.liar {
            liar.heard(id, &request);
        }
        around.network.accepted(exchange, self.life, id);
        self.input(around, Input::Request { id, request });
    }

    /// The client of a request is gone.
    pub fn hangup(&mut self, around: &mut Surroundings<'_>, id: RequestId) {
        // The host knows of no request that it has answered.
        if self.requests.remove(&id).is_some() {
            if let Some(liar) = &mut self.liar {
                liar.forget(id);
            }
            self.input(around, Input::Hangup { id });
        }
    }

    /// Does what was put off.
    pub fn proceed(&mut self, around: &mut Surroundings<'_>, doing: Doing) {
        match doing {
            Doing::Drain => {
                self.draining = false;
                self.drain(around);
            }
            Doing::GroupWritten if self.full => self.crash(around, Span::millis(500), "the disk is full"),
            Doing::GroupWritten => {
                let commit = self.disk.finish_group();
                // What is to be done about that was in the first commit.
                self.config.restored = false;
                self.input(around, Input::Durable { commit });
            }
            Doing::Resolved { call, outcome } => {
                if self.computing.remove(&call) {
                    self.input(around, Input::Resolved { call, outcome });
                }
            }
            Doing::RunQuery { id, query } => {
                let response = self.run_query(around.queue.now(), id, &query);
                self.answer(around, id, response);
            }
            Doing::Answer { id, response } => self.answer(around, id, response),
            Doing::Wake(deadline) => {
                if self.wake == Some(deadline) {
                    self.wake = None;
                    self.input(around, Input::Wake);
                }
            }
        }
    }

    /// Crashes once `effects` more effects are carried out.
    pub fn arm(&mut self, effects: u64, down: Span) {
        self.armed = Some(Armed { effects, down });
    }

    /// While the disk is full, every commit fails.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// One read in `one_in` fails; 0 is none.
    pub fn fail_reads(&mut self, one_in: u64) {
        self.disk.fail_reads(one_in);
    }

    /// While the disk is slow, commits take [`SLOW_DISK`] times as long.
    pub fn set_slow(&mut self, slow: bool) {
        self.slow = slow;
    }

    /// The clock jumps by some milliseconds. A wake that is under way comes when it would have come: hosts wait by a clock that nobody
    /// sets.
    pub fn jump(&mut self, around: &mut Surroundings<'_>, millis: i64) {
        self.clock.skew += millis;
        self.note(around, &format!("clock jumps {millis:+} ms"));
    }

    /// Stops, and has another signing key when it starts again. What it signed before was signed until what was the latest for
    /// it.
    pub fn rotate_key(&mut self, around: &mut Surroundings<'_>, seed: u64, down: Span) {
        // Liars have the keys that they were made with.
        if self.liar.is_some() || self.core.is_none() {
            return;
        }
        self.crash(around, down, "for a new key");
        self.rotations += 1;
        let new = keys::config(seed, self.number, self.rotations);
        let old = keys::signing_key(&std::mem::replace(&mut self.config.signing_key, new));
        let old = OldVerifyKey { key_id: old.key_id().to_string(), key: old.public_key(), expired_ts: self.latest };
        self.config.federation.old_verify_keys.push(old);
    }

    /// Whatever is broken gets whole.
    pub fn heal(&mut self) {
        self.armed = None;
        self.full = false;
        self.slow = false;
        self.key_server.heal();
        if let Some(liar) = &mut self.liar {
            liar.heal();
        }
        self.disk.fail_reads(0);
    }

    /// Everything that is not durable is gone, and with it every connection.
    pub fn crash(&mut self, around: &mut Surroundings<'_>, down: Span, why: &str) {
        let Some(core) = self.core.take() else { return };
        self.resolutions.add(core.resolutions());
        self.down.push((around.queue.now(), around.queue.now() + down));
        self.armed = None;
        let pending = self.disk.pending();
        let survivors = match self.draw.chance(self.options.survivors) {
            true => self.draw.index(pending + 1),
            false => 0,
        };
        self.disk.crash(survivors);
        around.watch.life_ends(around.queue.now(), self.place());
        self.note(around, &format!("crash ({why}): {survivors} of {pending} batches survive"));
        for exchange in std::mem::take(&mut self.requests).into_values() {
            around.network.refused(around.queue, exchange);
        }
        around.network.crashed(self.number);
        self.computing.clear();
        self.longest_answers.clear();
        if let Some(liar) = &mut self.liar {
            liar.forget_asked();
        }
        self.wake = None;
        self.draining = false;
        around.queue.after(down, Event::Start { server: self.number });
    }

    fn input(&mut self, around: &mut Surroundings<'_>, input: Input) {
        let now = around.queue.now();
        let place = self.place();
        let Some(core) = &mut self.core else { return };
        around.trace.input(now, place, &input);
        self.disk.begin();
        core.handle(self.clock.read(now), input);
        self.latest = self.latest.max(core.now());
        if self.draining {
            return;
        }
        if self.draw.chance(self.options.late_drain) {
            self.draining = true;
            let span = self.draw.span(Span::micros(1), Span::micros(300));
            self.later(around.queue, span, Doing::Drain);
        } else {
            self.drain(around);
        }
    }

    /// Carries out every effect that may leave.
    fn drain(&mut self, around: &mut Surroundings<'_>) {
        loop {
            let Some(core) = &mut self.core else { return };
            let Some(effect) = core.drain().next() else { break };
            if let Some(armed) = &mut self.armed {
                if armed.effects == 0 {
                    let down = armed.down;
                    self.crash(around, down, "as planned");
                    return;
                }
                armed.effects -= 1;
            }
            around.trace.effect(around.queue.now(), self.place(), &effect);
            self.carry_out(around, effect);
        }
        self.write_group(around.queue);
        self.schedule_wake(around.queue);
    }

    fn carry_out(&mut self, around: &mut Surroundings<'_>, effect: Effect) {
        match effect {
            Effect::Commit { id, batch } => {
                self.account.commits += 1;
                let size = |(key, value): &(Bytes, Option<Bytes>)| key.len() + value.as_ref().map_or(0, Bytes::len);
                self.account.bytes_written += batch.writes.iter().map(size).sum::<usize>() as u64;
                self.disk.push(id, batch);
            }
            Effect::Reply { id, response } => self.answer(around, id, response),
            Effect::Query { id, query } => {
                let span = self.options.query.draw(&mut self.draw);
                let doing = if self.draw.chance(self.options.late_queries) {
                    Doing::RunQuery { id, query }
                } else {
                    Doing::Answer { id, response: self.run_query(around.queue.now(), id, &query) }
                };
                self.later(around.queue, span, doing);
            }
            Effect::Compute { call, job } => {
                self.computing.insert(call);
                let span = self.options.compute.draw(&mut self.draw);
                let outcome = self.run_job(&job);
                self.later(around.queue, span, Doing::Resolved { call, outcome });
            }
            Effect::Fetch { call, fetch } => {
                self.computing.insert(call);
                self.fetch(around, call, fetch);
            }
            Effect::Lookup { call, name } => {
                let outcome = around.names.look_up(&name, around.queue.now());
                self.computing.insert(call);
                let span = self.options.query.draw(&mut self.draw);
                self.later(around.queue, span, Doing::Resolved { call, outcome });
            }
            Effect::Abandon { call } => {
                self.longest_answers.remove(&call);
                self.computing.remove(&call);
            }
        }
    }

    fn run_job(&mut self, job: &Job) -> Outcome {
        if let Job::Verify(messages) = job {
            self.account.signatures += messages.len() as u64;
            if self.options.lie == Lie::BelievesSignatures {
                return Outcome::Verified(vec![true; messages.len()]);
            }
        }
        self.memo.run(job)
    }

    /// The liar attacks somebody whose disk it can read.
    pub fn strike(
        &mut self,
        around: &mut Surroundings<'_>,
        attack: &PlannedAttack,
        honest: &[u32],
        victim: &SimStorage,
    ) {
        let now = Clock::default().read(around.queue.now());
        let Some(liar) = &mut self.liar else { return };
        let blows = liar.strike(attack, honest, victim, now);
        let what = format!(
            "attack {} on server {}: {:?}, {} requests",
            attack.number,
            attack.victim,
            attack.strategy,
            blows.len()
        );
        for blow in blows {
            let Some(to) = server_number(&blow.to) else { continue };
            let number = liar.begin(attack.strategy, &blow);
            let caller = Caller::Liar { server: self.number, number };
            around.network.send(around.queue, caller, to, blow.request, PATIENCE_OF_LIARS);
        }
        self.note(around, &what);
    }

    fn run_query(&self, now: Time, id: RequestId, query: &Query) -> Response {
        let now = self.clock.read(now);
        orrery_core::query::run(&self.router, &self.disk.durable(), &self.config, now, id, query)
    }

    fn answer(&mut self, around: &mut Surroundings<'_>, id: RequestId, mut response: Response) {
        if let Some(exchange) = self.requests.remove(&id) {
            if let Some(liar) = &mut self.liar {
                liar.answer(id, &mut response, &self.disk.look());
            }
            around.network.reply(around.queue, exchange, response);
        }
    }

    fn write_group(&mut self, queue: &mut Queue) {
        if self.disk.start_group(self.options.group) {
            let span = self.options.disk.draw(&mut self.draw);
            let span = if self.slow { span.times(SLOW_DISK) } else { span };
            self.later(queue, span, Doing::GroupWritten);
        }
    }

    fn schedule_wake(&mut self, queue: &mut Queue) {
        let Some(core) = &self.core else { return };
        let deadline = core.next_deadline();
        if deadline == self.wake {
            return;
        }
        self.wake = deadline;
        if let Some(deadline) = deadline {
            let when = self.clock.when(deadline, queue.now());
            queue.at(when, Event::Host { server: self.number, life: self.life, doing: Doing::Wake(deadline) });
        }
    }
}
