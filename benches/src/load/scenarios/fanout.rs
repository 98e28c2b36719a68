//! One message to many clients that wait in `/sync`, until the last of them has it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::load::arguments::Arguments;
use crate::load::client::{Client, encoded, in_parallel, string};
use crate::load::connection::find;
use crate::load::error::Result;
use crate::load::measure::{Outcome, Subject};
use crate::load::report::Report;
use crate::load::statistics::Samples;

const FILTER: &str = r#"{"room":{"timeline":{"limit":10}}}"#;

/// How long the server has to take all the waiting requests in, before the message is sent.
const SETTLE: Duration = Duration::from_millis(50);

const WARM_UP_ROUNDS: usize = 3;

pub(super) fn fanout(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    let clients: usize = arguments.value("clients", 50)?;
    let rounds: usize = arguments.value("rounds", 50)?;
    arguments.finish()?;
    let mut sender = subject.target.register()?;
    let room_id = sender.create_room()?;
    let mut receivers = subject.target.register_many(clients)?;
    let joined = room_id.as_str();
    in_parallel(receivers.iter_mut().map(|user| move || user.join(joined)).collect())?;
    let room = encoded(&room_id);

    let waiting = Barrier::new(clients + 1);
    let received = Barrier::new(clients + 1);
    let over = AtomicBool::new(false);
    let (waiting, received, over) = (&waiting, &received, &over);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            receivers.into_iter().map(|user| scope.spawn(move || receive(user, waiting, received, over))).collect();
        let mut sent = Vec::new();
        let mut errors = Vec::new();
        let mut before = subject.snapshot();
        for round in 0..WARM_UP_ROUNDS + rounds {
            if round == WARM_UP_ROUNDS {
                before = subject.snapshot();
            }
            waiting.wait();
            sleep(SETTLE);
            sent.push(Instant::now());
            if let Err(error) = sender.send_message(&room, &marker(round)) {
                errors.push(error);
            }
            // Receivers do not wait for each other until they have the message, so the server's work is not held up.
            received.wait();
        }
        let after = subject.snapshot();
        over.store(true, Ordering::Relaxed);
        waiting.wait();
        let mut last = sent.clone();
        for thread in threads {
            let (instants, error) = thread.join().expect("no receiver panics");
            errors.extend(error);
            for (round, instant) in instants.into_iter().enumerate() {
                last[round] = last[round].max(instant);
            }
        }
        // A receiver that failed is missing in all later rounds: nothing of such a run counts.
        let mut samples = Samples::default();
        if errors.is_empty() {
            for round in WARM_UP_ROUNDS..WARM_UP_ROUNDS + rounds {
                samples.add(last[round] - sent[round]);
            }
        }
        let mut report = Report::new("fanout");
        report.figure("clients", clients as f64, "");
        let deliveries = samples.count() * clients;
        let mut outcome = Outcome::new(samples, errors, before?, after?);
        outcome.report_latency(&mut report);
        outcome.report_usage(&mut report, "delivery", deliveries);
        Ok(report)
    })
}

/// The text of a round's message.
fn marker(round: usize) -> String {
    format!("message of round {round}.")
}

/// Waits for each round's message; when it came, by round, and the error that ended this.
fn receive(
    mut user: Client,
    waiting: &Barrier,
    received: &Barrier,
    over: &AtomicBool,
) -> (Vec<Instant>, Option<crate::load::error::LoadError>) {
    let mut instants = Vec::new();
    let mut since = user.sync(None, FILTER);
    let mut failed = None;
    loop {
        if let (Ok(token), None) = (&since, &failed) {
            failed = user.send_sync(Some(token), 30_000, FILTER).err();
        }
        waiting.wait();
        if over.load(Ordering::Relaxed) {
            return (instants, failed.or(since.err()));
        }
        if since.is_ok() && failed.is_none() {
            match wait_for(&mut user, &marker(instants.len()), &mut instants) {
                Ok(token) => since = Ok(token),
                Err(error) => failed = Some(error),
            }
        }
        received.wait();
    }
}

/// Reads answers until one has the marker, notes when, and returns the token to go on from.
fn wait_for(user: &mut Client, marker: &str, instants: &mut Vec<Instant>) -> Result<String> {
    loop {
        let answer = user.receive_sync()?;
        let now = Instant::now();
        let found = find(answer, marker.as_bytes()).is_some();
        let token = string(answer, "next_batch")?;
        if found {
            instants.push(now);
            return Ok(token);
        }
        user.send_sync(Some(&token), 30_000, FILTER)?;
    }
}
