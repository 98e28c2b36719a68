//! `orrery-sim shrink`: the smallest plan that fails in the same way.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};

use super::Fixed;
use super::output::{COMMIT, complain, say, show_progress};
use super::stopwatch::Stopwatch;
use crate::clock::Span;
use crate::plan::Plan;
use crate::shrink::{Effort, Shrunk, failure_of, shrink};

#[derive(Debug, Args)]
pub struct Shrink {
    /// A plan that fails, as `run --save` writes it
    #[arg(required_unless_present = "seed", conflicts_with_all = ["seed", "Fixed"])]
    file: Option<PathBuf>,
    /// Or the seed of one
    #[arg(long, value_name = "S", value_parser = value_parser!(u64).range(..1 << 63))]
    seed: Option<u64>,
    #[command(flatten)]
    fixed: Fixed,
    /// Where the plan goes
    #[arg(short, long, value_name = "FILE", default_value = "shrunk.toml")]
    out: PathBuf,
    /// Tries for so long (`90s`, `5min`), or so many plans (`2000`, which gives the same on every machine) [default: until nothing
    /// gets smaller]
    #[arg(long, value_name = "BUDGET", value_parser = parse_budget)]
    budget: Option<Budget>,
    /// Threads; they make no difference to the result [default: one per core]
    #[arg(long, value_name = "J")]
    jobs: Option<NonZeroUsize>,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug)]
enum Budget {
    Time(Duration),
    Plans(u64),
}

fn parse_budget(text: &str) -> Result<Budget, String> {
    if let Ok(plans) = text.parse() {
        return Ok(Budget::Plans(plans));
    }
    let span = text.parse::<Span>().map_err(|error| format!("{error}, nor is it a number of plans"))?;
    Ok(Budget::Time(Duration::from_micros(span.0)))
}

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(300);

/// The exit code when there is nothing to shrink.
const PASSES: u8 = 1;

impl Shrink {
    pub fn execute(&self) -> u8 {
        let (plan, source) = match (&self.file, self.seed) {
            (Some(file), _) => match super::replay::read(file) {
                Ok(plan) => (plan, file.display().to_string()),
                Err(code) => return code,
            },
            (None, seed) => {
                let seed = seed.unwrap_or_default();
                let plan = Plan::draw(seed, self.fixed.overrides());
                (plan, format!("--seed {seed}{}", self.fixed.replay()))
            }
        };
        let Some(failure) = failure_of(&plan) else {
            say(&format!("{source} passes: there is nothing to shrink"));
            return PASSES;
        };
        let began = Stopwatch::start();
        let shown = Cell::new(began);
        let effort = Effort {
            jobs: self.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get),
            goes_on: &|tried| match self.budget {
                None => true,
                Some(Budget::Time(time)) => began.elapsed() < time,
                Some(Budget::Plans(plans)) => tried < plans,
            },
            progress: &|tried, best| {
                if !self.quiet && shown.get().elapsed() >= PROGRESS {
                    shown.set(Stopwatch::start());
                    show_progress(&format!("{tried} plans, {} s: {}", began.elapsed().as_secs(), size(best)));
                }
            },
        };
        let shrunk = shrink(&plan, failure, &effort);
        if !self.quiet {
            show_progress("");
        }
        if let Err(error) = std::fs::write(&self.out, self.text(&plan, &source, &shrunk)) {
            return complain(&self.out, &error);
        }
        say(&format!(
            "from {}\nto   {}, after {} plans in {} s\nfailure {}\ncommit {COMMIT}\nreplay {}",
            size(&plan),
            size(&shrunk.plan),
            shrunk.tried,
            began.elapsed().as_secs(),
            shrunk.failure,
            self.replay()
        ));
        0
    }

    fn replay(&self) -> String {
        format!("orrery-sim replay {}", self.out.display())
    }

    /// The plan, with what a person wants to know on top.
    fn text(&self, plan: &Plan, source: &str, shrunk: &Shrunk) -> String {
        let evidence = shrunk.failure.to_string().replace('\n', "\n# ");
        format!(
            "# {evidence}\n#\n# Shrunk from {source} ({}), at commit {COMMIT}.\n# Replay: {}\n\n{}",
            size(plan),
            self.replay(),
            shrunk.plan.to_toml()
        )
    }
}

fn size(plan: &Plan) -> String {
    let counts = [
        (plan.options.servers as usize, "servers"),
        (plan.options.clients.devices.len(), "devices"),
        (plan.ops.len(), "operations"),
        (plan.faults.len(), "faults"),
        (plan.attacks.len(), "attacks"),
    ];
    counts.map(|(count, what)| format!("{count} {what}")).join(", ")
}
