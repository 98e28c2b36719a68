//! `orrery-sim replay`: the world of a plan file, or what a recording of the shell tells.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::{complain, say, say_failure};
use super::run::Show;
use crate::plan::Plan;
use crate::recorded::{self, Outcome};
use crate::trace::hex;

#[derive(Debug, Args)]
pub struct Replay {
    /// A plan, as `run --save` writes it, or a recording, as `orrery serve --record` does
    file: PathBuf,
    #[command(flatten)]
    show: Show,
}

impl Replay {
    pub fn execute(&self) -> u8 {
        match File::open(&self.file).and_then(recorded::is_recording) {
            Ok(true) => self.replay_recording(),
            Ok(false) => self.replay_plan(),
            Err(error) => complain(&self.file, &error),
        }
    }

    fn replay_recording(&self) -> u8 {
        let options = match self.show.for_recording() {
            Ok(options) => options,
            Err(unfit) => return complain(&self.file, &format!("{unfit} is for plans; this is a recording")),
        };
        let replayed = File::open(&self.file)
            .map_err(recorded::Unusable::Io)
            .and_then(|file| recorded::replay(BufReader::new(file), options));
        match replayed {
            Ok(outcome) => self.report(&outcome),
            Err(unusable) => complain(&self.file, &unusable),
        }
    }

    /// The exit code, after what came of it was said.
    fn report(&self, outcome: &Outcome) -> u8 {
        outcome.rooms.iter().for_each(|line| say(line));
        let end = if outcome.is_cut { ", cut off in the middle of an entry" } else { "" };
        say(&format!(
            "recording {} s from the first start{end}, {} lives, {} inputs, {} effects\ntrace hash: {}",
            outcome.end.to_string().trim(),
            outcome.lives,
            outcome.inputs,
            outcome.effects,
            hex(&outcome.hash),
        ));
        match &outcome.failure {
            None => {
                say("the core does what it did");
                0
            }
            Some(failure) => {
                say_failure(failure, &format!("orrery-sim replay {}", self.file.display()));
                failure.kind.exit_code()
            }
        }
    }

    fn replay_plan(&self) -> u8 {
        match read(&self.file) {
            Ok(plan) => self.show.run(&plan, &format!("orrery-sim replay {}", self.file.display())),
            Err(code) => code,
        }
    }
}

/// The plan of a file. The exit code if it is none, which is said.
pub fn read(path: &Path) -> Result<Plan, u8> {
    let text = std::fs::read_to_string(path).map_err(|error| complain(path, &error))?;
    Plan::from_toml(&text).map_err(|error| complain(path, &error))
}
