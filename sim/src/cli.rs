//! The command line of `orrery-sim`.

mod experiment;
mod output;
mod replay;
mod report;
mod run;
mod shrink;
mod stopwatch;
mod sweep;

use clap::{Args, Parser, Subcommand};

use orrery_core::room_version::RoomVersion;

use crate::options::Overrides;
use crate::storage::Lie;

/// Runs real homeservers and virtual clients on a virtual disk, network and clock. One seed decides everything.
#[derive(Debug, Parser)]
#[command(name = "orrery-sim", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One world. Exit codes: 0 it passed, 10 crash (the core panicked), 11 liveness (something never came to an end),
    /// 12 safety (something happened that must not), 13 determinism (two runs differed), 2 the command line is wrong.
    Run(run::Run),
    /// The smallest plan that fails in the same way as a seed or a plan does. Exit codes: 0 it is written, 1 the world passes,
    /// 2 the command line is wrong.
    Shrink(shrink::Shrink),
    /// The world of a plan file, with the exit codes of `run`.
    Replay(replay::Replay),
    /// A study: worlds that differ in some parameters, with tables and plots of what they yield.
    Experiment(experiment::Experiment),
    /// Many worlds, on many threads. The exit code is that of the first failing seed.
    Sweep(sweep::Sweep),
    /// One world as a single HTML file: who did what when, the event graphs, the states and where they differ. Exit codes as
    /// those of `run`.
    Report(report::Report),
}

/// What the command line fixes in every world; the seed decides the rest.
#[derive(Clone, Copy, Debug, Args)]
struct Fixed {
    /// How many servers there are, or between how many the seed decides (`2..10`) [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_servers)]
    servers: Option<(u32, u32)>,
    /// How many of them lie, or between how many the seed decides; at least one is honest [default: 0]
    #[arg(long, value_name = "N", value_parser = parse_byzantine)]
    byzantine: Option<(u32, u32)>,
    /// How often servers crash [default: the seed decides]
    #[arg(long, value_name = "N")]
    crashes: Option<u32>,
    /// How often an operator restores a backup [default: the seed decides]
    #[arg(long, value_name = "N")]
    older_stores: Option<u32>,
    /// How many devices there are; users have one to three [default: the seed decides]
    #[arg(long, value_name = "N")]
    clients: Option<u32>,
    /// How many things people do [default: the seed decides]
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// The version of all rooms [default: each has its own]
    #[arg(long, value_name = "V", value_parser = parse_room_version)]
    room_version: Option<RoomVersion>,
    /// Makes the host lie, to see that it is caught
    #[arg(long, value_name = "LIE", value_parser = parse_lie)]
    lie: Option<Lie>,
}

fn parse_servers(text: &str) -> Result<(u32, u32), String> {
    parse_range(text, 1)
}

fn parse_byzantine(text: &str) -> Result<(u32, u32), String> {
    parse_range(text, 0)
}

fn parse_range(text: &str, smallest: u32) -> Result<(u32, u32), String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    match (least.parse(), most.parse()) {
        (Ok(least), Ok(most)) if smallest <= least && least <= most && most <= MAX_SERVERS => Ok((least, most)),
        _ => Err(format!("a number from {smallest} to {MAX_SERVERS}, or two with .. between them")),
    }
}

const MAX_SERVERS: u32 = 100;

fn parse_room_version(text: &str) -> Result<RoomVersion, String> {
    RoomVersion::parse(text).ok_or_else(|| "there are the versions 1 to 12".to_owned())
}

fn parse_lie(text: &str) -> Result<Lie, String> {
    match text {
        "loses-acknowledged" => Ok(Lie::LosesAcknowledged),
        "tears-batches" => Ok(Lie::TearsBatches),
        "believes-signatures" => Ok(Lie::BelievesSignatures),
        "spoils-rows" => Ok(Lie::SpoilsRows),
        "hides-restores" => Ok(Lie::HidesRestores),
        _ => Err("there are loses-acknowledged, tears-batches, spoils-rows, believes-signatures and hides-restores"
            .to_owned()),
    }
}

impl Fixed {
    fn overrides(&self) -> Overrides {
        Overrides {
            servers: self.servers,
            byzantine: self.byzantine,
            crashes: self.crashes,
            older_stores: self.older_stores,
            clients: self.clients,
            steps: self.steps,
            room_version: self.room_version,
            lie: self.lie,
        }
    }

    /// The options that say the same on a command line, each with a space before it.
    fn replay(&self) -> String {
        let numbers = [
            ("crashes", self.crashes),
            ("older-stores", self.older_stores),
            ("clients", self.clients),
            ("steps", self.steps),
        ];
        let mut out = String::new();
        for (name, range) in [("servers", self.servers), ("byzantine", self.byzantine)] {
            match range {
                Some((least, most)) if least == most => out += &format!(" --{name} {least}"),
                Some((least, most)) => out += &format!(" --{name} {least}..{most}"),
                None => {}
            }
        }
        for (name, value) in numbers {
            if let Some(value) = value {
                out += &format!(" --{name} {value}");
            }
        }
        if let Some(version) = self.room_version {
            out += &format!(" --room-version {version}");
        }
        match self.lie {
            Some(Lie::LosesAcknowledged) => out += " --lie loses-acknowledged",
            Some(Lie::TearsBatches) => out += " --lie tears-batches",
            Some(Lie::BelievesSignatures) => out += " --lie believes-signatures",
            Some(Lie::SpoilsRows) => out += " --lie spoils-rows",
            Some(Lie::HidesRestores) => out += " --lie hides-restores",
            Some(Lie::None) | None => {}
        }
        out
    }
}

impl Cli {
    /// Does what was asked for. The exit code.
    #[must_use]
    pub fn execute(&self) -> u8 {
        match &self.command {
            Command::Run(run) => run.execute(),
            Command::Shrink(shrink) => shrink.execute(),
            Command::Replay(replay) => replay.execute(),
            Command::Experiment(experiment) => experiment.execute(),
            Command::Sweep(sweep) => sweep.execute(),
            Command::Report(report) => report.execute(),
        }
    }
}
