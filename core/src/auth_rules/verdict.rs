//! What was decided about an event, by which rule and on which events.

use alloc::vec::Vec;
use core::fmt;

use super::rule::{Rule, RuleId};
use super::state::StateView;
use crate::event::Pdu;
use crate::event::content::Membership;
use crate::identifiers::EventId;
use crate::room_version::RoomVersionRules;

/// A decision about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// The rule that decided.
    pub rule: RuleId,
    /// The events that were looked at on the way to it, beside the judged one; the rest of the state made no difference.
    pub inputs: Vec<EventId>,
}

/// A decision without what it was judged on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    pub allowed: bool,
    pub rule: Rule,
}

impl fmt::Display for Verdict {
    /// `v11 rule 4.3.3: the user is banned`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.rule.rule().text())
    }
}

/// The most state events that the rules look at for one event: create event, power levels, join rules, third-party invite, and
/// the members that are sender, target and authoriser.
const MAX_INPUTS: usize = 7;

/// One judgement: the event, the state it is judged on, and a note of what was looked at.
pub(super) struct Judge<'a> {
    pub rules: &'static RoomVersionRules,
    pub event: &'a Pdu,
    pub create: &'a Pdu,
    state: &'a dyn StateView,
    inputs: [Option<&'a Pdu>; MAX_INPUTS],
}

impl<'a> Judge<'a> {
    pub fn new(
        rules: &'static RoomVersionRules,
        event: &'a Pdu,
        create: &'a Pdu,
        state: &'a dyn StateView,
    ) -> Judge<'a> {
        Judge { rules, event, create, state, inputs: [None; MAX_INPUTS] }
    }

    pub fn allow(&self, rule: Rule) -> Ruling {
        self.decide(rule, true)
    }

    pub fn reject(&self, rule: Rule) -> Ruling {
        self.decide(rule, false)
    }

    pub fn decide(&self, rule: Rule, allowed: bool) -> Ruling {
        Ruling { allowed, rule }
    }

    /// The ruling, and what was looked at on the way to it.
    pub fn verdict(&self, ruling: Ruling) -> Verdict {
        Verdict {
            allowed: ruling.allowed,
            rule: RuleId::new(self.rules, ruling.rule),
            inputs: self.inputs.iter().flatten().map(|input| input.event_id.clone()).collect(),
        }
    }

    /// The state event of `kind` and `state_key`.
    pub fn state(&mut self, kind: &str, state_key: &str) -> Option<&'a Pdu> {
        let found = self.state.event(kind, state_key)?;
        self.look_at(found);
        Some(found)
    }

    /// Notes that `input` makes a difference.
    pub fn look_at(&mut self, input: &'a Pdu) {
        let known = self.inputs.iter().flatten().any(|other| other.event_id == input.event_id);
        if !known {
            let free = self.inputs.iter_mut().find(|place| place.is_none());
            *free.expect("the rules look at no more events than there are places") = Some(input);
        }
    }

    /// The membership of a user; of those who have none, `leave`. `None` if the specification does not know it.
    pub fn membership(&mut self, user: &str) -> Option<Membership> {
        match self.state("m.room.member", user) {
            Some(member) => member.membership(),
            None => Some(Membership::Leave),
        }
    }

    pub fn is_joined(&mut self, user: &str) -> bool {
        self.membership(user) == Some(Membership::Join)
    }
}
