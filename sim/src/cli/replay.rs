//! `orrery-sim replay`: the world of a plan file.

use std::path::{Path, PathBuf};

use clap::Args;

use super::output::complain;
use super::run::Show;
use crate::plan::Plan;

#[derive(Debug, Args)]
pub struct Replay {
    /// A plan, as `run --save` writes it
    file: PathBuf,
    #[command(flatten)]
    show: Show,
}

impl Replay {
    pub fn execute(&self) -> u8 {
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
