//! A server that does nothing, and a server that starts.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::load::arguments::Arguments;
use crate::load::client::{Client, Target, encoded, in_parallel};
use crate::load::error::{LoadError, Result};
use crate::load::measure::{Outcome, Subject};
use crate::load::process::Usage;
use crate::load::report::Report;
use crate::load::statistics::Samples;

use super::send::TEXT;

/// A server that has not answered or stopped after this time is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many connections prefill the server.
const FILLING: usize = 32;

pub(super) fn idle(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    arguments.finish()?;
    let pid = subject.pid.ok_or_else(|| LoadError::Usage("idle wants --server-pid".to_owned()))?;
    let before = Usage::of(pid)?;
    sleep(subject.measured);
    let used = Usage::of(pid)?.since(before);
    let mut report = Report::new("idle");
    report.figure("server memory", used.resident as f64 / 1_048_576.0, "MiB");
    report.figure("server CPU", used.cpu.as_secs_f64() / subject.measured.as_secs_f64() * 100.0, "% of a core");
    report.figure("written", used.written as f64, "bytes");
    Ok(report)
}

pub(super) fn start(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    let rounds: usize = arguments.value("rounds", 10)?;
    let events: usize = arguments.value("events", 0)?;
    arguments.finish()?;
    let command = std::mem::take(&mut arguments.command);
    if events > 0 {
        let (server, _) = started(&subject.target, &command)?;
        let filled = fill(&subject.target, events);
        stop(server)?;
        filled?;
    }
    let mut samples = Samples::default();
    let mut resident = 0;
    let before = subject.snapshot()?;
    // The first start warms up: its files come from disk, and it may create them.
    for round in 0..=rounds {
        let (server, took) = started(&subject.target, &command)?;
        resident = Usage::of(server.id())?.resident;
        stop(server)?;
        if round > 0 {
            samples.add(took);
        }
    }
    let mut report = Report::new("start");
    report.figure("stored messages", events as f64, "");
    let count = samples.count();
    let mut outcome = Outcome::new(samples, Vec::new(), before, subject.snapshot()?);
    outcome.report_latency(&mut report);
    report.figure("server memory", resident as f64 / 1_048_576.0, "MiB");
    outcome.report_usage(&mut report, "start", count);
    Ok(report)
}

/// Starts the server; the time until it answered.
fn started(target: &Target, command: &[String]) -> Result<(Child, Duration)> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(LoadError::Usage("start wants a command after --".to_owned()));
    };
    if Client::anonymous(target).call("GET", "/_matrix/client/versions", None).is_ok() {
        return Err(LoadError::Usage("a server answers before one was started".to_owned()));
    }
    let began = Instant::now();
    let mut server = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    loop {
        if Client::anonymous(target).call("GET", "/_matrix/client/versions", None).is_ok() {
            return Ok((server, began.elapsed()));
        }
        if let Some(status) = server.try_wait()? {
            return Err(LoadError::Answer(format!("the server ended with {status}")));
        }
        if began.elapsed() > PATIENCE {
            server.kill()?;
            return Err(LoadError::Answer("the server does not answer".to_owned()));
        }
        sleep(Duration::from_micros(200));
    }
}

/// Asks the server to stop (SIGTERM) and waits till it has.
fn stop(mut server: Child) -> Result<()> {
    Command::new("kill").arg(server.id().to_string()).status()?;
    let began = Instant::now();
    while server.try_wait()?.is_none() {
        if began.elapsed() > PATIENCE {
            server.kill()?;
            return Err(LoadError::Answer("the server does not stop on SIGTERM".to_owned()));
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Sends `events` messages, by as many users to as many rooms as there are connections.
fn fill(target: &Target, events: usize) -> Result<()> {
    let users = target.register_many(FILLING)?;
    let task = |mut user: Client| {
        move || {
            let room = encoded(&user.create_room()?);
            (0..events / FILLING).try_for_each(|_| user.send_message(&room, TEXT))
        }
    };
    in_parallel(users.into_iter().map(task).collect())?;
    Ok(())
}
