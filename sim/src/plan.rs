//! The plan: everything that a seed decides beforehand, spelled out. What is left to chance while it runs (latencies,
//! losses) comes from streams of the same seed.

mod file;

use serde::{Deserialize, Serialize};

use crate::byzantine::{PlannedAttack, draw_attacks};
use crate::clock::{Span, Time};
use crate::draw::stream;
use crate::options::{Options, Overrides};
use crate::workload::{PlannedOp, draw_ops};

pub use file::{BadPlan, VERSION};

/// Something that goes wrong with a server or around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Fault {
    /// The server carries out `effects` more effects, then crashes and stays down.
    Crash {
        effects: u64,
        down: Span,
    },
    /// Commits fail. The host's answer to that is to crash and start again.
    DiskFull {
        lasts: Span,
    },
    SlowDisk {
        lasts: Span,
    },
    /// One read in so many fails.
    BadReads {
        one_in: u64,
        lasts: Span,
    },
    /// The server's clock jumps.
    ClockJump {
        millis: i64,
    },
    /// Nothing gets through to the server or from it.
    Outage {
        lasts: Span,
    },
    /// Nothing gets to the server from another one, nor back unless it is `one_way`.
    Partition {
        from: u32,
        one_way: bool,
        lasts: Span,
    },
}

impl Fault {
    /// How long after it strikes it is over.
    #[must_use]
    pub fn lasts(self) -> Span {
        match self {
            Fault::Crash { down, .. } => down,
            Fault::ClockJump { .. } => Span(0),
            Fault::DiskFull { lasts }
            | Fault::SlowDisk { lasts }
            | Fault::BadReads { lasts, .. }
            | Fault::Outage { lasts }
            | Fault::Partition { lasts, .. } => lasts,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFault {
    pub at: Time,
    pub server: u32,
    pub fault: Fault,
}

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
            Fault::Partition { from, .. } => options.check_server(from),
            _ => Ok(()),
        }
    }
}

fn draw_faults(options: &Options) -> Vec<PlannedFault> {
    let mut draw = stream(options.seed, "faults");
    let counts = options.faults;
    let lasts = (Span::millis(10), Span::secs(10));
    let mut faults = Vec::new();
    let mut add = |count: u32, fault: &mut dyn FnMut(&mut crate::draw::Draw) -> Fault| {
        for _ in 0..count {
            let at = Time(draw.below(options.horizon.0));
            let server = u32::try_from(draw.below(u64::from(options.servers))).expect("servers are few");
            faults.push(PlannedFault { at, server, fault: fault(&mut draw) });
        }
    };
    add(counts.crashes, &mut |draw| Fault::Crash {
        effects: draw.below(12),
        down: draw.span(Span::millis(1), Span::secs(5)),
    });
    add(counts.disk_full, &mut |draw| Fault::DiskFull { lasts: draw.span(lasts.0, lasts.1) });
    add(counts.slow_disk, &mut |draw| Fault::SlowDisk { lasts: draw.span(lasts.0, lasts.1) });
    add(counts.bad_reads, &mut |draw| Fault::BadReads {
        one_in: draw.between(2, 300),
        lasts: draw.span(lasts.0, lasts.1),
    });
    add(counts.clock_jumps, &mut |draw| {
        // Backwards at most a second: that far a host lets its clock be corrected while it runs.
        Fault::ClockJump { millis: i64::try_from(draw.below(61_000)).expect("a minute fits") - 1_000 }
    });
    add(counts.outages, &mut |draw| Fault::Outage { lasts: draw.span(lasts.0, lasts.1) });
    add(counts.partitions, &mut |draw| Fault::Partition {
        from: u32::try_from(draw.below(u64::from(options.servers))).expect("servers are few"),
        one_way: draw.chance(300),
        lasts: draw.span(lasts.0, Span::secs(60)),
    });
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
