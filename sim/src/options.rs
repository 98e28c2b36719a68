//! Options: what kind of world a seed makes. Each seed draws its own mix of faults and work (swarm testing), so that some
//! worlds lack what in others hides a bug.

use orrery_core::room_version::RoomVersion;
use serde::{Deserialize, Serialize};

use crate::byzantine::{ByzantineOptions, draw_liars};
use crate::clock::Span;
use crate::draw::{Draw, Latency, stream};
use crate::links::LinkOptions;
use crate::names::{LONGEST_MISTAKE, Way};
use crate::network::NetworkOptions;
use crate::server::{HostOptions, SLOW_DISK};
use crate::storage::{Lie, Visibility};
use crate::workload::{Family, OpKind};

/// What the command line fixes; the seed decides the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The least and the most servers: the seed draws between them. One server without this.
    pub servers: Option<(u32, u32)>,
    /// The least and the most of them that lie. None without this.
    pub byzantine: Option<(u32, u32)>,
    pub crashes: Option<u32>,
    pub older_stores: Option<u32>,
    pub clients: Option<u32>,
    pub steps: Option<u32>,
    pub room_version: Option<RoomVersion>,
    pub lie: Option<Lie>,
}

/// How many of each fault strike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultOptions {
    pub crashes: u32,
    pub disk_full: u32,
    pub slow_disk: u32,
    pub bad_reads: u32,
    pub clock_jumps: u32,
    /// Clocks that are set by minutes or hours, forth or back.
    pub clock_steps: u32,
    pub outages: u32,
    pub partitions: u32,
    /// Links that are up and down in short intervals.
    pub flapping: u32,
    /// Splits of all servers into islands.
    pub splits: u32,
    /// Servers that are away for hours.
    pub absences: u32,
    pub key_rotations: u32,
    /// Servers whose operators restore a backup.
    pub older_stores: u32,
    /// Servers that do not give their signing keys to those who ask.
    pub wrong_keys: u32,
    /// Servers that move to another name and port.
    pub moves: u32,
    pub wrong_well_knowns: u32,
    /// Servers of which DNS says nothing.
    pub no_names: u32,
}

/// A partition between the first half of the servers and the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartitionOptions {
    pub at: Span,
    /// There is none if this is zero.
    pub lasts: Span,
}

/// How virtual clients are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientOptions {
    /// The user of each device.
    pub devices: Vec<u32>,
    /// How many things a device does at once, besides its sync.
    pub lanes: u32,
    /// How many of 1000 requests get only [`ClientOptions::short_patience`].
    pub impatient: u64,
    pub short_patience: Span,
    /// How many of 1000 long polls are given up early.
    pub reconnect: u64,
    /// How long polls ask the server to wait, in milliseconds; drawn anew for each.
    pub sync_timeouts: Vec<u64>,
    /// How many of 1000 syncs ask for the full state.
    pub full_state: u64,
    /// The timeline limits of filters; each device draws one.
    pub timeline_limits: Vec<u64>,
    /// How many of 1000 devices load members lazily.
    pub lazy_members: u64,
    /// How many of 1000 devices ask for `state_after`.
    pub state_after: u64,
    /// How many of 1000 devices have tokens that expire.
    pub refreshes: u64,
    /// After how long they expire.
    pub token_lifetime: Span,
    /// How many public rooms there are in which everybody is from the beginning. If there are any, nobody makes others before the rest
    /// begins.
    pub meetings: u32,
    /// The version of all rooms; without it, each has its own.
    pub room_version: Option<RoomVersion>,
    /// How long it takes at most until a poll tells what was acknowledged.
    pub wake_up: Span,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    pub seed: u64,
    pub servers: u32,
    pub steps: u32,
    /// Over how long the steps and the faults are spread.
    pub horizon: Span,
    pub weights: Vec<(OpKind, u64)>,
    /// How many operations of other families there are for each 1000 of [`Family::Rooms`].
    pub shares: Vec<(Family, u64)>,
    pub clients: ClientOptions,
    pub faults: FaultOptions,
    pub host: HostOptions,
    pub network: NetworkOptions,
    /// A partition at a given time.
    pub partition: PartitionOptions,
    /// How each server is found; by its name if this says nothing of it.
    pub ways: Vec<Way>,
    /// The servers that lie, by number.
    pub byzantine: Vec<ByzantineOptions>,
}

/// The calmest of worlds. What a plan file leaves out is as it is here: an option that is added later has here the value that
/// leaves older plans what they are.
impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 0,
            servers: 1,
            steps: 0,
            horizon: Span::secs(10),
            weights: Vec::new(),
            shares: Vec::new(),
            clients: ClientOptions::default(),
            faults: FaultOptions::default(),
            host: HostOptions::default(),
            network: NetworkOptions::default(),
            partition: PartitionOptions::default(),
            ways: Vec::new(),
            byzantine: Vec::new(),
        }
    }
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            devices: vec![0],
            lanes: 1,
            impatient: 0,
            short_patience: Span::secs(1),
            reconnect: 0,
            sync_timeouts: vec![30_000],
            full_state: 0,
            timeline_limits: vec![20],
            lazy_members: 0,
            state_after: 0,
            refreshes: 0,
            token_lifetime: Span::secs(300),
            meetings: 0,
            room_version: None,
            wake_up: Span::secs(60),
        }
    }
}

impl ClientOptions {
    /// The version of a room to be made.
    #[must_use]
    pub fn room_version(&self, pick: u32) -> &'static str {
        match self.room_version {
            Some(version) => version.as_str(),
            None => ROOM_VERSIONS[pick as usize % ROOM_VERSIONS.len()],
        }
    }
}

/// The room versions that rooms are made in.
const ROOM_VERSIONS: [&str; 8] = ["12", "12", "11", "10", "9", "6", "3", "1"];

impl Options {
    #[must_use]
    pub fn draw(seed: u64, overrides: Overrides) -> Options {
        let mut draw = stream(seed, "options");
        let mut options = Options {
            seed,
            servers: 1,
            steps: some(&mut draw, 40, 300),
            horizon: draw.span(Span::secs(5), Span::secs(120)),
            weights: weights(seed, &mut draw),
            shares: shares(seed),
            clients: clients(&mut draw),
            faults: faults(&mut draw),
            host: host(&mut draw),
            network: network(&mut draw),
            partition: PartitionOptions::default(),
            ways: Vec::new(),
            byzantine: Vec::new(),
        };
        options.clients.wake_up = options.longest_wake_up();
        if let Some((least, most)) = overrides.servers {
            options.federate(least, most);
        }
        options.set_clocks();
        options.faults.older_stores = some_of(maybe(&mut stream(seed, "restored backups"), 80, 2));
        if options.is_federated() {
            options.hide_keys();
        }
        if let Some((least, most)) = overrides.byzantine {
            let mut draw = stream(seed, "byzantine");
            let count = some(&mut draw, u64::from(least), u64::from(most.max(least)));
            options.byzantine = draw_liars(&mut draw, count, options.servers);
        }
        // After all draws, so that an override changes nothing but itself.
        if let Some(crashes) = overrides.crashes {
            options.faults.crashes = crashes;
        }
        if let Some(older_stores) = overrides.older_stores {
            options.faults.older_stores = older_stores;
        }
        if let Some(clients) = overrides.clients {
            options.clients.devices = devices(&mut stream(seed, "devices"), clients.max(1));
        }
        if let Some(steps) = overrides.steps {
            options.steps = steps;
        }
        options.clients.room_version = overrides.room_version;
        if let Some(lie) = overrides.lie {
            options.host.lie = lie;
        }
        options
    }
}

impl Options {
    /// Spreads the world over some servers. What else it draws is what it draws with one.
    fn federate(&mut self, least: u32, most: u32) {
        let mut draw = stream(self.seed, "federation");
        self.servers = some(&mut draw, u64::from(least.max(1)), u64::from(most.max(least)));
        self.faults.partitions = if self.servers > 1 { some(&mut draw, 0, 6) } else { 0 };
        // At least one person on each server: one without anybody has nothing to say.
        let count = self.servers.max(u32::try_from(self.clients.devices.len()).expect("counts are small"));
        let users = count.max(self.clients.devices.iter().max().map_or(0, |last| last + 1));
        let more = self.clients.devices.len() as u32..users;
        self.clients.devices.extend(more);
        if self.servers > 1 {
            self.spread();
        }
    }

    /// What there is only where servers are apart.
    fn spread(&mut self) {
        let mut draw = stream(self.seed, "topology");
        self.network.links = LinkOptions::draw(&mut draw);
        let mut count = |per_mille, high| u32::try_from(maybe(&mut draw, per_mille, high)).expect("counts are small");
        self.faults.flapping = count(300, 5);
        self.faults.splits = count(300, 3);
        self.faults.absences = count(100, 2);
        self.faults.key_rotations = count(300, 3);
        self.faults.moves = count(150, 2);
        self.faults.wrong_well_knowns = count(200, 2);
        self.faults.no_names = count(200, 2);
        if draw.chance(400) {
            self.ways = (0..self.servers).map(|_| Way::draw(&mut draw)).collect();
        }
        if draw.chance(300) {
            self.host.keys_lifetime = draw.span(Span::secs(120), Span::secs(3_600));
        }
        if self.faults.absences > 0 {
            // Hours are long enough for others to give a server up, and for it to have much to catch up with.
            self.horizon = self.horizon + LONGEST_ABSENCE + LONGEST_ABSENCE;
            self.clients.sync_timeouts = vec![30_000];
        }
        if self.servers > MANY_SERVERS {
            // A few rooms with people of many servers say more than many rooms with people of few.
            self.steps += self.servers * 4;
        }
    }

    /// In some worlds clocks are wrong by hours, run too fast or too slowly, or are set by hours while servers run.
    fn set_clocks(&mut self) {
        let mut draw = stream(self.seed, "clocks");
        let skew = draw.between(60_000, LONGEST_STEP.0 / 1_000);
        if draw.chance(120) {
            self.host.skew = skew;
        }
        self.host.drift = maybe(&mut draw, 120, 50_000);
        self.faults.clock_steps = some_of(maybe(&mut draw, 120, 3));
        if self.has_strange_clocks() {
            // By a clock that is hours ahead the keys of minutes ended hours ago, and they count for nothing there.
            self.host.keys_lifetime = HostOptions::default().keys_lifetime;
        }
    }

    /// Whether clocks are wrong by more than what people do not notice.
    #[must_use]
    pub fn has_strange_clocks(&self) -> bool {
        self.host.skew > 60_000 || self.host.drift > 0 || self.faults.clock_steps > 0
    }

    /// In some worlds the keys of servers cannot be had from them for a while, in others nobody but they has them to give.
    fn hide_keys(&mut self) {
        let mut draw = stream(self.seed, "key servers");
        self.faults.wrong_keys = some_of(maybe(&mut draw, 200, 4));
        // Where nobody else has them either, a kick that cannot be checked is lost, and whoever is out is told nothing more.
        self.host.notaries = !draw.chance(200) || self.faults.wrong_keys > 0;
    }

    /// How many operations of a family there are.
    #[must_use]
    pub fn steps_of(&self, family: Family) -> u32 {
        let share = self.shares.iter().find(|share| share.0 == family).map_or(1_000, |share| share.1);
        u32::try_from(u64::from(self.steps) * share / 1_000).expect("shares are small")
    }

    /// Whether there are other servers to talk with.
    #[must_use]
    pub fn is_federated(&self) -> bool {
        self.servers > 1
    }

    /// The servers that do not lie: the ones that anything is checked of.
    pub fn honest(&self) -> impl Iterator<Item = u32> {
        (0..self.servers).filter(|server| self.is_honest(*server))
    }

    #[must_use]
    pub fn is_honest(&self, server: u32) -> bool {
        self.byzantine.iter().all(|liar| liar.server != server)
    }

    /// Whether there can be such a world.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        let clients = &self.clients;
        let liars = self.byzantine.iter().map(|liar| self.check_server(liar.server)).collect::<Result<Vec<()>, _>>();
        let latencies = [self.host.disk, self.host.compute, self.host.query, self.network.latency];
        let rules = [
            (self.servers > 0, "there is no server"),
            (!clients.devices.is_empty(), "there is no device"),
            (!clients.sync_timeouts.is_empty(), "sync_timeouts is empty"),
            (!clients.timeline_limits.is_empty(), "timeline_limits is empty"),
            // Of two things at one moment nobody could say which was first.
            (self.network.latency.low > Span(0), "a network takes some time"),
            (self.host.group > 0, "a group of no batch is never written"),
            (latencies.iter().all(|latency| latency.low <= latency.high), "a latency is higher at least than at most"),
            (self.honest().next().is_some(), "no server is honest"),
        ];
        liars?;
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err((*what).to_owned()))
    }

    /// Whether there is a server of this number.
    ///
    /// # Errors
    /// If there is not.
    pub fn check_server(&self, number: u32) -> Result<(), String> {
        match number < self.servers {
            true => Ok(()),
            false => Err(format!("there is no server {number}: the world has {}", self.servers)),
        }
    }

    /// How long healed servers may take until they agree. Faults of minutes make them wait for minutes, and absences for as long as
    /// servers wait at most before they try another one again.
    #[must_use]
    pub fn convergence(&self) -> Span {
        let FaultOptions { absences, moves, wrong_well_knowns, .. } = self.faults;
        let is_lost = moves > 0 || wrong_well_knowns > 0;
        let pause = if absences > 0 || is_lost { LONGEST_PAUSE } else { Span::default() };
        // Whoever has moved is sought where it was for a while.
        let mistake = if is_lost { LONGEST_MISTAKE } else { Span::default() };
        let span = Span::secs(1_200) + pause + mistake;
        // Those whose clock was set back are slow until it comes up with them, and some are slow anyway.
        if self.has_strange_clocks() { span.times(2) } else { span }
    }

    /// How long an answer may be under way once the server has made it.
    #[must_use]
    pub fn longest_answer(&self) -> Span {
        self.longest_wake_up()
    }

    /// The poll's effect waits for all commits before it, then comes the query, then the way.
    #[must_use]
    pub fn longest_wake_up(&self) -> Span {
        let longest = |latency: Latency| latency.high.times(Latency::SLOW);
        let commits = self.clients.devices.len() * self.clients.lanes as usize * 2;
        let groups = commits.div_ceil(self.host.group) + 3;
        let group = longest(self.host.disk).times(SLOW_DISK);
        group.times(groups as u64) + longest(self.host.query) + longest(self.network.latency).times(2) + Span::secs(1)
    }
}

/// How long a server is away at most.
pub const LONGEST_ABSENCE: Span = Span::secs(2 * 3_600);

/// By how much a clock is set at most, and wrong at most when a server starts.
pub const LONGEST_STEP: Span = Span::secs(2 * 3_600);

/// The longest backoff (`MAX_FEDERATION_BACKOFF` in core) with its jitter.
const LONGEST_PAUSE: Span = Span::secs(75 * 60);

/// From so many servers on there is more to do than a few servers have.
const MANY_SERVERS: u32 = 10;

fn some(draw: &mut Draw, low: u64, high: u64) -> u32 {
    some_of(draw.between(low, high))
}

fn some_of(count: u64) -> u32 {
    u32::try_from(count).expect("counts are small")
}

/// Often nothing, else some.
fn maybe(draw: &mut Draw, per_mille: u64, high: u64) -> u64 {
    let some = draw.between(1, high);
    if draw.chance(per_mille) { some } else { 0 }
}

fn weights(seed: u64, draw: &mut Draw) -> Vec<(OpKind, u64)> {
    let mut weights = Vec::new();
    for family in Family::ALL {
        let mut own = stream(seed, &format!("weights of {family:?}"));
        let draw = if family == Family::Rooms { &mut *draw } else { &mut own };
        weights.extend(OpKind::ALL.into_iter().filter(|kind| kind.family() == family).map(|kind| {
            let weight = maybe(draw, 700, 10);
            // Without rooms and messages there is nothing to see.
            (kind, weight.max(kind.least_weight()))
        }));
    }
    weights
}

/// Some worlds have nothing of a family.
fn shares(seed: u64) -> Vec<(Family, u64)> {
    let others = Family::ALL.into_iter().filter(|family| *family != Family::Rooms);
    others.map(|family| (family, maybe(&mut stream(seed, &format!("share of {family:?}")), 700, 800))).collect()
}

/// The user of each of `count` devices; the first device of a user comes first.
fn devices(draw: &mut Draw, count: u32) -> Vec<u32> {
    let users = u64::from(count).div_ceil(draw.between(1, 3));
    (0..u64::from(count))
        .map(|device| if device < users { device } else { draw.below(users) })
        .map(|user| u32::try_from(user).expect("counts are small"))
        .collect()
}

fn clients(draw: &mut Draw) -> ClientOptions {
    let count = some(draw, 1, 8);
    let devices = devices(draw, count);
    ClientOptions {
        devices,
        lanes: some(draw, 1, 3),
        impatient: maybe(draw, 400, 200),
        short_patience: draw.span(Span::millis(1), Span::secs(1)),
        reconnect: maybe(draw, 500, 300),
        sync_timeouts: (0..3).map(|_| *draw.pick(&[0, 1, 50, 1_000, 10_000, 30_000])).collect(),
        full_state: maybe(draw, 300, 200),
        timeline_limits: (0..3).map(|_| *draw.pick(&[1, 2, 5, 10, 20, 100])).collect(),
        lazy_members: maybe(draw, 400, 1_000),
        state_after: maybe(draw, 300, 1_000),
        refreshes: maybe(draw, 400, 1_000),
        token_lifetime: *draw.pick(&[Span::secs(60), Span::secs(120), Span::secs(300)]),
        meetings: 0,
        room_version: None,
        wake_up: Span::default(),
    }
}

fn faults(draw: &mut Draw) -> FaultOptions {
    let mut count = |per_mille, high| u32::try_from(maybe(draw, per_mille, high)).expect("counts are small");
    FaultOptions {
        crashes: count(750, 8),
        disk_full: count(250, 2),
        slow_disk: count(300, 2),
        bad_reads: count(250, 2),
        clock_jumps: count(300, 3),
        outages: count(300, 3),
        ..FaultOptions::default()
    }
}

fn latency(draw: &mut Draw, fastest: Span, slowest: Span) -> Latency {
    let (a, b) = (draw.span(fastest, slowest), draw.span(fastest, slowest));
    Latency { low: a.min(b), high: a.max(b), slow: maybe(draw, 500, 100) }
}

fn host(draw: &mut Draw) -> HostOptions {
    HostOptions {
        disk: match draw.below(3) {
            0 => latency(draw, Span::micros(50), Span::micros(500)),
            1 => latency(draw, Span::millis(1), Span::millis(20)),
            _ => latency(draw, Span::millis(10), Span::millis(300)),
        },
        group: *draw.pick(&[1, 2, 8, 1_000]),
        visibility: if draw.chance(500) { Visibility::Early } else { Visibility::WhenDurable },
        survivors: maybe(draw, 700, 1_000),
        compute: latency(draw, Span::micros(10), Span::millis(100)),
        query: latency(draw, Span::micros(10), Span::millis(30)),
        late_queries: maybe(draw, 500, 1_000),
        late_drain: maybe(draw, 500, 800),
        skew: maybe(draw, 500, 60_000),
        drift: 0,
        keys_lifetime: HostOptions::default().keys_lifetime,
        notaries: true,
        lie: Lie::None,
    }
}

fn network(draw: &mut Draw) -> NetworkOptions {
    NetworkOptions {
        latency: match draw.below(2) {
            0 => latency(draw, Span::micros(50), Span::millis(2)),
            _ => latency(draw, Span::millis(1), Span::millis(150)),
        },
        request_loss: maybe(draw, 300, 50),
        reply_loss: maybe(draw, 400, 80),
        hangup: draw.between(0, 1_000),
        outlives_crash: draw.between(0, 1_000),
        links: LinkOptions::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_changes_nothing_but_itself() {
        for seed in 0..50 {
            let drawn = Options::draw(seed, Overrides::default());
            let overridden = Options::draw(seed, Overrides { crashes: Some(77), ..Overrides::default() });
            assert_eq!(overridden.faults.crashes, 77);
            let mut expected = drawn;
            expected.faults.crashes = 77;
            assert_eq!(overridden, expected);
        }
    }

    #[test]
    fn every_user_has_a_device() {
        for seed in 0..50 {
            for clients in 1..10 {
                let options = Options::draw(seed, Overrides { clients: Some(clients), ..Overrides::default() });
                let devices = options.clients.devices;
                assert_eq!(devices.len(), clients as usize);
                let users = devices.iter().max().unwrap() + 1;
                assert_eq!(devices[..users as usize], (0..users).collect::<Vec<_>>());
            }
        }
    }
}
