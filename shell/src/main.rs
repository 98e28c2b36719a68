//! The `orrery` command.

use std::process::ExitCode;

/// The system's allocator keeps what a burst of requests needed: measured after 100 logins, 160 MiB against 9 MiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    orrery::cli::main()
}
