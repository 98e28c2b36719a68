//! Sending messages: many clients at once, one on an idle server, and what a message leaves on disk.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::load::arguments::Arguments;
use crate::load::client::{Client, Target, encoded, in_parallel};
use crate::load::error::{LoadError, Result};
use crate::load::measure::{self, Step, Subject};
use crate::load::report::Report;
use crate::load::statistics::Samples;

/// The text of every message: with its envelope an ordinary chat line.
pub(super) const TEXT: &str = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.";

pub(super) fn send(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    let clients: usize = arguments.value("clients", 32)?;
    let rooms: usize = arguments.value("rooms", clients)?;
    let members: usize = arguments.value("members", 1)?;
    arguments.finish()?;
    let senders = senders(&subject.target, clients, rooms, members)?;
    let mut report = Report::new("send");
    report.figure("clients", clients as f64, "");
    report.figure("rooms", rooms as f64, "");
    report_sending(&subject, senders, &mut report)?;
    Ok(report)
}

/// Clients, each with the room that it sends to; rooms are shared if there are fewer, and have `members` members at least.
fn senders(target: &Target, clients: usize, rooms: usize, members: usize) -> Result<Vec<(Client, String)>> {
    if clients == 0 || rooms == 0 || rooms > clients {
        return Err(LoadError::Usage("at least one room, and no fewer clients than rooms".to_owned()));
    }
    let mut users = target.register_many(clients.max(members))?;
    let tasks = users[..rooms].iter_mut().map(|user| || user.create_room()).collect();
    let room_ids: Vec<String> = in_parallel(tasks)?;
    let mut joins: Vec<Vec<&str>> = vec![Vec::new(); users.len()];
    for (room, room_id) in room_ids.iter().enumerate() {
        for user in joiners(room, rooms, clients, members) {
            joins[user].push(room_id);
        }
    }
    let join = |user: &mut Client, rooms: Vec<&str>| rooms.into_iter().try_for_each(|room_id| user.join(room_id));
    let join = &join;
    in_parallel(users.iter_mut().zip(joins).map(|(user, rooms)| move || join(user, rooms)).collect())?;
    users.truncate(clients);
    Ok(users.into_iter().enumerate().map(|(index, user)| (user, encoded(&room_ids[index % rooms]))).collect())
}

/// The users, beside its creator, who join a room: those who send to it, and others till it has `members`.
/// The creator is the user with the room's number.
fn joiners(room: usize, rooms: usize, clients: usize, members: usize) -> BTreeSet<usize> {
    let mut inside: BTreeSet<usize> = (room..clients).step_by(rooms).collect();
    let mut next = room;
    while inside.len() < members {
        next = (next + 1) % clients.max(members);
        inside.insert(next);
    }
    inside.remove(&room);
    inside
}

fn report_sending(subject: &Subject, senders: Vec<(Client, String)>, report: &mut Report) -> Result<()> {
    let worker = |(mut client, room): (Client, String)| move || client.send_message(&room, TEXT).map(|()| Step::Done);
    let mut outcome = measure::run(subject, senders.into_iter().map(worker).collect())?;
    outcome.report_throughput(report, "messages/s");
    outcome.report_latency(report);
    outcome.report_usage(report, "message", outcome.samples.count());
    Ok(())
}

pub(super) fn send_one(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    let pause = Duration::from_millis(arguments.value("pause-ms", 2)?);
    arguments.finish()?;
    let mut client = subject.target.register()?;
    let room = encoded(&client.create_room()?);
    let mut rested = client.again(1 << 32);
    for _ in 0..100 {
        rested.send_message(&room, TEXT)?;
    }
    // The pause is not part of an operation, so the client times itself.
    let before = subject.snapshot()?;
    let (mut samples, mut errors) = (Samples::default(), Vec::new());
    let began = Instant::now();
    while began.elapsed() < subject.measured {
        std::thread::sleep(pause);
        let sent = Instant::now();
        match rested.send_message(&room, TEXT) {
            Ok(()) => samples.add(sent.elapsed()),
            Err(error) => errors.push(error),
        }
    }
    let after = subject.snapshot()?;
    let mut report = Report::new("send-one");
    let count = samples.count();
    let mut outcome = measure::Outcome::new(samples, errors, before, after);
    outcome.report_latency(&mut report);
    outcome.report_usage(&mut report, "message", count);
    Ok(report)
}

pub(super) fn disk(arguments: &mut Arguments) -> Result<Report> {
    let mut subject = Subject::take(arguments)?;
    let members: usize = arguments.value("members", 1000)?;
    let events: usize = arguments.value("events", 20_000)?;
    let clients: usize = arguments.value("clients", 8)?;
    arguments.finish()?;
    let mut users = subject.target.register_many(members)?;
    let (creator, others) = users.split_first_mut().ok_or_else(|| LoadError::Usage("no members".to_owned()))?;
    let room_id = creator.create_room()?;
    let room_id = room_id.as_str();
    in_parallel(others.iter_mut().map(|user| move || user.join(room_id)).collect())?;
    let room = encoded(room_id);
    // A fixed number of events instead of a fixed time: what is looked at is their size.
    subject.warm_up = Duration::ZERO;
    subject.measured = Duration::from_secs(24 * 3600);
    let worker = |number: usize| {
        let mut client = users[number % users.len()].again((number as u64) << 32);
        let (room, mut left) = (room.as_str(), events / clients);
        move || {
            if left == 0 {
                return Ok(Step::Exhausted);
            }
            left -= 1;
            client.send_message(room, TEXT).map(|()| Step::Done)
        }
    };
    let outcome = measure::run(&subject, (0..clients).map(worker).collect())?;
    let mut report = Report::new("disk");
    report.figure("members", members as f64, "");
    report.figure("messages", outcome.samples.count() as f64, "");
    outcome.report_throughput(&mut report, "messages/s");
    outcome.report_usage(&mut report, "message", outcome.samples.count());
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_have_their_senders_and_enough_members() {
        let check = |(room, rooms, clients, members), expected: &[usize]| {
            let found: Vec<usize> = joiners(room, rooms, clients, members).into_iter().collect();
            assert_eq!(found, expected, "room {room} of {rooms}, {clients} clients, {members} members");
        };
        check((3, 32, 32, 1), &[]);
        check((1, 2, 6, 1), &[3, 5]);
        check((0, 1, 1, 4), &[1, 2, 3]);
        check((3, 4, 4, 3), &[0, 1]);
        check((1, 2, 4, 4), &[0, 2, 3]);
    }
}
