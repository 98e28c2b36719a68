//! A server that does nothing, and a server that starts.

use std::process::Stdio;
use std::thread::sleep;

use crate::load::arguments::Arguments;
use crate::load::client::{Client, Target, encoded, in_parallel};
use crate::load::error::{LoadError, Result};
use crate::load::measure::{Outcome, Subject};
use crate::load::process::Usage;
use crate::load::report::Report;
use crate::load::server::{started, stop};
use crate::load::statistics::Samples;

use super::send::TEXT;

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
        let (server, _) = started(&subject.target, &command, Stdio::inherit())?;
        let filled = fill(&subject.target, events);
        stop(server)?;
        filled?;
    }
    let mut samples = Samples::default();
    let mut resident = 0;
    let before = subject.snapshot()?;
    // The first start warms up: its files come from disk, and it may create them.
    for round in 0..=rounds {
        let (server, took) = started(&subject.target, &command, Stdio::inherit())?;
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
