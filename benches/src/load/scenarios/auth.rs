//! Registration and login, and what of them is not the password hash.

use std::time::{Duration, Instant};

use orrery_core::effect::{Job, PasswordCost};

use crate::load::arguments::Arguments;
use crate::load::client::{Client, PASSWORD, Target};
use crate::load::error::{LoadError, Result};
use crate::load::measure::{Outcome, Subject};
use crate::load::report::Report;
use crate::load::statistics::Samples;

pub(super) fn auth(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    let users: usize = arguments.value("users", 50)?;
    let given = arguments.option::<f64>("hash-ms")?.map(|ms| Duration::from_secs_f64(ms / 1e3));
    let hash = if arguments.flag("orrery-hash") { Some(orrery_hash()) } else { given };
    arguments.finish()?;
    let names: Vec<String> = (0..users).map(|_| subject.target.new_name()).collect();
    let mut report = Report::new("auth");
    if let Some(hash) = hash {
        report.milliseconds("password hash", hash);
    }
    measured(&subject, &mut report, "register", &names, hash, Client::register)?;
    measured(&subject, &mut report, "login", &names, hash, Client::login)?;
    Ok(report)
}

/// The median of Orrery's password hash at its default cost, on this machine.
fn orrery_hash() -> Duration {
    let cost = PasswordCost { memory_kib: 19_456, passes: 2, lanes: 1 };
    let job = Job::HashPassword { password: PASSWORD.to_owned(), salt: [7; 16], cost };
    let mut samples = Samples::default();
    for _ in 0..20 {
        let began = Instant::now();
        std::hint::black_box(job.run());
        samples.add(began.elapsed());
    }
    samples.median()
}

/// Does one thing for each name, one after the other, on a connection that is kept.
fn measured(
    subject: &Subject,
    report: &mut Report,
    operation: &str,
    names: &[String],
    hash: Option<Duration>,
    act: impl Fn(&mut Client, &str) -> Result<()>,
) -> Result<()> {
    let (mut samples, mut errors): (Samples, Vec<LoadError>) = (Samples::default(), Vec::new());
    let mut client = warm(&subject.target)?;
    let before = subject.snapshot()?;
    for name in names {
        client.forget();
        let began = Instant::now();
        match act(&mut client, name) {
            Ok(()) => samples.add(began.elapsed()),
            Err(error) => errors.push(error),
        }
    }
    let after = subject.snapshot()?;
    let count = samples.count();
    let median = samples.median();
    report.milliseconds(format!("{operation}, median"), median);
    if let Some(hash) = hash {
        report.milliseconds(format!("{operation}, median without the hash"), median.saturating_sub(hash));
    }
    Outcome::new(samples, errors, before, after).report_usage(report, operation, count);
    Ok(())
}

/// A client whose connection is open.
fn warm(target: &Target) -> Result<Client> {
    let mut client = Client::anonymous(target);
    client.call("GET", "/_matrix/client/versions", None)?;
    Ok(client)
}
