//! What the commands write for people.

use std::io::Write as _;
use std::path::Path;

use crate::failure::Failure;

/// The commit that this was built from.
pub const COMMIT: &str = env!("ORRERY_COMMIT");

/// Prints a line; a reader that has gone away is no failure of the world.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Says how a world failed, and with which command it does so again.
pub fn say_failure(failure: &Failure, replay: &str) {
    say(&format!("failure {failure}\ncommit {COMMIT}\nreplay {replay}"));
}

/// Says that a file is no good. The exit code of a wrong command line.
pub fn complain(path: &Path, error: &dyn std::fmt::Display) -> u8 {
    let _ = writeln!(std::io::stderr().lock(), "{}: {error}", path.display());
    2
}

/// Writes a line over the one before, for the person who waits.
pub fn show_progress(line: &str) {
    let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
}
