//! `orrery user`: accounts, managed through the core's own administration while no server runs on the data.

use clap::Subcommand;

use crate::config::Settings;
use crate::exit::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List the users of this server
    List,
}

pub(super) fn run(_settings: &Settings, command: &UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::List => Ok(()),
    }
}
