//! Why a resolved state has at a key what it has.

use alloc::vec::Vec;
use core::fmt;

use super::checks::Resolution;
use super::conflict::Conflicts;
use super::{Error, Room, different, run};
use crate::auth_rules::Verdict;
use crate::identifiers::EventId;
use crate::store::state_map::{self, Nodes, StateId, StateKeyHash};

pub use super::mainline::Position;

/// When an event was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Among the power events and their auth chains, by power.
    Power,
    /// Among the others, by the position on the mainline of power levels.
    Mainline(Position),
    /// Room version 1, of events that decide about others: after the one before it.
    InLine,
    /// Room version 1, of other events: the newest first.
    Newest,
}

/// One event that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    pub event: u32,
    pub event_id: EventId,
    /// How many events were judged before it, of all keys.
    pub order: usize,
    pub phase: Phase,
    pub verdict: Verdict,
}

/// How the result at a key came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All states have the same there, or all have nothing.
    Agreed(Option<u32>),
    /// It was the last event that was allowed there.
    Won(u32),
    /// Room version 1: it was not judged, because the first in line need not be, or because no candidate was allowed.
    FirstInLine(u32),
    /// The states disagree, and nothing was allowed.
    Nothing,
}

/// Why a resolved state has at a key what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What the states have there, each event with the states that have it, as places in the list of different states.
    pub candidates: Vec<(u32, EventId, Vec<usize>)>,
    /// The events of this key that were judged, in their order. Not only candidates: the auth difference brings others.
    pub considered: Vec<Considered>,
    pub outcome: Outcome,
}

/// Resolves `sets` as [`super::resolve`] does, and tells how the result at `key` came about. Writes nothing.
///
/// # Errors
/// See [`Error`].
pub fn explain(room: &Room<'_>, nodes: &dyn Nodes, sets: &[StateId], key: &StateKeyHash) -> Result<Explanation, Error> {
    let sets = different(sets);
    let agreed = |outcome| Explanation { candidates: Vec::new(), considered: Vec::new(), outcome };
    let (first, rest) = match &sets[..] {
        [] => return Ok(agreed(Outcome::Agreed(None))),
        [only] => return Ok(agreed(Outcome::Agreed(state_map::get(nodes, *only, key)?))),
        [first, rest @ ..] => (*first, rest),
    };
    let conflicts = Conflicts::find(nodes, first, rest)?;
    let mut resolution = Resolution::new(room, nodes, first, &conflicts);
    resolution.trace = Some(Vec::new());
    run(&mut resolution)?;

    let mut considered = Vec::new();
    for (order, judgement) in resolution.trace.take().unwrap_or_default().into_iter().enumerate() {
        if resolution.graph.key(judgement.place) == *key {
            considered.push(Considered {
                event: resolution.graph.index(judgement.place),
                event_id: judgement.event_id(&mut resolution)?,
                order,
                phase: judgement.phase,
                verdict: judgement.verdict,
            });
        }
    }
    let mut candidates = Vec::new();
    let conflict = conflicts.at(key);
    for (event, in_sets) in conflict.map(|conflict| conflicts.candidates(conflict)).unwrap_or_default() {
        let place = resolution.graph.meet(*event)?;
        let in_sets = (0..sets.len()).filter(|set| in_sets >> set & 1 == 1).collect();
        candidates.push((*event, resolution.event(place)?.pdu.event_id.clone(), in_sets));
    }
    let result = resolution.result(key)?.map(|place| resolution.graph.index(place));
    let allowed = |event| considered.iter().any(|other: &Considered| other.event == event && other.verdict.allowed);
    let outcome = match result {
        None if conflict.is_none() => Outcome::Agreed(None),
        None => Outcome::Nothing,
        Some(event) if conflict.is_none() && state_map::get(nodes, first, key)? == Some(event) => {
            Outcome::Agreed(Some(event))
        }
        Some(event) if allowed(event) => Outcome::Won(event),
        Some(event) => Outcome::FirstInLine(event),
    };
    Ok(Explanation { candidates, considered, outcome })
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Phase::Power => f.write_str("power events"),
            Phase::Mainline(Some(position)) => write!(f, "mainline position {position}"),
            Phase::Mainline(None) => f.write_str("not on the mainline"),
            Phase::InLine => f.write_str("by depth"),
            Phase::Newest => f.write_str("newest first"),
        }
    }
}

impl fmt::Display for Explanation {
    /// A line for each candidate, one for each judgement in their order, and one for the outcome.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, event_id, sets) in &self.candidates {
            write!(f, "candidate {event_id} of state")?;
            for set in sets {
                write!(f, " {set}")?;
            }
            writeln!(f)?;
        }
        for Considered { event_id, order, phase, verdict, .. } in &self.considered {
            let allowed = if verdict.allowed { "allowed" } else { "refused" };
            writeln!(f, "{order}. {event_id} ({phase}): {allowed} by {verdict}")?;
        }
        match self.outcome {
            Outcome::Agreed(None) => f.write_str("no state has anything here"),
            Outcome::Agreed(Some(_)) => f.write_str("all states have the same here"),
            Outcome::Won(event) => write!(f, "{} is the last that was allowed", self.name(event)),
            Outcome::FirstInLine(event) => {
                write!(f, "{} is first in line, and stands where nothing after it is allowed", self.name(event))
            }
            Outcome::Nothing => f.write_str("nothing was allowed here"),
        }
    }
}

impl Explanation {
    /// The ID of an event that is told of.
    fn name(&self, event: u32) -> &str {
        let judged = self.considered.iter().map(|considered| (considered.event, &considered.event_id));
        let candidates = self.candidates.iter().map(|(event, event_id, _)| (*event, event_id));
        let name = judged.chain(candidates).find(|(other, _)| *other == event);
        name.map_or("an event", |(_, event_id)| event_id.as_str())
    }
}
