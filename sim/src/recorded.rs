//! Replaying a recording of the shell (`orrery serve --record`): the same core, on the same rows, with the same inputs at the same
//! times. What it hands out is compared with what it handed out then.

use std::io::{self, Read};

use bytes::Bytes;
use orrery_core::Homeserver;
use orrery_core::config::Config;
use orrery_core::effect::Effect;
use orrery_core::input::Input;
use orrery_core::query;
use orrery_core::recording::{self, Entry, FRAME_HEAD, MAGIC, Start};
use orrery_core::router::Router;
use orrery_core::store::tables::Write;
use orrery_core::time::Timestamp;

use crate::clock::{Span, Time};
use crate::failure::{Failure, Kind};
use crate::glance;
use crate::runner::caught;
use crate::storage::{Disk, Lie, SimStorage, Visibility};
use crate::trace::{Place, Sink, Trace};

/// Whether a file begins as recordings do.
pub fn is_recording(mut file: impl Read) -> io::Result<bool> {
    let mut begin = Vec::new();
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    Ok(begin == MAGIC)
}

/// How a recording is replayed.
#[derive(Default)]
pub struct Options {
    /// Where lines of the trace go.
    pub sink: Option<Sink>,
    /// Bodies in it are cut to so many characters.
    pub width: usize,
    /// Stops so long after the first start.
    pub until: Option<Span>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub hash: [u8; 32],
    pub inputs: u64,
    pub effects: u64,
    pub lives: u32,
    /// The time of the last entry, from the first start on.
    pub end: Time,
    /// The recording stops in the middle of an entry: the host was stopped by force.
    pub is_cut: bool,
    /// What the rooms look like at the time that was asked for.
    pub rooms: Vec<String>,
    /// `None`: the core did what it had done.
    pub failure: Option<Failure>,
}

/// Why nothing can be replayed.
#[derive(Debug)]
pub enum Unusable {
    Io(io::Error),
    /// The file is no recording.
    NotOne,
    /// The frame at this offset, in bytes, is broken.
    Broken(u64),
    /// The core does not start on what is recorded.
    Start(String),
    /// The entry at this offset does not follow those before.
    OutOfOrder(u64),
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unusable::Io(error) => error.fmt(f),
            Unusable::NotOne => f.write_str("not a recording"),
            Unusable::Broken(at) => {
                write!(f, "at byte {at} there is something that is no entry of a recording of this version")
            }
            Unusable::Start(why) => write!(f, "the core does not start: {why}"),
            Unusable::OutOfOrder(at) => write!(f, "the entry at byte {at} does not follow those before it"),
        }
    }
}

impl std::error::Error for Unusable {}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Unusable {
        Unusable::Io(error)
    }
}

/// Replays a recording to its end, or to the first thing that is not as it was.
pub fn replay(file: impl Read, options: Options) -> Result<Outcome, Unusable> {
    let mut frames = Frames::open(file)?;
    let mut replay = Replay {
        trace: Trace::new(options.sink, options.width),
        until: options.until,
        begun: None,
        now: Timestamp(0),
        lives: 0,
        rows: Vec::new(),
        life: None,
    };
    let failure = loop {
        let at = frames.at;
        match frames.next()? {
            None => break None,
            Some(entry) => match replay.take(entry).map_err(|unusable| unusable.at(at))? {
                Step::On => {}
                Step::Stop => break None,
                Step::Fails(failure) => break Some(failure),
            },
        }
    };
    let rooms = match &replay.life {
        Some(life) if replay.until.is_some() => glance::lines(&life.disk.look()),
        _ => Ok(Vec::new()),
    };
    Ok(Outcome {
        hash: replay.trace.hash(),
        inputs: replay.trace.inputs,
        effects: replay.trace.effects,
        lives: replay.lives,
        end: replay.time(),
        is_cut: frames.is_cut,
        rooms: rooms.unwrap_or_else(|error| vec![format!("the rooms cannot be read: {error}")]),
        failure,
    })
}

/// Entries, one after the other.
struct Frames<R> {
    file: R,
    /// The offset of the next one.
    at: u64,
    is_cut: bool,
}

impl<R: Read> Frames<R> {
    fn open(mut file: R) -> Result<Frames<R>, Unusable> {
        if !is_recording(&mut file)? {
            return Err(Unusable::NotOne);
        }
        Ok(Frames { file, at: MAGIC.len() as u64, is_cut: false })
    }

    /// The next entry, unless the recording ends before it or within it.
    fn next(&mut self) -> Result<Option<Entry>, Unusable> {
        let Some(head) = self.bytes(FRAME_HEAD)? else { return Ok(None) };
        let broken = |_| Unusable::Broken(self.at);
        let head = head.try_into().map_err(|_| Unusable::Broken(self.at))?;
        let len = recording::entry_len(head).map_err(broken)?;
        let Some(entry) = self.bytes(len)? else {
            self.is_cut = true;
            return Ok(None);
        };
        let entry = recording::decode(&entry).map_err(|_| Unusable::Broken(self.at))?;
        self.at += (FRAME_HEAD + len) as u64;
        Ok(Some(entry))
    }

    fn bytes(&mut self, len: usize) -> Result<Option<Vec<u8>>, Unusable> {
        let mut bytes = Vec::new();
        self.file.by_ref().take(len as u64).read_to_end(&mut bytes)?;
        self.is_cut |= !bytes.is_empty() && bytes.len() < len;
        Ok((bytes.len() == len).then_some(bytes))
    }
}

/// What follows from an entry.
enum Step {
    On,
    /// The time that was asked for has come.
    Stop,
    Fails(Failure),
}

/// What is wrong with an entry.
enum Wrong {
    OutOfOrder,
    Start(String),
}

impl Wrong {
    fn at(self, at: u64) -> Unusable {
        match self {
            Wrong::OutOfOrder => Unusable::OutOfOrder(at),
            Wrong::Start(why) => Unusable::Start(why),
        }
    }
}

struct Replay {
    trace: Trace,
    until: Option<Span>,
    /// When the first life began.
    begun: Option<Timestamp>,
    now: Timestamp,
    lives: u32,
    /// For the next life.
    rows: Vec<(Bytes, Bytes)>,
    life: Option<Life>,
}

/// A core that runs.
struct Life {
    core: Homeserver<SimStorage>,
    disk: Disk,
    /// The last commit that is durable.
    durable: u64,
    config: Config,
    router: Router,
}

impl Replay {
    fn time(&self) -> Time {
        Time(self.now.since(self.begun.unwrap_or(self.now)) * 1_000)
    }

    fn place(&self) -> Place {
        Place { server: 0, life: self.lives }
    }

    fn take(&mut self, entry: Entry) -> Result<Step, Wrong> {
        match entry {
            Entry::Rows(rows) => self.rows.extend(rows),
            Entry::Start(start) => return self.start(*start),
            Entry::Input { now, input } => {
                self.now = now;
                if self.until.is_some_and(|until| self.time() > Time(0) + until) {
                    return Ok(Step::Stop);
                }
                return self.input(now, input);
            }
            Entry::Drained(expected) => return self.drain(&expected),
            Entry::End { why } => {
                if self.life.take().is_none() {
                    return Err(Wrong::OutOfOrder);
                }
                self.trace.note(self.time(), self.place(), &format!("end: {why}"));
            }
        }
        Ok(Step::On)
    }

    fn start(&mut self, start: Start) -> Result<Step, Wrong> {
        let Start { made_by, config, seed, now } = start;
        self.begun.get_or_insert(now);
        self.now = now;
        self.lives += 1;
        let note = format!("start of {} by version {made_by}, {} rows", config.server_name, self.rows.len());
        self.trace.note(self.time(), self.place(), &note);
        let disk = Disk::new(Visibility::WhenDurable, Lie::None);
        let mut storage = disk.storage();
        for (key, value) in std::mem::take(&mut self.rows) {
            storage.write(key.to_vec(), Some(value));
        }
        let core = match caught(|| Homeserver::new(config.clone(), seed, storage, now)) {
            Ok(core) => core.map_err(|error| Wrong::Start(format!("{error:?}")))?,
            Err(failure) => return Ok(Step::Fails(failure)),
        };
        self.life = Some(Life { core, disk, durable: 0, config, router: Router::new() });
        Ok(Step::On)
    }

    fn input(&mut self, now: Timestamp, input: Input) -> Result<Step, Wrong> {
        let (time, place) = (self.time(), self.place());
        let life = self.life.as_mut().ok_or(Wrong::OutOfOrder)?;
        self.trace.input(time, place, &input);
        if let Input::Durable { commit } = &input
            && commit.0 > life.durable
        {
            let count = usize::try_from(commit.0 - life.durable).map_err(|_| Wrong::OutOfOrder)?;
            if !life.disk.start_group(count) || life.disk.finish_group() != *commit {
                return Err(Wrong::OutOfOrder);
            }
            life.durable = commit.0;
        }
        Ok(match caught(|| life.core.handle(now, input)) {
            Ok(()) => Step::On,
            Err(failure) => Step::Fails(failure),
        })
    }

    /// The host took the effects: they must be those that it got then.
    fn drain(&mut self, expected: &[u64]) -> Result<Step, Wrong> {
        let (time, place, now) = (self.time(), self.place(), self.now);
        let life = self.life.as_mut().ok_or(Wrong::OutOfOrder)?;
        let effects: Vec<Effect> = match caught(|| life.core.drain().collect()) {
            Ok(effects) => effects,
            Err(failure) => return Ok(Step::Fails(failure)),
        };
        let mut expected = expected.iter();
        for effect in effects {
            self.trace.effect(time, place, &effect);
            if expected.next() != Some(&recording::digest(&effect)) {
                return Ok(Step::Fails(other(time, &format!("it does not hand out what it did then, but {effect:?}"))));
            }
            match effect {
                Effect::Commit { id, batch } => life.disk.push(id, batch),
                Effect::Query { id, query } => {
                    let answer =
                        caught(|| query::run(&life.router, &life.disk.durable(), &life.config, now, id, &query));
                    match answer {
                        Ok(answer) => self.trace.note(time, place, &format!("answer {} {}", id.0, answer.status)),
                        Err(failure) => return Ok(Step::Fails(failure)),
                    }
                }
                _ => {}
            }
        }
        match expected.len() {
            0 => Ok(Step::On),
            missing => Ok(Step::Fails(other(time, &format!("{missing} more effects were handed out then")))),
        }
    }
}

/// The core does something else than it did.
fn other(time: Time, what: &str) -> Failure {
    Failure { kind: Kind::Determinism, checker: "recording", evidence: format!("at {time}: {what}") }
}

#[cfg(test)]
mod tests;
