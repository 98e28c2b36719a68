//! Reading a password: from a person, who does not see it, or from a program.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::exit::{self, Failure};

/// Asks a person twice; takes the first line of anything else.
pub(super) fn read() -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::new(exit::IO, format_args!("cannot read the password: {error}"));
    if !io::stdin().is_terminal() {
        return line().map_err(failed);
    }
    let first = ask("Password: ").map_err(failed)?;
    let second = ask("Once more: ").map_err(failed)?;
    if first == second { Ok(first) } else { Err(Failure::new(exit::USAGE, "the two passwords differ")) }
}

fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask(prompt: &str) -> io::Result<String> {
    let mut screen = io::stderr();
    write!(screen, "{prompt}")?;
    screen.flush()?;
    let shown = tcgetattr(io::stdin())?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    let answer = line();
    tcsetattr(io::stdin(), OptionalActions::Flush, &shown)?;
    writeln!(screen)?;
    answer
}
