//! `orrery-sim sweep`: many worlds, each on a thread of its own choosing, with nothing shared between them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;

use super::Fixed;
use super::output::{COMMIT, say, show_progress};
use super::stopwatch::Stopwatch;
use crate::failure::Kind;
use crate::plan::Plan;
use crate::runner;
use crate::study::runs::Shard;
use crate::trace::hex;
use crate::world::{Counts, Extras, Outcome};

#[derive(Debug, Args)]
pub struct Sweep {
    /// From A up to, not including, B
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// Threads [default: one per core]
    #[arg(long, value_name = "J")]
    jobs: Option<NonZeroUsize>,
    /// Only every N-th seed, from the I-th on, with I from 0: for clusters
    #[arg(long, value_name = "I/N", value_parser = Shard::parse)]
    shard: Option<Shard>,
    #[command(flatten)]
    fixed: Fixed,
    /// Runs each seed twice and compares
    #[arg(long)]
    twice: bool,
    /// Prints `SEED HASH` for each seed, in order, to compare with another build
    #[arg(long)]
    hashes: bool,
    /// Stops after so many failures
    #[arg(long, value_name = "N", default_value_t = 10)]
    failures: usize,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parts.filter(|range| !range.is_empty()).ok_or_else(|| "seeds are a range such as 0..1000".to_owned())
}

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(500);

impl Sweep {
    pub fn execute(&self) -> u8 {
        let jobs = self.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let next = AtomicU64::new(self.first());
        let stop = AtomicBool::new(false);
        let (sender, receiver) = mpsc::channel();
        let began = Stopwatch::start();
        let mut tally = Tally::new(self);
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                let (sender, next, stop) = (sender.clone(), &next, &stop);
                scope.spawn(move || self.work(next, stop, &sender));
            }
            drop(sender);
            let mut shown = began;
            for (seed, outcome) in receiver {
                tally.take(seed, &outcome);
                if tally.failures.len() >= self.failures {
                    stop.store(true, Ordering::Relaxed);
                }
                if shown.elapsed() >= PROGRESS {
                    shown = Stopwatch::start();
                    tally.progress(began);
                }
            }
        });
        tally.end(began)
    }

    fn first(&self) -> u64 {
        self.seeds.start + self.shard.unwrap_or(Shard::ALL).index as u64
    }

    /// From one seed to the next.
    fn step(&self) -> u64 {
        self.shard.unwrap_or(Shard::ALL).count as u64
    }

    /// Runs seeds until there are no more.
    fn work(&self, next: &AtomicU64, stop: &AtomicBool, results: &mpsc::Sender<(u64, Outcome)>) {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(self.step(), Ordering::Relaxed);
            if seed >= self.seeds.end {
                return;
            }
            let plan = Plan::draw(seed, self.fixed.overrides());
            let outcome = match self.twice {
                true => runner::run_twice(&plan, Extras::default),
                false => runner::run(&plan, Extras::default()),
            };
            if results.send((seed, outcome)).is_err() {
                return;
            }
        }
    }
}

/// The results so far.
struct Tally<'s> {
    sweep: &'s Sweep,
    done: u64,
    failures: BTreeMap<u64, Kind>,
    /// Hashes that wait for those of smaller seeds.
    hashes: BTreeMap<u64, [u8; 32]>,
    next_hash: u64,
    inputs: u64,
    crashes: u64,
    virtual_secs: u64,
    acknowledged: u64,
    unrecognized: u64,
}

impl<'s> Tally<'s> {
    fn new(sweep: &'s Sweep) -> Tally<'s> {
        Tally {
            sweep,
            done: 0,
            failures: BTreeMap::new(),
            hashes: BTreeMap::new(),
            next_hash: sweep.first(),
            inputs: 0,
            crashes: 0,
            virtual_secs: 0,
            acknowledged: 0,
            unrecognized: 0,
        }
    }

    fn take(&mut self, seed: u64, outcome: &Outcome) {
        self.done += 1;
        let Counts { inputs, crashes, virtual_time, work, .. } = outcome.counts;
        self.inputs += inputs;
        self.crashes += crashes;
        self.virtual_secs += virtual_time.0 / 1_000_000;
        self.acknowledged += work.acknowledged;
        self.unrecognized += work.unrecognized;
        if let Some(failure) = &outcome.failure {
            self.failures.insert(seed, failure.kind);
            self.clear_progress();
            let replay = self.sweep.fixed.replay();
            say(&format!("orrery-sim run --seed {seed}{replay} # at {COMMIT}: {failure}"));
        }
        if self.sweep.hashes {
            self.hashes.insert(seed, outcome.hash);
            while let Some(hash) = self.hashes.remove(&self.next_hash) {
                say(&format!("{} {}", self.next_hash, hex(&hash)));
                self.next_hash += self.sweep.step();
            }
        }
    }

    fn clear_progress(&self) {
        if !self.sweep.quiet {
            show_progress("");
        }
    }

    fn progress(&self, began: Stopwatch) {
        if self.sweep.quiet {
            return;
        }
        let total = self.sweep.seeds.end.saturating_sub(self.sweep.first()).div_ceil(self.sweep.step());
        let elapsed = began.elapsed();
        let left = elapsed.as_millis() * u128::from(total - self.done) / u128::from(self.done.max(1));
        let line = format!(
            "{}/{total} seeds, {} failures, {} s, {} s left",
            self.done,
            self.failures.len(),
            elapsed.as_secs(),
            left / 1_000
        );
        show_progress(&line);
    }

    /// The last lines, and the exit code.
    fn end(&self, began: Stopwatch) -> u8 {
        self.clear_progress();
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let line = format!(
            "{} seeds, {} failures, {} crashes, {} operations ({} without endpoint), {} inputs, {} s of virtual time in {}.{:03} s",
            self.done,
            self.failures.len(),
            self.crashes,
            self.acknowledged,
            self.unrecognized,
            self.inputs,
            self.virtual_secs,
            millis / 1_000,
            millis % 1_000,
        );
        let _ = writeln!(std::io::stderr(), "{line}");
        self.failures.values().next().map_or(0, |kind| kind.exit_code())
    }
}
