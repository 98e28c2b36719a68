//! Exit codes, after sysexits(3), and the one line that goes with each.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// The server refused what it was asked for: a name that is taken, a weak password.
pub const REFUSED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// A file's contents are damaged: the database, the signing key, a certificate.
pub const DATA: u8 = 65;
/// A file that must be there cannot be read.
pub const NO_INPUT: u8 = 66;
/// An address cannot be listened on.
pub const UNAVAILABLE: u8 = 69;
/// A bug.
pub const SOFTWARE: u8 = 70;
/// The system lacks something: threads, file descriptors, entropy.
pub const OS: u8 = 71;
/// A file or folder cannot be created.
pub const CANNOT_CREATE: u8 = 73;
/// The disk failed.
pub const IO: u8 = 74;
/// Another process uses the data; try again when it has ended.
pub const TEMPORARY: u8 = 75;
/// The data was written by a newer version, or belongs to another server.
pub const PROTOCOL: u8 = 76;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;

/// Has a panic that nobody caught end the process: without this thread there is nothing to serve, and a service manager can
/// only restart what has ended.
pub fn end_process_on_panic<T>(run: impl FnOnce() -> T) -> impl FnOnce() -> T {
    || catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| std::process::exit(SOFTWARE.into()))
}

/// The end of the process: a code for scripts, and a line for people that says what to do.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    pub fn new(code: u8, message: impl fmt::Display) -> Failure {
        Failure { code, message: message.to_string() }
    }

    /// Prints the message and makes the exit code.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        eprintln!("orrery: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
