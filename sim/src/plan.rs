//! The plan: everything that a seed decides beforehand, spelled out. What is left to chance while it runs (latencies,
//! losses) comes from streams of the same seed.

mod file;

use crate::byzantine::{PlannedAttack, draw_attacks};
use crate::clock::{Span, Time};
use crate::draw::{Draw, stream};
use crate::key_server::WrongKeys;
use crate::names::{Way, Wrong};
use crate::options::{LONGEST_ABSENCE, LONGEST_STEP, Options, Overrides};
use crate::workload::{PlannedOp, draw_ops};

pub use crate::fault::{Fault, PlannedFault};
pub use file::{BadPlan, VERSION};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub options: Options,
    pub ops: Vec<PlannedOp>,
    pub faults: Vec<PlannedFault>,
    pub attacks: Vec<PlannedAttack>,
}

impl Plan {
    #[must_use]
    pub fn draw(seed: u64, overrides: Overrides) -> Plan {
        Plan::of(Options::draw(seed, overrides))
    }

    /// The plan that the options' seed makes of them.
    #[must_use]
    pub fn of(options: Options) -> Plan {
        let (ops, faults, attacks) = (draw_ops(&options), draw_faults(&options), draw_attacks(&options));
        Plan { options, ops, faults, attacks }
    }
}

impl PlannedFault {
    /// Whether the world has what the fault names.
    ///
    /// # Errors
    /// What it does not have.
    pub fn check(&self, options: &Options) -> Result<(), String> {
        options.check_server(self.server)?;
        match self.fault {
            Fault::Partition { from, .. } | Fault::Flapping { from, .. } => options.check_server(from),
            _ => Ok(()),
        }
    }
}

fn draw_faults(options: &Options) -> Vec<PlannedFault> {
    let mut faults = Vec::new();
    draw_faults_of_servers(options, &mut faults);
    draw_faults_of_links(options, &mut faults);
    draw_faults_of_clocks(options, &mut faults);
    draw_faults_of_keys(options, &mut faults);
    draw_restored_backups(options, &mut faults);
    faults.extend(partition(options));
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// The partition that the options ask for: nothing gets from one half of the servers to the other, nor back.
fn partition(options: &Options) -> impl Iterator<Item = PlannedFault> {
    let (at, lasts) = (Time(0) + options.partition.at, options.partition.lasts);
    let half = if lasts > Span(0) { options.servers / 2 } else { 0 };
    let (servers, fault) = (options.servers, move |from| Fault::Partition { from, one_way: false, lasts });
    let of_each = move |server| (half..servers).map(move |from| PlannedFault { at, server, fault: fault(from) });
    (0..half).flat_map(of_each)
}

/// Adds so many faults, each of some server at some time.
fn add(
    (options, draw, faults): (&Options, &mut Draw, &mut Vec<PlannedFault>),
    count: u32,
    fault: impl Fn(&mut Draw) -> Fault,
) {
    for _ in 0..count {
        let at = Time(draw.below(options.horizon.0));
        let server = a_server(draw, options);
        faults.push(PlannedFault { at, server, fault: fault(draw) });
    }
}

fn a_server(draw: &mut Draw, options: &Options) -> u32 {
    u32::try_from(draw.below(u64::from(options.servers))).expect("servers are few")
}

fn draw_faults_of_servers(options: &Options, faults: &mut Vec<PlannedFault>) {
    let mut draw = stream(options.seed, "faults");
    let counts = options.faults;
    let lasts = (Span::millis(10), Span::secs(10));
    let mut add = |count, fault: &dyn Fn(&mut Draw) -> Fault| add((options, &mut draw, faults), count, fault);
    add(counts.crashes, &|draw| Fault::Crash {
        effects: draw.below(12),
        down: draw.span(Span::millis(1), Span::secs(5)),
    });
    add(counts.disk_full, &|draw| Fault::DiskFull { lasts: draw.span(lasts.0, lasts.1) });
    add(counts.slow_disk, &|draw| Fault::SlowDisk { lasts: draw.span(lasts.0, lasts.1) });
    add(counts.bad_reads, &|draw| Fault::BadReads { one_in: draw.between(2, 300), lasts: draw.span(lasts.0, lasts.1) });
    add(counts.clock_jumps, &|draw| {
        // Backwards at most a second, as clocks are corrected all the time.
        Fault::ClockJump { millis: i64::try_from(draw.below(61_000)).expect("a minute fits") - 1_000 }
    });
    add(counts.outages, &|draw| Fault::Outage { lasts: draw.span(lasts.0, lasts.1) });
    add(counts.partitions, &|draw| Fault::Partition {
        from: a_server(draw, options),
        one_way: draw.chance(300),
        lasts: draw.span(lasts.0, Span::secs(60)),
    });
}

fn draw_faults_of_links(options: &Options, faults: &mut Vec<PlannedFault>) {
    let mut draw = stream(options.seed, "faults of links");
    let counts = options.faults;
    let mut add = |count, fault: &dyn Fn(&mut Draw) -> Fault| add((options, &mut draw, faults), count, fault);
    add(counts.flapping, &|draw| Fault::Flapping {
        from: a_server(draw, options),
        one_way: draw.chance(300),
        period: draw.span(Span::millis(10), Span::secs(5)),
        lasts: draw.span(Span::secs(1), Span::secs(60)),
    });
    add(counts.splits, &|draw| {
        let islands = u32::try_from(draw.between(2, 4)).expect("islands are few");
        // Either the islands are in a row, or neighbours are apart.
        let stride = if draw.chance(500) { options.servers.div_ceil(islands) } else { 1 };
        let one_way = draw.chance(200);
        Fault::Split { islands, stride, one_way, lasts: draw.span(Span::secs(1), Span::secs(120)) }
    });
    add(counts.key_rotations, &|draw| Fault::KeyRotation { down: draw.span(Span::millis(50), Span::secs(20)) });
    add(counts.moves, &|draw| Fault::Move { way: Way::draw(draw) });
    add(counts.wrong_well_knowns, &|draw| Fault::WrongWellKnown {
        wrong: Wrong::draw(draw),
        lasts: draw.span(Span::secs(1), Span::secs(120)),
    });
    add(counts.no_names, &|draw| Fault::NoNames { lasts: draw.span(Span::secs(1), Span::secs(60)) });
    for _ in 0..counts.absences {
        // It is over before the world is healed, and people get done what waited for it.
        let at = Time(draw.below(options.horizon.0.saturating_sub(LONGEST_ABSENCE.0).max(1)));
        let server = a_server(&mut draw, options);
        let lasts = draw.span(Span::secs(1_800), LONGEST_ABSENCE);
        let alone = draw.chance(500);
        let fault = if alone { Fault::Isolation { lasts } } else { Fault::Crash { effects: 0, down: lasts } };
        faults.push(PlannedFault { at, server, fault });
    }
}

fn draw_faults_of_clocks(options: &Options, faults: &mut Vec<PlannedFault>) {
    let mut draw = stream(options.seed, "faults of clocks");
    add((options, &mut draw, faults), options.faults.clock_steps, |draw| {
        let longest = if draw.chance(500) { Span::secs(600) } else { LONGEST_STEP };
        let millis = draw.span(Span::secs(1), longest).0 / 1_000;
        let millis = i64::try_from(millis).expect("hours fit");
        Fault::ClockJump { millis: if draw.chance(500) { millis } else { -millis } }
    });
}

fn draw_faults_of_keys(options: &Options, faults: &mut Vec<PlannedFault>) {
    let mut draw = stream(options.seed, "faults of keys");
    add((options, &mut draw, faults), options.faults.wrong_keys, |draw| Fault::WrongKeys {
        wrong: WrongKeys::draw(draw),
        lasts: draw.span(Span::secs(1), Span::secs(600)),
    });
}

fn draw_restored_backups(options: &Options, faults: &mut Vec<PlannedFault>) {
    let mut draw = stream(options.seed, "older stores");
    add((options, &mut draw, faults), options.faults.older_stores, |draw| Fault::OlderStore {
        age: draw.span(Span::secs(1), Span(options.horizon.0.max(Span::secs(2).0))),
        down: draw.span(Span::secs(1), Span::secs(10)),
    });
}
