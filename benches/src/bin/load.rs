//! `load SCENARIO …`: see `benches/README.md`, and `load` alone for the scenarios.

use std::process::ExitCode;

use orrery_benches::load::arguments::Arguments;
use orrery_benches::load::error::LoadError;
use orrery_benches::load::scenarios;

fn main() -> ExitCode {
    let found = Arguments::parse(std::env::args().skip(1)).and_then(|mut arguments| {
        let json = arguments.flag("json");
        let report = scenarios::run(&mut arguments)?;
        println!("{}", if json { report.json() } else { report.human() });
        Ok(report.errors)
    });
    match found {
        Ok(0) => ExitCode::SUCCESS,
        // Figures of a run with errors are not to be trusted unread.
        Ok(_) => ExitCode::FAILURE,
        Err(LoadError::Usage(why)) => {
            eprintln!("load: {why}\n\n{}", scenarios::help());
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}
