//! `orrery-sim`: see [`orrery_sim::cli`].

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(orrery_sim::cli::Cli::parse().execute())
}
