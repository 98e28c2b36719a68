//! Rooms created, and users joining one room.

use std::time::Duration;

use crate::load::arguments::Arguments;
use crate::load::client::Client;
use crate::load::error::Result;
use crate::load::measure::{self, Step, Subject};
use crate::load::report::Report;

pub(super) fn create(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    let clients: usize = arguments.value("clients", 8)?;
    arguments.finish()?;
    let worker = |mut user: Client| move || user.create_room().map(|_| Step::Done);
    let users = subject.target.register_many(clients)?;
    let mut outcome = measure::run(&subject, users.into_iter().map(worker).collect())?;
    let mut report = Report::new("create-rooms");
    report.figure("clients", clients as f64, "");
    outcome.report_throughput(&mut report, "rooms/s");
    outcome.report_latency(&mut report);
    outcome.report_usage(&mut report, "room", outcome.samples.count());
    Ok(report)
}

pub(super) fn joins(arguments: &mut Arguments) -> Result<Report> {
    let mut subject = Subject::take(arguments)?;
    let clients: usize = arguments.value("clients", 8)?;
    let users: usize = arguments.value("users", 1000)?;
    arguments.finish()?;
    // Each user joins once, so the run lasts as long as that takes.
    subject.warm_up = Duration::ZERO;
    subject.measured = Duration::from_secs(24 * 3600);
    let mut creator = subject.target.register()?;
    let room_id = creator.create_room()?;
    let mut shares: Vec<Vec<Client>> = (0..clients).map(|_| Vec::new()).collect();
    for (index, user) in subject.target.register_many(users)?.into_iter().enumerate() {
        shares[index % clients].push(user);
    }
    let worker = |mut share: Vec<Client>| {
        let room_id = room_id.as_str();
        move || match share.pop() {
            Some(mut user) => user.join(room_id).map(|()| Step::Done),
            None => Ok(Step::Exhausted),
        }
    };
    let mut outcome = measure::run(&subject, shares.into_iter().map(worker).collect())?;
    let mut report = Report::new("joins");
    report.figure("clients", clients as f64, "");
    report.figure("users", users as f64, "");
    outcome.report_throughput(&mut report, "joins/s");
    outcome.report_latency(&mut report);
    outcome.report_usage(&mut report, "join", outcome.samples.count());
    Ok(report)
}
