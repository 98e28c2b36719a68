//! `/messages`: clients that page through a room's history.

use crate::load::arguments::Arguments;
use crate::load::client::{Client, encoded, find_string, in_parallel};
use crate::load::connection::find;
use crate::load::error::{LoadError, Result};
use crate::load::measure::{self, Step, Subject};
use crate::load::report::Report;

use super::send::TEXT;

/// How many connections fill the room.
const FILLING: usize = 8;

pub(super) fn messages(arguments: &mut Arguments) -> Result<Report> {
    let subject = Subject::take(arguments)?;
    let clients: usize = arguments.value("clients", 8)?;
    let events: usize = arguments.value("events", 2000)?;
    let page: u32 = arguments.value("page", 100)?;
    arguments.finish()?;
    let mut users = subject.target.register_many(clients.max(1))?;
    let room_id = users[0].create_room()?;
    let joined = room_id.as_str();
    in_parallel(users[1..].iter_mut().map(|user| move || user.join(joined)).collect())?;
    let room = encoded(&room_id);
    let fill = |number: usize| {
        let mut client = users[0].again((number as u64) << 32);
        let room = room.as_str();
        move || (0..events / FILLING).try_for_each(|_| client.send_message(room, TEXT))
    };
    in_parallel((0..FILLING).map(fill).collect())?;

    let worker = |user: Client| {
        let (mut user, room, mut from) = (user, room.as_str(), None::<String>);
        move || {
            let answer = user.messages(room, from.as_deref(), page)?;
            // Only full pages count: the last of a history is shorter, and the next begins at the end again.
            let full = count(answer) == page as usize;
            from = find_string(answer, "end").map(str::to_owned).filter(|_| full);
            if full || from.is_none() {
                Ok(Step::Done)
            } else {
                Err(LoadError::Answer("a page is not full".to_owned()))
            }
        }
    };
    let mut outcome = measure::run(&subject, users.into_iter().map(worker).collect())?;
    let mut report = Report::new("messages");
    report.figure("clients", clients as f64, "");
    report.figure("page", f64::from(page), "events");
    outcome.report_throughput(&mut report, "pages/s");
    outcome.report_latency(&mut report);
    outcome.report_usage(&mut report, "page", outcome.samples.count());
    Ok(report)
}

/// How many events stand in an answer.
fn count(mut answer: &[u8]) -> usize {
    const KEY: &[u8] = b"\"event_id\":";
    let mut count = 0;
    while let Some(at) = find(answer, KEY) {
        count += 1;
        answer = &answer[at + KEY.len()..];
    }
    count
}
