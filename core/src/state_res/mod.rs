//! State resolution (Server-Server API, "Room State Resolution"; "State resolution" on each room version's page): which state
//! a room has where branches of its history meet.
//!
//! [`resolve`] is a pure function from states to a state. Events are the integers that states hold; a resolution parses each
//! event that it needs once. What the states agree on is neither copied nor read: the conflict is found by comparing the
//! states' nodes ([`conflict`]), the auth difference by walking the graph of auth events from its newest event down until
//! everything below is shared ([`auth_difference`]), and the result is written as changes to one of the states. So the cost
//! is that of the conflict, whatever the size of the room.
//!
//! Which algorithm a room has is [`RoomVersionRules::state_resolution`]: [`v1`], or [`v2`] in two variants.
//!
//! # Where the text leaves room
//! - *Auth chain of a state.* An event of a state counts to the full auth chain of that state, as with every server in use. By
//!   the letter an event that all states have, but that only some states' events cite, would be in the auth difference; it would
//!   be judged in vain, because in the end the state that all agree on takes its place again.
//! - *Power events' auth chains* are followed within the full conflicted set, and so are the edges of the ordering.
//! - *Power events* are the room's power levels and join rules: those with an empty state key, as with every server in use.
//! - *Rejected events* that stand in a state count there as any other ("handled as usual"); only as auth events to fall back on
//!   they do not.
//! - *Version 1* does not say in which state the members are judged while several of them are in conflict: they are judged
//!   each by itself, in a state that has none of the others. Where no candidate passes, the last one counts.
//!
//! # The bound
//! States whose full conflicted set has more than [`MAX_FULL_CONFLICTED_SET`] events, or more than [`MAX_STATE_SETS`] different
//! states, are not resolved: the answer is [`Error::TooMuch`]. It depends on the states and the graph of auth events alone, so
//! every server that has both answers the same. There is no state where such states meet: an event that would be there is
//! rejected, and a room whose extremities have such states keeps the state it had.

mod auth_difference;
mod checks;
mod conflict;
mod explain;
mod graph;
mod index_map;
mod mainline;
mod power_ordering;
mod subgraph;
mod v1;
mod v2;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::event::Pdu;
use crate::limits::{MAX_FULL_CONFLICTED_SET, MAX_STATE_SETS};
use crate::room_version::{RoomVersionRules, StateResolution};
use crate::store::StorageError;
use crate::store::auth_chain::AuthChains;
use crate::store::state_map::{self, NodesMut, StateId};
use checks::Resolution;
use conflict::Conflicts;

#[cfg(test)]
mod tests;

pub use explain::{Considered, Explanation, Outcome, Phase, explain};

/// An event as resolution needs it.
#[derive(Clone, Debug)]
pub struct RoomEvent {
    pub pdu: Arc<Pdu>,
    /// It was rejected: its place is in no state of our own making, and it is no auth event to fall back on.
    pub rejected: bool,
}

/// Where the events of a room are read from.
pub trait Events {
    /// The event with this index.
    ///
    /// # Errors
    /// Storage failed, or the event is not there.
    fn event(&self, index: u32) -> Result<RoomEvent, StorageError>;
}

/// A room, as resolution reads it.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    pub rules: &'static RoomVersionRules,
    /// The index of the room's create event.
    pub create: u32,
    pub events: &'a dyn Events,
    pub chains: &'a dyn AuthChains,
}

impl fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("version", &self.rules.version).finish_non_exhaustive()
    }
}

/// What came of a resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub state: StateId,
    /// How many state keys were in conflict.
    pub conflicts: usize,
    /// How many events were judged for it.
    pub judged: usize,
}

/// How much was resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolutions {
    /// How often different states met.
    pub count: u64,
    /// How many state keys were in conflict in all of them.
    pub conflicts: u64,
    /// How many events were judged for them.
    pub judged: u64,
}

impl Resolutions {
    /// One more.
    pub fn note(&mut self, resolved: &Resolved) {
        self.add(Resolutions { count: 1, conflicts: resolved.conflicts as u64, judged: resolved.judged as u64 });
    }

    pub fn add(&mut self, other: Resolutions) {
        self.count += other.count;
        self.conflicts += other.conflicts;
        self.judged += other.judged;
    }
}

/// Why there is no resolved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    Storage(StorageError),
    /// More different states than [`MAX_STATE_SETS`], or more events in conflict than [`MAX_FULL_CONFLICTED_SET`].
    TooMuch,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Storage(error) => error.fmt(f),
            Error::TooMuch => write!(
                f,
                "more than {MAX_STATE_SETS} states or {MAX_FULL_CONFLICTED_SET} events are in conflict: they are not resolved"
            ),
        }
    }
}

impl core::error::Error for Error {}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Error {
        Error::Storage(error)
    }
}

/// Resolves `sets`, the states after the previous events of an event or after a room's forward extremities, to the state where
/// they meet, and puts the nodes that are new in it. Of no states that is the empty state.
///
/// # Errors
/// See [`Error`].
pub fn resolve(room: &Room<'_>, nodes: &mut dyn NodesMut, sets: &[StateId]) -> Result<Resolved, Error> {
    let sets = different(sets);
    let (first, rest) = match &sets[..] {
        [] => return Ok(Resolved { state: StateId::EMPTY, conflicts: 0, judged: 0 }),
        [only] => return Ok(Resolved { state: *only, conflicts: 0, judged: 0 }),
        [first, rest @ ..] => (*first, rest),
    };
    let conflicts = Conflicts::find(nodes, first, rest)?;
    let mut resolution = Resolution::new(room, &*nodes, first, &conflicts);
    run(&mut resolution)?;
    let ((base, changes), judged) = (resolution.changes()?, resolution.judged);
    let state = state_map::apply(nodes, sets[base], &changes)?;
    Ok(Resolved { state, conflicts: conflicts.len(), judged })
}

fn run(resolution: &mut Resolution<'_>) -> Result<(), Error> {
    match resolution.room.rules.state_resolution {
        StateResolution::V1 => v1::run(resolution),
        StateResolution::V2 => v2::run(resolution, false),
        StateResolution::V2_1 => v2::run(resolution, true),
    }
}

/// The different states, in the order in which they were given; of too many, as many as show that.
fn different(sets: &[StateId]) -> Vec<StateId> {
    let mut out = Vec::with_capacity(sets.len().min(MAX_STATE_SETS + 1));
    for set in sets {
        if !out.contains(set) && out.len() <= MAX_STATE_SETS {
            out.push(*set);
        }
    }
    out
}
