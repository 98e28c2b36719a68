//! The world: one queue of events in virtual time, the servers, the network between, and the tasks of virtual people. What
//! happens is a function of the plan.

mod ending;

use orrery_core::config::Config;
use orrery_core::effect::PasswordCost;
use orrery_core::http::Response;
use orrery_core::identifiers::ServerName;

use crate::backups::Backups;
use crate::byzantine::Hearsay;
use crate::byzantine::forge::Identity;
use crate::byzantine::liar::Liar;
use crate::checkers::{pace, queues, refusals};
use crate::client::director;
use crate::clock::{Span, Time};
use crate::draw::stream;
use crate::failure::Failure;
use crate::fault::Fault;
use crate::glance::Glance;
use crate::keys;
use crate::links::Links;
use crate::measures::Measures;
use crate::measures::observer::Observer;
use crate::measures::traffic::Traffic;
use crate::memo::Memo;
use crate::names::Names;
use crate::network::{Caller, Network, Tamper};
use crate::plan::Plan;
use crate::queue::{Event, Queue};
use crate::recording::{Waiting, Watch};
use crate::server::{Server, Surroundings};
use crate::storage::SimStorage;
use crate::tasks::{Come, Command, Hub, Lost, TaskId, Tasks};
use crate::trace::{Sink, Trace};

/// How a world ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub hash: [u8; 32],
    pub failure: Option<Failure>,
    pub counts: Counts,
    /// If they were asked for.
    pub measures: Option<Measures>,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub virtual_time: Span,
    pub events: u64,
    pub inputs: u64,
    pub effects: u64,
    pub crashes: u64,
    pub work: director::Work,
    /// What Byzantine servers did.
    pub lies: refusals::Tally,
    /// Rooms about whose state they told lies.
    pub hearsay: u64,
    /// How rooms without them moved on.
    pub pace: pace::Pace,
    /// State resolutions that were compared with the reference model's.
    pub resolutions: u32,
}

/// What a run is given beside its plan.
#[derive(Default)]
pub struct Extras {
    pub sink: Option<Sink>,
    /// To how many characters the sink's bodies are cut.
    pub width: usize,
    pub tamper: Option<Tamper>,
    /// Whether to measure.
    pub measure: bool,
    /// Records everything, if it is one that does.
    pub watch: Watch,
    /// Stops the world at some moment, and looks at what is there.
    pub glance: Option<Glance>,
    pub edit: Option<Edit>,
}

/// Changes a server's disk when all is over, before the checkers look at it. Only tests of the checkers do so.
pub type Edit = Box<dyn FnMut(u32, &mut SimStorage)>;

impl std::fmt::Debug for Extras {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Extras")
    }
}

/// After its horizon a world has this much virtual time to come to an end: it waits for servers that are away, one time after the
/// other, for servers to agree twice, and for each device to say something in its rooms.
fn grace(plan: &Plan) -> Span {
    let options = &plan.options;
    let devices = options.clients.devices.len() as u64;
    let down = plan.faults.iter().filter_map(|planned| match planned.fault {
        Fault::Crash { down, .. } | Fault::OlderStore { down, .. } => Some(down),
        _ => None,
    });
    let away = down.fold(Span(0), |away, down| away + down);
    Span::secs(1_200) + away + options.convergence().times(2) + Span::secs(600).times(devices)
}

/// After so many events somebody looks at what a server has in memory.
const WATCH_EVERY: u64 = 32;
/// No world needs as many events; one that does goes round in circles.
const MAX_EVENTS: u64 = 3_000_000;

/// Runs a plan to its end, or to the first failure. A panic of the core comes out as a panic.
#[must_use]
pub fn run(plan: &Plan, extras: Extras) -> Outcome {
    let mut world = World::new(plan, extras);
    world.run();
    world.measure();
    if let Some(glance) = &mut world.glance {
        glance.look(&world.servers);
    }
    world.outcome()
}

struct World<'p> {
    plan: &'p Plan,
    queue: Queue,
    network: Network,
    names: Names,
    trace: Trace,
    servers: Vec<Server>,
    hub: Hub,
    tasks: Tasks,
    director: director::Director,
    healed: bool,
    healed_at: Option<Time>,
    /// When the last fault ended that has struck so far.
    faults_over: Time,
    observer: Option<Observer>,
    measures: Option<Measures>,
    events: u64,
    pace: pace::Pace,
    resolutions: u32,
    backups: Backups,
    hearsay: Hearsay,
    watch: Watch,
    glance: Option<Glance>,
    edit: Option<Edit>,
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan, extras: Extras) -> World<'p> {
        let seed = plan.options.seed;
        let watch = extras.watch;
        let links = Links::new(plan.options.network.links, seed, plan.options.servers);
        let draw = stream(seed, "network");
        let network = Network::new(plan.options.network, draw, links, extras.tamper, watch.clone());
        let hearsay = Hearsay::default();
        let memo = Memo::default();
        let servers: Vec<Server> = (0..plan.options.servers)
            .map(|number| {
                let draw = stream(seed, &format!("host {number}"));
                let config = server_config(plan, number);
                let liar = plan.options.byzantine.iter().find(|liar| liar.server == number);
                let identity = Identity { name: config.server_name.clone(), key: keys::key(seed, number, 0) };
                let liar = liar.map(|options| Liar::new(options.clone(), identity, seed, hearsay.clone()));
                let mut server = Server::new(number, config, plan.options.host, draw);
                server.liar = liar;
                server.memo = memo.clone();
                server.traffic = extras.measure.then(Traffic::default);
                server
            })
            .collect();
        watch.record(Time(0), |recording| {
            recording.disks = servers.iter().map(|server| server.disk().look()).collect();
        });
        let hub = Hub::default();
        World {
            plan,
            queue: Queue::default(),
            network,
            names: Names::new(plan.options.servers, &plan.options.ways),
            trace: Trace::new(extras.sink, extras.width),
            servers,
            director: director::Director::new(&hub, plan, &watch),
            hub,
            tasks: Tasks::default(),
            healed: false,
            healed_at: None,
            faults_over: Time(0),
            observer: extras.measure.then(|| Observer::new(plan.options.servers)),
            measures: None,
            events: 0,
            pace: pace::Pace::default(),
            resolutions: 0,
            backups: Backups::default(),
            hearsay,
            watch,
            glance: extras.glance,
            edit: extras.edit,
        }
    }

    fn run(&mut self) {
        for server in 0..self.plan.options.servers {
            self.queue.at(Time(0), Event::Start { server });
        }
        for (index, fault) in self.plan.faults.iter().enumerate() {
            self.queue.at(fault.at, Event::Fault { index });
            if let Fault::OlderStore { age, .. } = fault.fault {
                self.queue.at(Time(fault.at.0.saturating_sub(age.0)), Event::Backup { index });
            }
        }
        for (index, attack) in self.plan.attacks.iter().enumerate() {
            self.queue.at(attack.at, Event::Attack { index });
        }
        let director = self.director.clone();
        self.hub.spawn("the director", async move { director.direct().await });
        self.obey();
        let end = Time(0) + self.plan.options.horizon + grace(self.plan);
        while self.hub.failure().is_none() && !self.tasks.is_empty() {
            let Some(event) = self.queue.advance() else {
                self.stuck("nothing will ever happen again");
                return;
            };
            if self.glance.as_ref().is_some_and(|glance| self.queue.now() > glance.until) {
                return;
            }
            self.events += 1;
            if self.queue.now() > end || self.events > MAX_EVENTS {
                self.stuck("the world does not come to an end");
                return;
            }
            self.hub.set_now(self.queue.now());
            self.happen(event);
            self.obey();
            if let Some(observer) = &mut self.observer {
                observer.look(&self.servers, self.queue.now());
            }
            self.weigh();
        }
        if self.hub.failure().is_none() {
            self.look();
        }
    }

    /// What the world yields.
    fn measure(&mut self) {
        let Some(mut observer) = self.observer.take() else { return };
        let now = self.queue.now();
        let healed = self.healed_at.unwrap_or(now);
        let mut measures = Measures { virtual_time: now - Time(0), ..Measures::default() };
        for server in self.servers.iter().filter(|server| server.liar.is_none()) {
            measures.traffic.add(&server.traffic.clone().unwrap_or_default());
            measures.resolutions.add(server.resolutions());
        }
        observer.tell(&mut measures, &self.servers, (self.faults_over.min(healed), healed), now);
        self.measures = Some(measures);
    }

    /// Looks now and then at what one of the servers has in memory.
    fn weigh(&mut self) {
        if !self.events.is_multiple_of(WATCH_EVERY) || !self.plan.options.byzantine.is_empty() {
            return;
        }
        let server = u32::try_from(self.events / WATCH_EVERY % u64::from(self.plan.options.servers));
        let server = server.expect("servers are few");
        if let Some(core) = self.servers[server as usize].core() {
            self.hub.check(queues::check_sizes(server, &core.sizes(), &self.plan.options));
        }
    }

    fn stuck(&self, why: &str) {
        let mut evidence = format!("{why}; tasks:{}", self.tasks.report(&self.hub));
        for flow in self.servers.iter().filter_map(Server::core).flat_map(|core| core.report()) {
            evidence += &format!("\n  flow {flow:?}");
        }
        self.hub.fail(Failure::liveness("end", evidence));
    }

    /// What waits when the world ends.
    fn waiting(&self) -> Vec<Waiting> {
        let people = self.tasks.report(&self.hub);
        let people = people.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut waiting: Vec<Waiting> = people.map(|what| Waiting { server: None, what: what.to_owned() }).collect();
        for (number, server) in (0u32..).zip(&self.servers) {
            let mut add = |what| waiting.push(Waiting { server: Some(number), what });
            let Some(core) = server.core() else {
                add("it is down".to_owned());
                continue;
            };
            core.report().iter().for_each(|flow| add(format!("{flow:?}")));
            let (commits, held, batches) = (core.pending_commits(), core.held_effects(), server.disk().pending());
            if (commits, held, batches) != (0, 0, 0) {
                add(format!(
                    "{commits} commits in its overlay, {held} effects held back, {batches} batches not durable"
                ));
            }
        }
        waiting
    }

    fn outcome(&self) -> Outcome {
        self.watch.record(self.queue.now(), |recording| recording.waiting = self.waiting());
        Outcome {
            hash: self.trace.hash(),
            failure: self.hub.failure(),
            measures: self.measures.clone(),
            counts: Counts {
                virtual_time: self.queue.now() - Time(0),
                events: self.events,
                inputs: self.trace.inputs,
                effects: self.trace.effects,
                crashes: self.servers.iter().map(|server| server.down.len() as u64).sum(),
                work: self.director.work(),
                lies: self.lies(),
                hearsay: self.hearsay.borrow().len() as u64,
                pace: self.pace,
                resolutions: self.resolutions,
            },
        }
    }

    fn lies(&self) -> refusals::Tally {
        let mut tally = refusals::Tally::default();
        for liar in self.servers.iter().filter_map(|server| server.liar.as_ref()) {
            tally.add(&liar.tally);
        }
        tally
    }

    fn attack(&mut self, index: usize) {
        let mut attack = self.plan.attacks[index];
        let honest: Vec<u32> = self.plan.options.honest().collect();
        // A server without rooms is no victim.
        let mut victims = std::iter::once(attack.victim).chain(honest.iter().copied());
        let has_rooms = |number: &u32| self.servers[*number as usize].disk().look().has_rooms();
        attack.victim = victims.find(has_rooms).unwrap_or(attack.victim);
        let victim = self.servers[attack.victim as usize].disk().look();
        self.with_server(attack.server, |server, around| server.strike(around, &attack, &honest, &victim));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Elapsed { wait } => self.come(wait, Come::Time),
            Event::RequestArrives { exchange, server, request } => {
                self.watch.arrived(self.queue.now(), exchange);
                self.with_server(server, |server, around| server.request(around, exchange, request));
            }
            Event::ReplyArrives { exchange, reply } => {
                if let Some((caller, reply)) = self.network.arrived(exchange, reply) {
                    self.watch.ended(self.queue.now(), exchange, reply.as_ref().map(|_| ()).map_err(|lost| *lost));
                    self.answered(caller, reply);
                }
            }
            Event::PatienceOver { exchange } => {
                if let Some(caller) = self.network.impatient(&mut self.queue, exchange) {
                    self.watch.ended(self.queue.now(), exchange, Err(Lost::Patience));
                    self.answered(caller, Err(Lost::Patience));
                }
            }
            Event::HangupArrives { server, life, request } => self.with_server(server, |server, around| {
                if server.life() == life {
                    server.hangup(around, request);
                }
            }),
            Event::Host { server, life, doing } => self.with_server(server, |server, around| {
                if server.life() == life && server.core().is_some() {
                    server.proceed(around, doing);
                }
            }),
            Event::Start { server } => {
                let started = self.with_server(server, Server::start);
                self.hub.check(started);
            }
            Event::Fault { index } => self.strike(index),
            Event::FaultOver { index } => self.end_fault(index),
            Event::Attack { index } => self.attack(index),
            Event::Backup { index } => {
                let server = &self.servers[self.plan.faults[index].server as usize];
                self.backups.take(index, server, self.queue.now());
            }
        }
    }

    fn answered(&mut self, caller: Caller, reply: Result<Response, Lost>) {
        match caller {
            Caller::Client(wait) => self.come(wait, Come::Answer(reply)),
            Caller::Server { number, life, call } => self.with_server(number, |server, around| {
                if server.life() == life && server.core().is_some() {
                    server.fetched(around, call, reply);
                }
            }),
            Caller::Nobody => {}
            Caller::Liar { server, number } => {
                let excused = self.hub.faults_are_excused();
                let liar = self.servers[server as usize].liar.as_mut();
                self.hub.check(liar.map_or(Ok(()), |liar| liar.struck(number, reply, excused)));
            }
        }
    }

    fn with_server<T>(&mut self, server: u32, run: impl FnOnce(&mut Server, &mut Surroundings<'_>) -> T) -> T {
        let (queue, network, trace) = (&mut self.queue, &mut self.network, &mut self.trace);
        let mut around = Surroundings { queue, network, names: &self.names, trace, watch: &self.watch };
        run(&mut self.servers[server as usize], &mut around)
    }

    fn strike(&mut self, index: usize) {
        if self.healed {
            return;
        }
        let planned = self.plan.faults[index];
        let now = self.queue.now();
        self.faults_over = self.faults_over.max(now + planned.fault.lasts());
        self.watch.struck(now, planned);
        match planned.fault {
            Fault::Crash { effects, down } => self.with_server(planned.server, |server, _| server.arm(effects, down)),
            Fault::DiskFull { lasts } => {
                self.with_server(planned.server, |server, _| server.set_full(true));
                self.queue.after(lasts, Event::FaultOver { index });
            }
            Fault::SlowDisk { lasts } => {
                self.with_server(planned.server, |server, _| server.set_slow(true));
                self.queue.after(lasts, Event::FaultOver { index });
            }
            Fault::BadReads { one_in, lasts } => {
                self.with_server(planned.server, |server, _| server.fail_reads(one_in));
                // A server that could not read may say so, with whatever it has begun before.
                self.hub.excuse_faults_until(now + lasts + self.plan.options.longest_answer());
                self.queue.after(lasts, Event::FaultOver { index });
            }
            Fault::ClockJump { millis } => {
                self.with_server(planned.server, |server, around| server.jump(around, millis));
            }
            Fault::KeyRotation { down } => {
                let seed = self.plan.options.seed;
                self.with_server(planned.server, |server, around| server.rotate_key(around, seed, down));
            }
            Fault::WrongKeys { wrong, lasts } => {
                self.servers[planned.server as usize].key_server.strike(wrong, now + lasts);
            }
            Fault::OlderStore { down, .. } => self.restore(index, planned.server, down),
            Fault::Outage { lasts } => self.network.outage(planned.server, now + lasts),
            fault => {
                self.names.strike(planned.server, fault, now);
                self.network.links.strike(planned.server, fault, now);
            }
        }
    }

    /// Restores the backup that was taken for the fault of this number, if one was.
    fn restore(&mut self, index: usize, number: u32, down: Span) {
        let now = self.queue.now();
        // Of a liar's disk nothing is checked.
        let Some(backup) = self.backups.of(index).filter(|_| self.plan.options.is_honest(number)) else { return };
        let taken = backup.1;
        self.with_server(number, |server, around| server.restore(around, backup, down));
        self.director.restored(number, taken, now);
    }

    fn end_fault(&mut self, index: usize) {
        let planned = self.plan.faults[index];
        self.with_server(planned.server, |server, _| match planned.fault {
            Fault::DiskFull { .. } => server.set_full(false),
            Fault::SlowDisk { .. } => server.set_slow(false),
            Fault::BadReads { .. } => server.fail_reads(0),
            _ => {}
        });
    }

    fn come(&mut self, wait: crate::tasks::WaitId, come: Come) {
        let ready = self.hub.come(wait, come);
        self.poll(ready.into_iter().collect());
    }

    fn poll(&mut self, mut ready: Vec<TaskId>) {
        while let Some(task) = ready.pop() {
            ready.extend(self.tasks.poll(&self.hub, task));
        }
    }

    /// Does what tasks have asked for.
    fn obey(&mut self) {
        while let Some(command) = self.hub.next_command() {
            match command {
                Command::Sleep { wait, until } => self.queue.at(until, Event::Elapsed { wait }),
                Command::Exchange { wait, server, request, patience } => {
                    let client = Caller::Client(wait);
                    let exchange = self.network.send(&mut self.queue, client, server, request, patience);
                    self.watch.asked(self.queue.now(), exchange, || self.tasks.waiter(&self.hub, wait));
                }
                Command::Spawn { task, name, future } => {
                    let ready = self.tasks.start(&self.hub, task, name, future);
                    self.poll(ready);
                }
                Command::SignedUp => self.backups.begin(&self.plan.faults, &self.servers, self.queue.now()),
                Command::Heal => {
                    self.healed = true;
                    self.healed_at = Some(self.queue.now());
                    self.watch.record(self.queue.now(), |recording| recording.healed = Some(self.queue.now()));
                    self.network.heal();
                    self.names.heal();
                    self.servers.iter_mut().for_each(Server::heal);
                    // Whoever is away for hours comes back.
                    for server in 0..self.plan.options.servers {
                        self.queue.after(Span::millis(50), Event::Start { server });
                    }
                }
                Command::Crash { server } => {
                    self.with_server(server, |server, around| server.crash(around, Span::millis(50), "to look"));
                }
            }
        }
    }
}

/// The name of server `number`.
#[must_use]
pub fn server_name(number: u32) -> String {
    format!("s{number}.test")
}

/// The number of the server of this name.
#[must_use]
pub fn server_number(name: &str) -> Option<u32> {
    name.strip_prefix('s')?.strip_suffix(".test")?.parse().ok()
}

fn server_config(plan: &Plan, number: u32) -> Config {
    let name = ServerName::try_from(server_name(number)).expect("the names of virtual servers are server names");
    let mut config = Config::new(name, keys::config(plan.options.seed, number, 0));
    config.federation.keys_lifetime = core::time::Duration::from_micros(plan.options.host.keys_lifetime.0);
    config.registration.open = true;
    // The least that argon2 has: passwords are not what worlds are for.
    config.password_cost = PasswordCost { memory_kib: 8, passes: 1, lanes: 1 };
    let lifetime = plan.options.clients.token_lifetime;
    config.sessions.refreshable_access_token_lifetime = Some(core::time::Duration::from_micros(lifetime.0));
    config.rate_limits.enabled = false;
    config.presence = true;
    // The keys of a server that cannot be reached are to be had from another: without them a room's state has holes until it can be,
    // which differ from server to server. Whom one believes about others' keys, one has chosen well.
    let notaries = plan.options.honest().filter(|_| plan.options.host.notaries);
    let others = notaries.filter(|other| *other != number).map(server_name);
    config.federation.notaries = others.filter_map(|name| ServerName::try_from(name).ok()).collect();
    config
}
