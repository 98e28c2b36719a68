//! Which push rule an event matches (Client-Server API, "Push Rules").
//!
//! Rules are asked about an event whenever its notification is counted, not once when it comes: what counts are a user's rules, and
//! the room, as they are then. So what is unread follows from what is stored, whoever asks and whenever.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::condition::{Candidate, Condition, Surroundings};
use super::ruleset::{Rule, RuleKind, Ruleset};
use crate::canonical_json::{self, Value};
use crate::store::StorageError;

/// The enabled rules of a user, ready to be asked, the most important first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRules(Vec<PushRule>);

/// An enabled rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRule {
    conditions: Vec<Condition>,
    /// In canonical JSON.
    pub actions: String,
    pub notify: bool,
    /// The tweak `highlight`.
    pub highlight: bool,
}

impl PushRules {
    /// Of a user who has changed none.
    #[must_use]
    pub fn defaults() -> PushRules {
        PushRules::of(&Ruleset::default())
    }

    /// Of the kinds in the order in which they are checked.
    #[must_use]
    pub fn of(ruleset: &Ruleset) -> PushRules {
        use RuleKind::{Content, Override, Room, Sender, Underride};
        let kinds = [Override, Content, Room, Sender, Underride].into_iter();
        let rules = kinds.flat_map(|kind| ruleset.rules(kind).map(move |rule| (kind, rule)));
        PushRules(rules.filter(|(_, rule)| rule.enabled).map(|(kind, rule)| PushRule::read(kind, &rule)).collect())
    }

    /// The rule that an event of somebody else matches, if there is one.
    pub fn judge(
        &self,
        event: &Candidate<'_>,
        room: &mut impl Surroundings,
    ) -> Result<Option<&PushRule>, StorageError> {
        for rule in &self.0 {
            if rule.matches(event, room)? {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PushRule {
    fn read(kind: RuleKind, rule: &Rule<'_>) -> PushRule {
        let mut conditions = match kind {
            RuleKind::Override | RuleKind::Underride => conditions(rule),
            RuleKind::Content => alloc::vec![rule.pattern.map_or(Condition::Never, Condition::body_match)],
            RuleKind::Room => alloc::vec![Condition::InRoom(rule.rule_id.to_string())],
            RuleKind::Sender => alloc::vec![Condition::SentBy(rule.rule_id.to_string())],
        };
        conditions.sort_by_key(Condition::asks_room);
        let actions = canonical_json::parse(rule.actions.as_bytes()).unwrap_or_default();
        let actions = actions.as_array().unwrap_or_default();
        let tweak = |action: &Value| action.get("set_tweak").and_then(Value::as_str) == Some("highlight");
        let highlight = actions.iter().rfind(|action| tweak(action));
        PushRule {
            conditions,
            actions: rule.actions.to_string(),
            notify: actions.iter().any(|action| action.as_str() == Some("notify")),
            // Without a value it is true.
            highlight: highlight
                .is_some_and(|action| action.get("value").is_none_or(|value| *value == Value::Bool(true))),
        }
    }

    fn matches(&self, event: &Candidate<'_>, room: &mut impl Surroundings) -> Result<bool, StorageError> {
        for condition in &self.conditions {
            if !condition.holds(event, room)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn conditions(rule: &Rule<'_>) -> Vec<Condition> {
    let conditions = rule.conditions.and_then(|conditions| canonical_json::parse(conditions.as_bytes()).ok());
    let conditions = conditions.as_ref().and_then(Value::as_array).unwrap_or_default();
    conditions.iter().map(|condition| Condition::read(condition, rule.default)).collect()
}

#[cfg(test)]
mod tests;
