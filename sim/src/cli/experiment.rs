//! `orrery-sim experiment`: a study, from its file to tables and plots.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;

use super::output::{complain, say, show_progress};
use super::stopwatch::Stopwatch;
use crate::measures;
use crate::plan::Plan;
use crate::study::runs::{self, Folder, Shard};
use crate::study::table::{Cell, Table};
use crate::study::{Study, parameters, parquet, plot};

#[derive(Debug, Args)]
pub struct Experiment {
    /// The study
    #[arg(value_name = "FILE.toml", required_unless_present = "list")]
    file: Option<PathBuf>,
    /// Threads [default: one per core]
    #[arg(long, value_name = "J")]
    jobs: Option<NonZeroUsize>,
    /// Only every N-th world, from the I-th on, with I from 0: for clusters
    #[arg(long, value_name = "I/N", value_parser = Shard::parse)]
    shard: Option<Shard>,
    /// Where the results go [default: the name of the file without .toml]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs nothing, and makes tables and plots of what is there
    #[arg(long)]
    merge: bool,
    /// Prints the plan of a row of results.csv, counted from 1, for `replay`
    #[arg(long, value_name = "ROW")]
    plan: Option<NonZeroUsize>,
    /// Prints the names of all parameters and measures
    #[arg(long)]
    list: bool,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(500);
/// How many characters long the bar is.
const BAR: usize = 30;

impl Experiment {
    pub fn execute(&self) -> u8 {
        let Some(file) = self.file.as_ref().filter(|_| !self.list) else {
            list();
            return 0;
        };
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
        let study = match text.and_then(|text| Study::parse(&text)) {
            Ok(study) => study,
            Err(error) => return complain(file, &error),
        };
        if let Some(row) = self.plan {
            return print_plan(&study, row, file);
        }
        let out = self.out.clone().unwrap_or_else(|| file.with_extension(""));
        match self.conduct(&study, &out) {
            Ok(()) => 0,
            Err(error) => complain(&out, &error),
        }
    }

    fn conduct(&self, study: &Study, out: &Path) -> io::Result<()> {
        let mut folder = Folder::open(out)?;
        if !self.merge {
            self.run(study, &mut folder)?;
            folder.read()?;
        }
        let table = folder.table(study);
        let (there, all) = (table.rows.len(), study.runs().len());
        if there < all && !self.merge {
            say(&format!("{there} of {all} worlds are there; whoever runs the last one makes the tables and plots"));
            return Ok(());
        }
        folder.write("results.csv", table.to_csv().as_bytes())?;
        folder.write("results.parquet", &parquet::write(&table))?;
        for options in &study.plots {
            let figure = options.figure(study, &table);
            folder.write(&format!("{}.svg", options.name), plot::svg(&figure).as_bytes())?;
            folder.write(&format!("{}.png", options.name), &plot::png(&figure))?;
        }
        say(&format!(
            "{there} of {all} worlds, {} measures, {} plots in {}",
            measures::columns().len(),
            study.plots.len(),
            out.display()
        ));
        tell_failures(&table);
        Ok(())
    }

    fn run(&self, study: &Study, folder: &mut Folder) -> io::Result<()> {
        let shard = self.shard.unwrap_or(Shard::ALL);
        let left = folder.left(study, shard);
        let mut writer = folder.writer(shard)?;
        let jobs = self.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        let began = Stopwatch::start();
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                let (sender, next, left) = (sender.clone(), &next, &left);
                scope.spawn(move || {
                    while let Some(run) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if sender.send((*run, runs::run(study, *run))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let mut shown = began;
            let mut result = Ok(());
            for (done, (run, row)) in receiver.into_iter().enumerate() {
                result = result.and_then(|()| folder.add(&mut writer, study, run, row));
                if result.is_err() {
                    // Nothing that is run from now on would be kept.
                    next.store(left.len(), Ordering::Relaxed);
                }
                if !self.quiet && (shown.elapsed() >= PROGRESS || done + 1 == left.len()) {
                    shown = Stopwatch::start();
                    progress(done + 1, left.len(), began);
                }
            }
            if !self.quiet && !left.is_empty() {
                let _ = writeln!(io::stderr());
            }
            result
        })
    }
}

fn print_plan(study: &Study, row: NonZeroUsize, file: &Path) -> u8 {
    let Some(options) = study.runs().get(row.get() - 1).map(|run| study.options(*run)) else {
        return complain(file, &"the study has fewer worlds");
    };
    match options {
        Ok(options) => {
            say(&Plan::of(options).to_toml());
            0
        }
        Err(error) => complain(file, &error),
    }
}

fn progress(done: usize, all: usize, began: Stopwatch) {
    let elapsed = began.elapsed().as_millis();
    let left = elapsed * (all - done) as u128 / done.max(1) as u128 / 1_000;
    let filled = BAR * done / all.max(1);
    let bar = format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled));
    let line = format!("{bar} {done}/{all} worlds, {} s, {} min {} s left", elapsed / 1_000, left / 60, left % 60);
    show_progress(&line);
}

/// Worlds in which something was wrong are in the table; whoever uses it should know.
fn tell_failures(table: &Table) {
    let Some(outcome) = table.column("outcome") else { return };
    let failed = table.rows.iter().filter(|row| row[outcome] != Cell::Text("passed".to_owned()));
    let count = failed.count();
    if count > 0 {
        say(&format!("in {count} of them a checker found something wrong: see the column outcome"));
    }
}

fn list() {
    say(&format!("parameters\n\n{}\nmeasures\n", parameters::described_all()));
    for column in measures::columns() {
        say(&format!("{:<32} {:<12} {}", column.name, column.unit, column.what));
    }
}
