//! `orrery-sim run`: one world.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::Fixed;
use super::output::{complain, say, say_failure};
use crate::checkers::refusals;
use crate::clock::{Span, Time};
use crate::glance::Glance;
use crate::measures::Measures;
use crate::plan::Plan;
use crate::recorded;
use crate::runner;
use crate::trace::{Sink, WIDTH, hex};
use crate::world::{Extras, Outcome};

#[derive(Debug, Args)]
pub struct Run {
    /// Decides everything
    #[arg(long, value_name = "S", value_parser = value_parser!(u64).range(..1 << 63))]
    seed: u64,
    #[command(flatten)]
    fixed: Fixed,
    /// Prints what the seed drew
    #[arg(long)]
    plan: bool,
    /// Writes the plan that the seed drew to a file, for `replay` and for editing
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    show: Show,
}

/// How a world is run and shown.
#[derive(Debug, Args)]
pub struct Show {
    /// Prints a line per input and effect (the legend is in sim/README.md)
    #[arg(long)]
    trace: bool,
    /// Cuts the bodies in it to so many characters
    #[arg(long, value_name = "N", default_value_t = WIDTH)]
    width: usize,
    /// Prints what the world yields in numbers
    #[arg(long)]
    measures: bool,
    /// Shows only this server's lines of the trace
    #[arg(long, value_name = "N", requires = "trace")]
    server: Option<u32>,
    /// Stops at this time, such as 12.5s, and says what each server's rooms look like then
    #[arg(long, value_name = "TIME")]
    until: Option<Span>,
    /// Runs twice and compares
    #[arg(long)]
    twice: bool,
}

impl Run {
    pub fn execute(&self) -> u8 {
        let plan = Plan::draw(self.seed, self.fixed.overrides());
        if self.plan {
            say(&format!("{plan:#?}"));
        }
        if let Some(path) = &self.save
            && let Err(error) = std::fs::write(path, plan.to_toml())
        {
            return complain(path, &error);
        }
        self.show.run(&plan, &format!("orrery-sim run --seed {}{}", self.seed, self.fixed.replay()))
    }
}

impl Show {
    /// Runs the plan and prints how it went. `replay` is the command that does it again. The exit code.
    pub fn run(&self, plan: &Plan, replay: &str) -> u8 {
        let mut first = true;
        let extras = || {
            // Of two runs the first is shown.
            let shows = std::mem::take(&mut first);
            let tell: Box<dyn FnMut(&str)> = if shows { Box::new(say) } else { Box::new(|_| {}) };
            let glance = self.until.map(|until| Glance { until: Time(0) + until, tell });
            Extras {
                sink: self.sink().filter(|_| shows),
                width: self.width,
                glance,
                measure: self.measures,
                ..Extras::default()
            }
        };
        let outcome = if self.twice { runner::run_twice(plan, extras) } else { runner::run(plan, { extras }()) };
        report(plan.options.seed, &outcome);
        match &outcome.failure {
            None => 0,
            Some(failure) => {
                say_failure(failure, replay);
                failure.kind.exit_code()
            }
        }
    }
}

impl Show {
    /// How a recording is to be replayed. In error, the option that it has no use for.
    pub fn for_recording(&self) -> Result<recorded::Options, &'static str> {
        let unfit = [("--measures", self.measures), ("--twice", self.twice), ("--server", self.server.is_some())];
        match unfit.into_iter().find(|unfit| unfit.1) {
            Some((option, _)) => Err(option),
            None => Ok(recorded::Options { sink: self.sink(), width: self.width, until: self.until }),
        }
    }

    /// Where lines of the trace go, if any do.
    fn sink(&self) -> Option<Sink> {
        let of_server = self.server.map(|server| format!("s{server}."));
        let wanted = move |line: &str| {
            // After the time, which has spaces before it, comes the server.
            let place = line.split_ascii_whitespace().nth(1);
            of_server.as_ref().is_none_or(|server| place.is_some_and(|place| place.starts_with(server.as_str())))
        };
        let say_wanted = move |line: &str| {
            if wanted(line) {
                say(line);
            }
        };
        self.trace.then(|| Box::new(say_wanted) as Sink)
    }
}

/// The last lines of a run.
fn report(seed: u64, outcome: &Outcome) {
    let counts = outcome.counts;
    let work = counts.work;
    say(&format!(
        "seed {seed}\n\
         world {}.{:03} s of virtual time, {} events, {} inputs, {} effects, {} crashes\n\
         checked {} state resolutions against the reference\n\
         clients {} rooms, {} done, {} refused, {} skipped, {} without endpoint; {} answers, {} lost; {} syncs, {} delivered\n\
         trace hash: {}",
        counts.virtual_time.0 / 1_000_000,
        counts.virtual_time.0 / 1_000 % 1_000,
        counts.events,
        counts.inputs,
        counts.effects,
        counts.crashes,
        counts.resolutions,
        work.rooms,
        work.acknowledged,
        work.refused,
        work.skipped,
        work.unrecognized,
        work.answers,
        work.lost,
        work.syncs,
        work.delivered,
        hex(&outcome.hash),
    ));
    for (column, value) in outcome.measures.iter().flat_map(Measures::list) {
        let value = value.map_or("-".to_owned(), |value| value.to_string());
        say(&format!("{:<30} {value:>12} {:<12} {}", column.name, column.unit, column.what));
    }
    for line in outcome.measures.iter().flat_map(|measures| &measures.resets_told) {
        say(&format!("reset {line}"));
    }
    let (lies, pace) = (counts.lies, counts.pace);
    if lies != refusals::Tally::default() {
        say(&format!(
            "byzantine {} attacks, {} requests ({} refused, {} without answer), {} events taken, {} refused; {} lies, about the state of {} rooms\n\
             pace {} messages to rooms without liars, {} ms in the mean, {} ms the longest",
            lies.attacks,
            lies.requests,
            lies.refused,
            lies.unanswered,
            lies.events_taken,
            lies.events_refused,
            lies.lies,
            counts.hearsay,
            pace.messages,
            pace.mean().0 / 1_000,
            pace.longest.0 / 1_000,
        ));
    }
}
