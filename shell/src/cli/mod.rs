//! The command line.

mod federation;
mod administration;
mod explain;
mod serve;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Settings, Sources};
use crate::exit::{self, Failure};

/// A Matrix homeserver.
#[derive(Debug, Parser)]
#[command(name = "orrery", version, max_term_width = 100)]
struct Arguments {
    /// The configuration file [default: orrery.toml, if it exists]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a key of the configuration, such as registration.open=true; may be repeated
    #[arg(short, long = "option", global = true, value_name = "KEY=VALUE")]
    option: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (this is the default)
    Serve {
        /// The data is a backup, older than what the server ran on last: say so at the first start on it
        #[arg(long)]
        restored: bool,
        /// Write down everything that happens to the server, for `orrery-sim replay`: keys, passwords and messages too
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
    },
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Look at other servers
    Federation {
        #[command(subcommand)]
        command: federation::FederationCommand,
    },
    /// Say why a room is as it is here, while the server is not running: the room, an event of it, or a key of its state
    Explain(explain::Explain),
    /// Manage users, while the server is not running
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether the configuration is valid, and what is wrong with it
    Check,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Where would we complain if this fails?
            let _: std::io::Result<()> = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let sources = Sources::of_process(arguments.config, arguments.option);
    let mut settings = Settings::load(&sources).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(exit::CONFIG, format_args!("the configuration is not valid\n  {}", lines.join("\n  ")))
    })?;
    match arguments.command.unwrap_or(Command::Serve { restored: false, record: None }) {
        Command::Serve { restored, record } => {
            (settings.restored, settings.record) = (restored, record);
            serve::run(&settings)
        }
        Command::Config { command: ConfigCommand::Check } => {
            for warning in &settings.warnings {
                eprintln!("orrery: {warning}");
            }
            println!("the configuration of {} is valid", settings.server_name);
            Ok(())
        }
        Command::Federation { command } => federation::run(&settings, &command),
        Command::Explain(command) => explain::run(&settings, &command),
        Command::User { command } => user::run(&settings, &command),
    }
}
