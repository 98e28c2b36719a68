//! A server that was away while another one had much to tell it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::load::arguments::Arguments;
use crate::load::client::{Client, encoded};
use crate::load::error::Result;
use crate::load::report::Report;
use crate::load::server::{Server, Servers};
use crate::load::statistics::Samples;

use super::federate::{Pair, count_messages, marked, wait_for_last};

/// Between two messages to the third server.
const PAUSE: Duration = Duration::from_millis(20);

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

pub(super) fn catch_up(arguments: &mut Arguments) -> Result<Report> {
    let mut servers = Servers::take(arguments, 3)?;
    let rooms: usize = arguments.value("rooms", 100)?;
    let events: usize = arguments.value("events", 100_000)?;
    let away = Duration::from_secs(arguments.value("away-seconds", 0)?);
    arguments.finish()?;
    let messages = events / rooms;
    let mut senders = servers.get(0).target.register_many(8.min(rooms))?;
    let mut receiver = servers.get(1).target.register()?;
    let mut room_ids = Vec::with_capacity(rooms);
    for number in 0..rooms {
        let sender = &mut senders[number % 8.min(rooms)];
        let room_id = sender.create_room()?;
        receiver.join_through(&room_id, sender.server_name())?;
        room_ids.push(encoded(&room_id));
    }
    let mut pair = Pair::new(servers.get(0), servers.get(2))?;
    let mut report = Report::new("federate-catch-up");
    let before = latency(&mut pair, Duration::from_secs(5))?;
    report_latency(&mut report, "to another server before", before);

    servers.get_mut(1).stop()?;
    let began = Instant::now();
    fill(&mut senders, &room_ids, messages)?;
    report.figure("sent meanwhile", (messages * rooms) as f64 / began.elapsed().as_secs_f64(), "messages/s");
    sleep(away.saturating_sub(began.elapsed()));
    report.figure("away for", began.elapsed().as_secs_f64(), "s");
    let alone = latency(&mut pair, Duration::from_secs(5))?;
    report_latency(&mut report, "to another server while it is away", alone);
    let memory_before = memory(servers.get(0))?;

    servers.get_mut(1).start()?;
    let (a, b) = (servers.get(0), servers.get(1));
    let began = Instant::now();
    // Whoever speaks is up, and what waits for it is sent at once.
    receiver.send_message(&room_ids[0], "back")?;
    let over = AtomicBool::new(false);
    let (seen, during, most) = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut samples = Samples::default();
            while !over.load(Ordering::Relaxed) {
                samples.add(pair.send_one(PAUSE)?);
            }
            Ok::<_, crate::load::error::LoadError>(samples)
        });
        let most = scope.spawn(|| {
            let mut most = (0.0, 0.0);
            while !over.load(Ordering::Relaxed) {
                most = (f64::max(most.0, memory(a)?), f64::max(most.1, memory(b)?));
                sleep(LOOK);
            }
            Ok::<_, crate::load::error::LoadError>(most)
        });
        let seen = wait_for_last(&mut receiver, rooms, messages);
        over.store(true, Ordering::Relaxed);
        (seen, others.join().expect("no sender panics"), most.join().expect("looking does not panic"))
    });
    let took = seen? - began;
    let most = most?;
    report.figure("caught up after", took.as_secs_f64(), "s");
    report_latency(&mut report, "to another server meanwhile", during?);
    report.figure("memory of the sender before", memory_before, "MiB");
    report.figure("memory of the sender, at most", most.0, "MiB");
    report.figure("memory of the receiver, at most", most.1, "MiB");
    let arrived: usize = room_ids.iter().map(|room| count_messages(&mut receiver, room)).sum::<Result<usize>>()?;
    report.figure("arrived", arrived as f64, "messages");
    Ok(report)
}

fn memory(server: &Server) -> Result<f64> {
    Ok(server.usage()?.map_or(0.0, |usage| usage.resident as f64 / 1_048_576.0))
}

fn latency(pair: &mut Pair, time: Duration) -> Result<Samples> {
    let mut samples = Samples::default();
    let began = Instant::now();
    while began.elapsed() < time {
        samples.add(pair.send_one(PAUSE)?);
    }
    Ok(samples)
}

fn report_latency(report: &mut Report, name: &str, mut samples: Samples) {
    report.milliseconds(format!("{name}, median"), samples.median());
    report.milliseconds(format!("{name}, 95 %"), samples.percentile(95));
}

/// Sends `messages` messages to each room, by who made it.
fn fill(senders: &mut [Client], rooms: &[String], messages: usize) -> Result<()> {
    let count = senders.len();
    let of_sender = |(first, sender): (usize, &mut Client)| -> Result<()> {
        for (number, room) in rooms.iter().enumerate().skip(first).step_by(count) {
            (0..messages).try_for_each(|i| sender.send_message(room, &marked(number, i)))?;
        }
        Ok(())
    };
    let of_sender = &of_sender;
    std::thread::scope(|scope| {
        let threads: Vec<_> = senders.iter_mut().enumerate().map(|each| scope.spawn(move || of_sender(each))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no sender panics"))
    })
}
