//! The trace: every input and every effect of every server, with its time. Its hash says whether two runs were the same; its
//! lines (`--trace`; the legend is in `sim/README.md`) say what happened.

use std::fmt::Write as _;

use orrery_core::effect::Effect;
use orrery_core::http::Request;
use orrery_core::input::{Input, Outcome};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::clock::Time;

/// Where the lines go.
pub type Sink = Box<dyn FnMut(&str)>;

/// The hash so far, and where lines go if anybody wants them.
pub struct Trace {
    hash: Hash,
    sink: Option<Sink>,
    /// Bodies are cut to this many characters.
    width: usize,
    pub inputs: u64,
    pub effects: u64,
}

/// Which server, in which of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    pub server: u32,
    /// 1 is the first start.
    pub life: u32,
}

impl Trace {
    #[must_use]
    pub fn new(sink: Option<Sink>, width: usize) -> Trace {
        Trace { hash: Hash::default(), sink, width, inputs: 0, effects: 0 }
    }

    pub fn input(&mut self, now: Time, place: Place, input: &Input) {
        self.inputs += 1;
        self.record(&(now.0, place, 0u8, input));
        self.line(now, place, '>', |width| describe_input(input, width));
    }

    pub fn effect(&mut self, now: Time, place: Place, effect: &Effect) {
        self.effects += 1;
        self.record(&(now.0, place, 1u8, effect));
        self.line(now, place, '<', |width| describe_effect(effect, width));
    }

    /// Something of the host that no input or effect shows: a start, a crash, a fault.
    pub fn note(&mut self, now: Time, place: Place, what: &str) {
        self.record(&(now.0, place, 2u8, what));
        self.line(now, place, '*', |_| what.to_owned());
    }

    /// The hash of everything up to now.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = self.hash.hash.clone();
        hash.update(&self.hash.buffer);
        hash.finalize().into()
    }

    fn record(&mut self, entry: &impl Serialize) {
        let hash = std::mem::take(&mut self.hash);
        self.hash = postcard::serialize_with_flavor(entry, hash).expect("inputs and effects have only plain data");
    }

    fn line(&mut self, now: Time, place: Place, sign: char, describe: impl FnOnce(usize) -> String) {
        if let Some(sink) = &mut self.sink {
            sink(&format!("{now} s{}.{} {sign} {}", place.server, place.life, describe(self.width)));
        }
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace").field("inputs", &self.inputs).field("effects", &self.effects).finish_non_exhaustive()
    }
}

/// A hash that postcard writes into, through a small buffer.
#[derive(Default)]
struct Hash {
    hash: Sha256,
    buffer: Vec<u8>,
}

const BUFFER: usize = 4_096;

impl Flavor for Hash {
    type Output = Hash;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.hash.update(&self.buffer);
            self.buffer.clear();
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Hash> {
        Ok(self)
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// To how many characters bodies are cut, if nobody says.
pub const WIDTH: usize = 240;

/// The start of a body, on one line. Passwords and tokens of virtual users are no secrets, so nothing is hidden.
fn body(bytes: &[u8], width: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out: String = text.chars().take(width).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(width).is_some() {
        let _ = write!(out, "… ({} bytes)", bytes.len());
    }
    out
}

fn request_line(request: &Request, width: usize) -> String {
    let method = format!("{:?}", request.method).to_uppercase();
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let who = request.authorization.as_deref().map_or("-", |header| &header[header.len().saturating_sub(4)..]);
    format!("{method} {}{query} {who} {}", request.path, body(&request.body, width))
}

fn describe_input(input: &Input, width: usize) -> String {
    match input {
        Input::Request { id, request } => format!("request {} {}", id.0, request_line(request, width)),
        Input::Hangup { id } => format!("hangup {}", id.0),
        Input::Resolved { call, outcome } => {
            let outcome = match outcome {
                Outcome::Failed(why) => format!("failed: {why}"),
                other => format!("{other:?}"),
            };
            format!("resolved {} {outcome}", call.0)
        }
        Input::Durable { commit } => format!("durable {}", commit.0),
        Input::Wake => "wake".to_owned(),
    }
}

fn describe_effect(effect: &Effect, width: usize) -> String {
    match effect {
        Effect::Commit { id, batch } => {
            let bytes: usize =
                batch.writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, |value| value.len())).sum();
            format!("commit {} writes={} bytes={bytes}", id.0, batch.writes.len())
        }
        Effect::Reply { id, response } => format!("reply {} {} {}", id.0, response.status, body(&response.body, width)),
        Effect::Query { id, query } => format!("query {} {}", id.0, request_line(&query.request, width)),
        Effect::Compute { call, job } => format!("compute {} {job:?}", call.0),
        Effect::Fetch { call, fetch } => format!("fetch {} {fetch:?}", call.0),
        Effect::Lookup { call, name } => format!("lookup {} {name}", call.0),
        Effect::Abandon { call } => format!("abandon {}", call.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_core::effect::CommitId;

    const PLACE: Place = Place { server: 0, life: 1 };

    fn hash_of(inputs: &[(u64, Input)]) -> [u8; 32] {
        let mut trace = Trace::new(None, WIDTH);
        for (time, input) in inputs {
            trace.input(Time(*time), PLACE, input);
        }
        trace.hash()
    }

    #[test]
    fn the_hash_covers_time_order_and_content() {
        let wake = (1, Input::Wake);
        let durable = (1, Input::Durable { commit: CommitId(1) });
        let both = hash_of(&[wake.clone(), durable.clone()]);
        assert_eq!(both, hash_of(&[wake.clone(), durable.clone()]));
        assert_ne!(both, hash_of(&[durable.clone(), wake.clone()]));
        assert_ne!(both, hash_of(&[wake.clone(), (2, durable.1.clone())]));
        assert_ne!(both, hash_of(&[wake.clone(), (1, Input::Durable { commit: CommitId(2) })]));
        assert_ne!(both, hash_of(&[wake]));
    }

    #[test]
    fn lines_are_written_for_those_who_want_them() {
        let lines = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let sink = lines.clone();
        let mut trace = Trace::new(Some(Box::new(move |line| sink.borrow_mut().push(line.to_owned()))), WIDTH);
        trace.input(Time(1_500_000), PLACE, &Input::Wake);
        trace.effect(Time(1_500_001), PLACE, &Effect::Commit { id: CommitId(3), batch: Default::default() });
        assert_eq!(*lines.borrow(), ["   1.500000 s0.1 > wake", "   1.500001 s0.1 < commit 3 writes=0 bytes=0"]);
    }
}
