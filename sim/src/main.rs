//! `orrery-sim`: see [`orrery_sim::cli`].

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    ExitCode::from(orrery_sim::cli::Cli::parse().execute())
}
