//! `orrery-sim report`: one world as a page to look at.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::Fixed;
use super::output::{COMMIT, complain, say};
use super::replay::read;
use crate::plan::Plan;
use crate::report::{self, Story};

#[derive(Debug, Args)]
#[command(override_usage = "orrery-sim report <PLAN | --seed S [OPTIONS]> [--out FILE]")]
pub struct Report {
    /// A plan, as `run --save` writes it
    #[arg(required_unless_present = "seed", conflicts_with_all = ["seed", "Fixed"])]
    plan: Option<PathBuf>,
    /// Decides everything, where there is no plan
    #[arg(long, value_name = "S", value_parser = value_parser!(u64).range(..1 << 63))]
    seed: Option<u64>,
    #[command(flatten)]
    fixed: Fixed,
    /// Runs twice and compares; the first run is shown
    #[arg(long)]
    twice: bool,
    /// Where the page goes
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
}

impl Report {
    pub fn execute(&self) -> u8 {
        let (plan, command) = match self.plan() {
            Ok(planned) => planned,
            Err(code) => return code,
        };
        let story = Story::of(plan, command, COMMIT.to_owned(), self.twice);
        let page = report::page(&story);
        if let Err(error) = std::fs::write(&self.out, &page) {
            return complain(&self.out, &error);
        }
        let end = story.outcome.failure.as_ref().map_or_else(|| "everything held".to_owned(), ToString::to_string);
        let end = end.lines().next().unwrap_or_default();
        say(&format!("{} ({} kB): {end}", self.out.display(), page.len() / 1_000));
        story.outcome.failure.map_or(0, |failure| failure.kind.exit_code())
    }

    /// The plan and the command that runs it again; or the exit code.
    fn plan(&self) -> Result<(Plan, String), u8> {
        match (&self.plan, self.seed) {
            (Some(path), _) => Ok((read(path)?, format!("orrery-sim replay {}", path.display()))),
            (None, seed) => {
                let seed = seed.unwrap_or_default();
                let command = format!("orrery-sim run --seed {seed}{}", self.fixed.replay());
                Ok((Plan::draw(seed, self.fixed.overrides()), command))
            }
        }
    }
}
