//! The `orrery` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    orrery::cli::main()
}
