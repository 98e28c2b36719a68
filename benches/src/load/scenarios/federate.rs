//! Two servers that share rooms: joins of large rooms, and messages from one to the other.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::load::arguments::Arguments;
use crate::load::client::{Client, encoded, find_string, in_parallel, string};
use crate::load::connection::find;
use crate::load::error::{LoadError, Result};
use crate::load::report::Report;
use crate::load::server::{Server, Servers};
use crate::load::statistics::Samples;

use super::send::TEXT;

const FILTER: &str = r#"{"room":{"timeline":{"limit":20}}}"#;

/// After so long without an awaited message it counts as lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn join(arguments: &mut Arguments) -> Result<Report> {
    let servers = Servers::take(arguments, 2)?;
    let members: usize = arguments.value("members", 1000)?;
    let rounds: usize = arguments.value("rounds", 5)?;
    arguments.finish()?;
    let (a, b) = (servers.get(0), servers.get(1));
    let mut users = a.target.register_many(members)?;
    let mut samples = Samples::default();
    let mut first = Duration::ZERO;
    let mut report = Report::new("federate-join");
    for round in 0..=rounds {
        let (creator, others) = users.split_first_mut().ok_or_else(|| LoadError::Usage("no members".to_owned()))?;
        let room_id = creator.create_room()?;
        let joined = room_id.as_str();
        in_parallel(others.iter_mut().map(|user| move || user.join(joined)).collect())?;
        let mut joiner = b.target.register()?;
        let began = Instant::now();
        joiner.join_through(&room_id, creator.server_name())?;
        let took = began.elapsed();
        let path = format!("/_matrix/client/v3/rooms/{}/joined_members", encoded(&room_id));
        let known = count(joiner.call("GET", &path, None)?, b"\"@load-");
        if known != members + 1 {
            report.errors += 1;
            report.error_texts.push(format!("{known} members after the join instead of {}", members + 1));
        }
        // Names and keys are found out once, and connections are opened.
        if round == 0 {
            first = took;
        } else {
            samples.add(took);
        }
    }
    report.figure("members", members as f64, "");
    report.milliseconds("the first join", first);
    report.milliseconds("median of the others", samples.median());
    report_memory(&mut report, "memory of the server that joins", b)?;
    Ok(report)
}

/// How often `needle` is in `text`.
fn count(text: &[u8], needle: &[u8]) -> usize {
    let (mut rest, mut count) = (text, 0);
    while let Some(at) = find(rest, needle) {
        rest = &rest[at + needle.len()..];
        count += 1;
    }
    count
}

pub(super) fn report_memory(report: &mut Report, name: &str, server: &Server) -> Result<()> {
    if let Some(usage) = server.usage()? {
        report.figure(name, usage.resident as f64 / 1_048_576.0, "MiB");
    }
    Ok(())
}

/// A user of one server sends, and one of the other waits in `/sync`.
pub(super) struct Pair {
    sender: Client,
    receiver: Client,
    room: String,
    since: String,
    sent: u64,
}

impl Pair {
    pub fn new(a: &Server, b: &Server) -> Result<Pair> {
        let (mut sender, mut receiver) = (a.target.register()?, b.target.register()?);
        let room_id = sender.create_room()?;
        receiver.join_through(&room_id, sender.server_name())?;
        let since = receiver.sync(None, FILTER)?;
        Ok(Pair { sender, receiver, room: encoded(&room_id), since, sent: 0 })
    }

    /// From the start of the request that sends a message until the receiver's `/sync` shows it, after a pause in which the sync
    /// has come to wait.
    pub fn send_one(&mut self, pause: Duration) -> Result<Duration> {
        self.sent += 1;
        let text = format!("message {} to another server", self.sent);
        self.receiver.send_sync(Some(&self.since), 30_000, FILTER)?;
        sleep(pause);
        let began = Instant::now();
        self.sender.start_message(&self.room, &text)?;
        loop {
            let answer = self.receiver.receive_sync()?;
            let took = began.elapsed();
            let found = find(answer, text.as_bytes()).is_some();
            self.since = string(answer, "next_batch")?;
            if found {
                self.sender.finish_message()?;
                return Ok(took);
            }
            if took > PATIENCE {
                return Err(LoadError::Answer(format!("{text:?} did not arrive")));
            }
            self.receiver.send_sync(Some(&self.since), 30_000, FILTER)?;
        }
    }
}

pub(super) fn send_one(arguments: &mut Arguments) -> Result<Report> {
    let servers = Servers::take(arguments, 2)?;
    let pause = Duration::from_millis(arguments.value("pause-ms", 10)?);
    let messages: usize = arguments.value("messages", 300)?;
    arguments.finish()?;
    let mut pair = Pair::new(servers.get(0), servers.get(1))?;
    let mut samples = Samples::default();
    for _ in 0..20 {
        pair.send_one(pause)?;
    }
    for _ in 0..messages {
        samples.add(pair.send_one(pause)?);
    }
    let mut report = Report::new("federate-send-one");
    for (name, percent) in [("median", 50), ("95 %", 95), ("99 %", 99)] {
        report.milliseconds(name, samples.percentile(percent));
    }
    Ok(report)
}

pub(super) fn send(arguments: &mut Arguments) -> Result<Report> {
    let servers = Servers::take(arguments, 2)?;
    let rooms: usize = arguments.value("rooms", 16)?;
    let messages: usize = arguments.value("messages", 2000)?;
    arguments.finish()?;
    let (a, b) = (servers.get(0), servers.get(1));
    let senders = a.target.register_many(rooms)?;
    let mut receiver = b.target.register()?;
    let mut senders: Vec<(Client, String)> = senders
        .into_iter()
        .map(|mut sender| {
            let room_id = sender.create_room()?;
            receiver.join_through(&room_id, sender.server_name())?;
            Ok((sender, encoded(&room_id)))
        })
        .collect::<Result<_>>()?;
    let room_ids: Vec<String> = senders.iter().map(|(_, room)| room.clone()).collect();
    // One in each room to warm up, and so that both servers know each other.
    for (sender, room) in &mut senders {
        sender.send_message(room, "beginning")?;
    }
    let usage = (a.usage()?, b.usage()?);
    let began = Instant::now();
    let (sent, seen) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| wait_for_last(&mut receiver, rooms, messages));
        let tasks = senders.iter_mut().enumerate().map(|(number, (sender, room))| {
            scope.spawn(move || (0..messages).try_for_each(|i| sender.send_message(room, &marked(number, i))))
        });
        let tasks: Vec<_> = tasks.collect();
        let sent: Result<()> = tasks.into_iter().try_for_each(|task| task.join().expect("no sender panics"));
        let sent = sent.map(|()| began.elapsed());
        (sent, watcher.join().expect("the watcher does not panic").map(|at| at - began))
    });
    let (sent, seen) = (sent?, seen?);
    let usage = [(a, usage.0, "A"), (b, usage.1, "B")].map(|(server, before, name)| (server.usage(), before, name));
    let total = rooms * messages;
    let arrived: usize = room_ids.iter().map(|room| count_messages(&mut receiver, room)).sum::<Result<usize>>()?;
    let mut report = Report::new("federate-send");
    report.figure("rooms, each with one sender", rooms as f64, "");
    report.figure("sent", total as f64, "messages");
    report.figure("arrived", arrived as f64, "messages");
    report.figure("sending", total as f64 / sent.as_secs_f64(), "messages/s");
    report.figure("until all are seen on the other server", total as f64 / seen.as_secs_f64(), "messages/s");
    report.milliseconds("the last is seen after it was sent", seen.saturating_sub(sent));
    for (after, before, name) in usage {
        if let (Some(after), Some(before)) = (after?, before) {
            let used = after.since(before);
            report.figure(format!("CPU of {name} per message"), used.cpu.as_secs_f64() * 1e6 / total as f64, "us");
            report.figure(format!("memory of {name}"), used.resident as f64 / 1_048_576.0, "MiB");
        }
    }
    if arrived != total {
        report.errors += 1;
        report.error_texts.push(format!("{arrived} of {total} messages arrived"));
    }
    Ok(report)
}

/// The text of a message that can be told from all others.
pub(super) fn marked(room: usize, number: usize) -> String {
    format!("{TEXT} {room}.{number}.")
}

/// Syncs until the last message of each room has been seen; when that was.
pub(super) fn wait_for_last(receiver: &mut Client, rooms: usize, messages: usize) -> Result<Instant> {
    let mut missing: BTreeSet<usize> = (0..rooms).collect();
    let mut since: Option<String> = None;
    let began = Instant::now();
    let mut last_news = began;
    loop {
        receiver.send_sync(since.as_deref(), 1000, FILTER)?;
        let answer = receiver.receive_sync()?;
        missing.retain(|room| find(answer, marked(*room, messages - 1).as_bytes()).is_none());
        let now = Instant::now();
        if missing.is_empty() {
            return Ok(now);
        }
        if find(answer, TEXT.as_bytes()).is_some() {
            last_news = now;
        }
        if now - last_news > PATIENCE {
            return Err(LoadError::Answer(format!("the last messages of {} rooms did not arrive", missing.len())));
        }
        since = Some(string(answer, "next_batch")?);
    }
}

/// How many different messages of [`marked`] there are in a room.
pub(super) fn count_messages(client: &mut Client, room: &str) -> Result<usize> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut from: Option<String> = None;
    loop {
        let page = client.messages(room, from.as_deref(), 1000)?;
        let mut rest = page;
        while let Some(at) = find(rest, TEXT.as_bytes()) {
            rest = &rest[at + TEXT.len()..];
            let end = rest.iter().position(|byte| *byte == b'"').unwrap_or(rest.len());
            found.insert(String::from_utf8_lossy(&rest[..end]).into_owned());
        }
        match find_string(page, "end") {
            Some(end) => from = Some(end.to_owned()),
            None => return Ok(found.len()),
        }
    }
}
