//! Lists of rules as the pages have them: numbered, looked at in order, until one decides.

use std::fmt;
use std::ops::ControlFlow;

/// What the rules say of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// The number of the rule that decided, the innermost list's first.
    number: Vec<u8>,
}

impl Decision {
    /// The number of the rule that decided, as on the page of its room version: `5.3.1.2`.
    #[must_use]
    pub fn rule(&self) -> String {
        let parts: Vec<String> = self.number.iter().rev().map(u8::to_string).collect();
        parts.join(".")
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} {} it", self.rule(), if self.allowed { "allows" } else { "rejects" })
    }
}

/// Whether a rule has decided, or the next one is to be looked at.
pub type Ruling = ControlFlow<Decision>;

/// A list of rules under way. Each call is the next rule of it.
#[derive(Debug, Default)]
pub struct List {
    number: u8,
}

impl List {
    pub fn new() -> List {
        List::default()
    }

    /// "If …, reject."
    pub fn reject_if(&mut self, condition: bool) -> Ruling {
        self.decide_if(condition, false)
    }

    /// "If …, allow."
    pub fn allow_if(&mut self, condition: bool) -> Ruling {
        self.decide_if(condition, true)
    }

    /// "If …, allow if and only if …": `condition` is looked at only if the rule applies.
    pub fn allow_only_if(&mut self, applies: bool, condition: impl FnOnce() -> bool) -> Ruling {
        self.number += 1;
        if applies { self.decided(condition()) } else { Ruling::Continue(()) }
    }

    /// A rule that has a list of its own: "If …:".
    pub fn section(&mut self, applies: bool, rules: impl FnOnce() -> Ruling) -> Ruling {
        self.number += 1;
        if !applies {
            return Ruling::Continue(());
        }
        rules().map_break(|mut decision| {
            decision.number.push(self.number);
            decision
        })
    }

    /// "Otherwise, allow."
    pub fn otherwise_allow(mut self) -> Ruling {
        self.decide_if(true, true)
    }

    /// "Otherwise, reject."
    pub fn otherwise_reject(mut self) -> Ruling {
        self.decide_if(true, false)
    }

    fn decide_if(&mut self, condition: bool, allowed: bool) -> Ruling {
        self.number += 1;
        if condition { self.decided(allowed) } else { Ruling::Continue(()) }
    }

    fn decided(&self, allowed: bool) -> Ruling {
        Ruling::Break(Decision { allowed, number: vec![self.number] })
    }
}
