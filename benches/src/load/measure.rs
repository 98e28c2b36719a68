//! Runs operations on threads: first to warm up, then measured, with what the server and the generator used meanwhile.

use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::arguments::Arguments;
use super::client::Target;
use super::error::{LoadError, Result};
use super::process::{Usage, disk_usage};
use super::report::Report;
use super::statistics::Samples;

/// How many kinds of error a report quotes.
const ERROR_TEXTS: usize = 5;

/// A thread that meets this many errors in a row gives up: the server is gone.
const ERRORS_IN_A_ROW: usize = 100;

/// What is measured: where the server is, and where its process and its files are, if that is known.
#[derive(Debug)]
pub struct Subject {
    pub target: Target,
    pub pid: Option<u32>,
    pub data_dir: Option<PathBuf>,
    pub warm_up: Duration,
    pub measured: Duration,
}

impl Subject {
    /// Takes `--base-url`, `--server-pid`, `--data-dir`, `--seconds` and `--warm-up`.
    ///
    /// # Errors
    /// When one does not parse.
    pub fn take(arguments: &mut Arguments) -> Result<Subject> {
        let url: String = arguments.value("base-url", "http://127.0.0.1:8008".to_owned())?;
        Ok(Subject {
            target: Target::new(&url)?,
            pid: arguments.option("server-pid")?,
            data_dir: arguments.option("data-dir")?,
            warm_up: Duration::from_secs(arguments.value("warm-up", 2)?),
            measured: Duration::from_secs(arguments.value("seconds", 10)?),
        })
    }

    /// What the server and this process have used until now.
    ///
    /// # Errors
    /// When the server's process or data folder cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            at: Instant::now(),
            server: self.pid.map(Usage::of).transpose()?,
            generator: Usage::of(std::process::id())?,
            disk: self.data_dir.as_deref().map(disk_usage).transpose()?,
        })
    }
}

/// A moment, and what had been used by then.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    at: Instant,
    server: Option<Usage>,
    generator: Usage,
    disk: Option<u64>,
}

/// What one operation of a worker did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Done,
    /// There is nothing left to do; the operation was not done.
    Exhausted,
}

/// What a run found.
#[derive(Debug)]
pub struct Outcome {
    pub samples: Samples,
    pub errors: Vec<LoadError>,
    before: Snapshot,
    after: Snapshot,
}

impl Outcome {
    /// For scenarios that time their operations themselves, between two snapshots.
    #[must_use]
    pub fn new(samples: Samples, errors: Vec<LoadError>, before: Snapshot, after: Snapshot) -> Outcome {
        Outcome { samples, errors, before, after }
    }

    /// Wall time.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.after.at - self.before.at
    }

    /// Adds what every scenario reports; `operation` names one, `count` is how many succeeded.
    pub fn report_usage(&self, report: &mut Report, operation: &str, count: usize) {
        let each = |total: f64| total / count.max(1) as f64;
        let seconds = self.elapsed().as_secs_f64();
        let generator = self.after.generator.since(self.before.generator).cpu.as_secs_f64();
        if let (Some(before), Some(after)) = (self.before.server, self.after.server) {
            let server = after.since(before);
            let cpu = server.cpu.as_secs_f64();
            report.figure(format!("server CPU per {operation}"), each(cpu) * 1e6, "us");
            report.figure("server CPU", cpu / seconds * 100.0, "% of a core");
            report.figure(format!("written per {operation}"), each(server.written as f64), "bytes");
            report.figure("server memory", server.resident as f64 / 1_048_576.0, "MiB");
        }
        if let (Some(before), Some(after)) = (self.before.disk, self.after.disk) {
            report.figure(format!("disk per {operation}"), each(after as f64 - before as f64), "bytes");
        }
        report.figure(format!("generator CPU per {operation}"), each(generator) * 1e6, "us");
        report.figure("generator CPU", generator / seconds * 100.0, "% of a core");
        report.errors += self.errors.len();
        for error in &self.errors {
            let text = error.to_string();
            if report.error_texts.len() < ERROR_TEXTS && !report.error_texts.contains(&text) {
                report.error_texts.push(text);
            }
        }
    }

    /// Adds median, 95th and 99th percentile.
    pub fn report_latency(&mut self, report: &mut Report) {
        for (name, percent) in [("median", 50), ("95 %", 95), ("99 %", 99)] {
            report.milliseconds(name, self.samples.percentile(percent));
        }
    }

    /// Adds how many operations succeeded per second.
    pub fn report_throughput(&self, report: &mut Report, unit: &'static str) {
        report.figure("throughput", self.samples.count() as f64 / self.elapsed().as_secs_f64(), unit);
    }
}

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Runs each worker on a thread of its own, again and again. Only operations that began and ended while measuring count.
/// Without a warm-up, everything counts, and a run ends early when all workers are exhausted.
///
/// # Errors
/// When the server's process or data folder cannot be read. Errors of operations are in the outcome.
pub fn run<W: FnMut() -> Result<Step> + Send>(subject: &Subject, workers: Vec<W>) -> Result<Outcome> {
    let phase = AtomicU8::new(if subject.warm_up.is_zero() { MEASURING } else { WARMING_UP });
    let running = std::sync::atomic::AtomicUsize::new(workers.len());
    let start = Barrier::new(workers.len() + 1);
    let (phase, running, start) = (&phase, &running, &start);
    std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .map(|mut worker| {
                scope.spawn(move || {
                    start.wait();
                    let found = work(&mut worker, phase);
                    running.fetch_sub(1, Ordering::Relaxed);
                    found
                })
            })
            .collect();
        let mut before = subject.snapshot();
        start.wait();
        if !subject.warm_up.is_zero() {
            std::thread::sleep(subject.warm_up);
            before = subject.snapshot();
            phase.store(MEASURING, Ordering::Relaxed);
        }
        let began = Instant::now();
        while began.elapsed() < subject.measured && running.load(Ordering::Relaxed) > 0 {
            std::thread::sleep(Duration::from_millis(5).min(subject.measured - began.elapsed().min(subject.measured)));
        }
        phase.store(OVER, Ordering::Relaxed);
        let after = subject.snapshot();
        let (mut samples, mut errors) = (Samples::default(), Vec::new());
        for thread in threads {
            let (more_samples, mut more_errors) = thread.join().expect("no worker panics");
            samples.append(more_samples);
            errors.append(&mut more_errors);
        }
        Ok(Outcome { samples, errors, before: before?, after: after? })
    })
}

fn work<W: FnMut() -> Result<Step>>(worker: &mut W, phase: &AtomicU8) -> (Samples, Vec<LoadError>) {
    let (mut samples, mut errors) = (Samples::default(), Vec::new());
    let mut errors_in_a_row = 0;
    loop {
        let began_in = phase.load(Ordering::Relaxed);
        if began_in == OVER || errors_in_a_row >= ERRORS_IN_A_ROW {
            return (samples, errors);
        }
        let began = Instant::now();
        match worker() {
            Ok(Step::Exhausted) => return (samples, errors),
            Ok(Step::Done) => {
                let took = began.elapsed();
                errors_in_a_row = 0;
                if began_in == MEASURING && phase.load(Ordering::Relaxed) == MEASURING {
                    samples.add(took);
                }
            }
            Err(error) => {
                errors_in_a_row += 1;
                errors.push(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(warm_up: u64, measured: u64) -> Subject {
        Subject {
            target: Target::new("http://127.0.0.1:9").unwrap(),
            pid: Some(std::process::id()),
            data_dir: None,
            warm_up: Duration::from_millis(warm_up),
            measured: Duration::from_millis(measured),
        }
    }

    #[test]
    fn exhausted_workers_end_the_run() {
        let worker = |mut left: u32| {
            move || {
                if left == 0 {
                    return Ok(Step::Exhausted);
                }
                left -= 1;
                Ok(Step::Done)
            }
        };
        let outcome = run(&subject(0, 60_000), vec![worker(3), worker(4)]).unwrap();
        assert_eq!((outcome.samples.count(), outcome.errors.len()), (7, 0));
        assert!(outcome.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn warm_up_does_not_count_and_errors_do() {
        let mut calls = 0;
        let worker = || {
            calls += 1;
            std::thread::sleep(Duration::from_millis(10));
            if calls % 2 == 0 { Err(LoadError::Usage("even".to_owned())) } else { Ok(Step::Done) }
        };
        let mut outcome = run(&subject(100, 100), vec![worker]).unwrap();
        assert!((1..=6).contains(&outcome.samples.count()), "{}", outcome.samples.count());
        assert!(!outcome.errors.is_empty());
        let mut report = Report::new("test");
        let count = outcome.samples.count();
        outcome.report_latency(&mut report);
        outcome.report_throughput(&mut report, "operations/s");
        outcome.report_usage(&mut report, "operation", count);
        assert_eq!(report.errors, outcome.errors.len());
        assert_eq!(report.error_texts, ["even"]);
        assert!(report.figures.iter().any(|figure| figure.name == "server CPU per operation"));
    }
}
