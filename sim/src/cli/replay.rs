//! `orrery-sim replay`: the world of a plan file.

use std::path::PathBuf;

use clap::Args;

use super::run::{Show, complain};
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
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) => return complain(&self.file, &error),
        };
        match Plan::from_toml(&text) {
            Ok(plan) => self.show.run(&plan, &format!("orrery-sim replay {}", self.file.display())),
            Err(error) => complain(&self.file, &error),
        }
    }
}
