//! Why an event is not accepted. Kept for as long as the event is.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

use super::state::Room;
use super::tables::{EventIndex, REASONS};
use crate::auth_rules::{RuleId, Verdict};
use crate::identifiers::EventId;
use crate::store::{Read, StorageError};

/// Why an event was rejected or soft-failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The authorization rules are against it.
    Rule {
        /// What it was judged on.
        on: JudgedOn,
        rule: RuleId,
        /// The events that made the difference.
        inputs: Vec<EventId>,
    },
    /// Its previous events have states that are not resolved: see the bound of [`crate::state_res`].
    Unresolved,
    /// It has no previous events and is not the create event: it would stand beside the room's history.
    NoPrevEvents,
    /// It is a create event, and the room has another one.
    SecondCreate,
    /// The room's policy server has not signed it (Server-Server API, "Checks performed on receipt of a PDU", 7).
    NotRecommended {
        server: String,
        /// The `m.room.policy` that made it the room's.
        policy: EventId,
        /// What it said, or why it said nothing.
        why: String,
    },
}

/// The state on which an event is judged (Server-Server API, "Checks performed on receipt of a PDU", 4 to 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JudgedOn {
    AuthEvents,
    StateBefore,
    CurrentState,
}

impl Reason {
    #[must_use]
    pub fn rule(on: JudgedOn, verdict: Verdict) -> Reason {
        Reason::Rule { on, rule: verdict.rule, inputs: verdict.inputs }
    }

    /// Why an event of a room is not accepted; `None` for accepted ones.
    pub fn of(read: &(impl Read + ?Sized), room: &Room, event: EventIndex) -> Result<Option<Reason>, StorageError> {
        REASONS.get(read, room.num, event)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Rule { on, rule, inputs } => {
                let inputs: Vec<String> = inputs.iter().map(|input| String::from(input.as_str())).collect();
                write!(f, "{rule}: {}, on {on} ({})", rule.rule().text(), inputs.join(", "))
            }
            Reason::Unresolved => f.write_str("too much is in conflict between the states of its previous events"),
            Reason::NoPrevEvents => f.write_str("it has no previous events"),
            Reason::SecondCreate => f.write_str("the room has another create event"),
            Reason::NotRecommended { server, policy, why } => {
                write!(f, "the room's policy server {server} has not signed it: {why} ({policy})")
            }
        }
    }
}

impl fmt::Display for JudgedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JudgedOn::AuthEvents => "its auth events",
            JudgedOn::StateBefore => "the state before it",
            JudgedOn::CurrentState => "the current state",
        })
    }
}
