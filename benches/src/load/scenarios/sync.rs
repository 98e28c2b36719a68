//! `/sync` of a user with many rooms: from nothing, and with nothing new.

use std::time::Instant;

use crate::load::arguments::Arguments;
use crate::load::client::{Client, Target, encoded, in_parallel};
use crate::load::error::Result;
use crate::load::measure::{self, Outcome, Step, Subject};
use crate::load::report::Report;
use crate::load::statistics::Samples;

use super::send::TEXT;

/// A user who made `rooms` rooms with `messages` messages in each.
fn user_with_rooms(target: &Target, rooms: usize, messages: usize) -> Result<Client> {
    let user = target.register()?;
    let fill = |number: usize| {
        let mut client = user.again((number as u64) << 32);
        move || {
            let room = encoded(&client.create_room()?);
            (0..messages).try_for_each(|_| client.send_message(&room, TEXT))
        }
    };
    in_parallel((0..rooms).map(fill).collect())?;
    Ok(user)
}

pub(super) fn initial(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    let rooms: usize = arguments.value("rooms", 200)?;
    let messages: usize = arguments.value("messages", 10)?;
    let rounds: usize = arguments.value("rounds", 20)?;
    arguments.finish()?;
    let mut user = user_with_rooms(&subject.target, rooms, messages)?;
    let (mut samples, mut errors, mut bytes) = (Samples::default(), Vec::new(), 0);
    let mut before = subject.snapshot()?;
    for round in 0..=rounds {
        // Each filter differs, without effect, so that no server answers from a cache of whole answers.
        let filter = format!(r#"{{"room":{{"timeline":{{"limit":10,"not_senders":["@nobody:{round}"]}}}}}}"#);
        let began = Instant::now();
        let answer = user.send_sync(None, 0, &filter).and_then(|()| Ok(user.receive_sync()?.len()));
        let took = began.elapsed();
        // The first warms up.
        if round == 0 {
            answer?;
            before = subject.snapshot()?;
            continue;
        }
        match answer {
            Ok(length) => {
                samples.add(took);
                bytes = length;
            }
            Err(error) => errors.push(error),
        }
    }
    let after = subject.snapshot()?;
    let count = samples.count();
    let mut outcome = Outcome::new(samples, errors, before, after);
    let mut report = Report::new("initial-sync");
    report.figure("rooms", rooms as f64, "");
    report.figure("answer", bytes as f64, "bytes");
    outcome.report_latency(&mut report);
    outcome.report_usage(&mut report, "sync", count);
    Ok(report)
}

pub(super) fn empty(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    let rooms: usize = arguments.value("rooms", 2000)?;
    arguments.finish()?;
    let mut user = user_with_rooms(&subject.target, rooms, 0)?;
    let filter = r#"{"room":{"timeline":{"limit":10}}}"#;
    let mut since = user.sync(None, filter)?;
    let worker = || {
        since = user.sync(Some(&since), filter)?;
        Ok(Step::Done)
    };
    let mut outcome = measure::run(&subject, vec![worker])?;
    let mut report = Report::new("empty-sync");
    report.figure("rooms", rooms as f64, "");
    outcome.report_throughput(&mut report, "syncs/s");
    outcome.report_latency(&mut report);
    outcome.report_usage(&mut report, "sync", outcome.samples.count());
    Ok(report)
}
