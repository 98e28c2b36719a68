//! A user's rules: what is stored is only what they changed, so that new server-default rules reach everybody.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::default_rules::{DEFAULT_RULES, DefaultRule, MASTER, USER};
use crate::canonical_json::encode_str;
use crate::flow::Step;
use crate::identifiers::UserId;
use crate::limits::MAX_PUSH_RULES;
use crate::store::tables::{Table, tags};
use crate::store::{Read, StorageError};

/// The kinds of rule, in the order in which they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RuleKind {
    Override,
    Content,
    Room,
    Sender,
    Underride,
}

impl RuleKind {
    /// In the order of their names, as canonical JSON has them.
    pub const BY_NAME: [RuleKind; 5] =
        [RuleKind::Content, RuleKind::Override, RuleKind::Room, RuleKind::Sender, RuleKind::Underride];

    #[must_use]
    pub fn parse(name: &str) -> Option<RuleKind> {
        RuleKind::BY_NAME.into_iter().find(|kind| kind.name() == name)
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RuleKind::Override => "override",
            RuleKind::Content => "content",
            RuleKind::Room => "room",
            RuleKind::Sender => "sender",
            RuleKind::Underride => "underride",
        }
    }
}

/// A rule of the user's own. Conditions and actions are canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRule {
    pub kind: RuleKind,
    pub rule_id: String,
    pub enabled: bool,
    /// Of `override` and `underride` rules.
    pub conditions: Option<String>,
    /// Of `content` rules.
    pub pattern: Option<String>,
    pub actions: String,
}

/// What the user changed of a server-default rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultChange {
    pub rule_id: String,
    pub enabled: Option<bool>,
    pub actions: Option<String>,
}

/// Everything that the user changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    /// The more important first, among those of one kind.
    pub rules: Vec<UserRule>,
    pub defaults: Vec<DefaultChange>,
}

const RULESETS: Table<UserId, Ruleset> = Table::new(tags::PUSH_RULES);

/// A rule as it stands, whoever made it.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    pub rule_id: &'a str,
    pub default: bool,
    pub enabled: bool,
    pub conditions: Option<&'a str>,
    pub pattern: Option<&'a str>,
    pub actions: &'a str,
}

impl Ruleset {
    pub fn of(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Ruleset, StorageError> {
        Ok(RULESETS.get(read, user_id)?.unwrap_or_default())
    }

    /// Forgets what the user changed.
    pub fn erase(step: &mut Step<'_>, user_id: &UserId) {
        RULESETS.delete(step, user_id);
    }

    pub fn put(&self, step: &mut Step<'_>, user_id: &UserId) {
        RULESETS.put(step, user_id, self);
    }

    /// The rules of a kind, the most important first: the user's own stand above the server's defaults, except for
    /// [`MASTER`].
    pub fn rules(&self, kind: RuleKind) -> impl Iterator<Item = Rule<'_>> {
        let defaults = move |master: bool| {
            DEFAULT_RULES.iter().filter(move |rule| rule.kind == kind && (rule.rule_id == MASTER) == master)
        };
        let own = self.rules.iter().filter(move |rule| rule.kind == kind).map(UserRule::as_rule);
        defaults(true).map(|rule| self.changed(rule)).chain(own).chain(defaults(false).map(|rule| self.changed(rule)))
    }

    #[must_use]
    pub fn rule(&self, kind: RuleKind, rule_id: &str) -> Option<Rule<'_>> {
        self.rules(kind).find(|rule| rule.rule_id == rule_id)
    }

    fn changed(&self, rule: &'static DefaultRule) -> Rule<'_> {
        let change = self.defaults.iter().find(|change| change.rule_id == rule.rule_id);
        Rule {
            rule_id: rule.rule_id,
            default: true,
            enabled: change.and_then(|change| change.enabled).unwrap_or(rule.enabled),
            conditions: Some(rule.conditions),
            pattern: None,
            actions: change.and_then(|change| change.actions.as_deref()).unwrap_or(rule.actions),
        }
    }

    /// What is stored of a server-default rule, to be changed.
    pub fn default_mut(&mut self, rule_id: &str) -> &mut DefaultChange {
        let at = self.defaults.iter().position(|change| change.rule_id == rule_id).unwrap_or_else(|| {
            self.defaults.push(DefaultChange { rule_id: rule_id.to_string(), enabled: None, actions: None });
            self.defaults.len() - 1
        });
        &mut self.defaults[at]
    }

    /// A rule of the user's own, to be changed.
    pub fn own_mut(&mut self, kind: RuleKind, rule_id: &str) -> Option<&mut UserRule> {
        self.rules.iter_mut().find(|rule| rule.kind == kind && rule.rule_id == rule_id)
    }

    /// Gives another ID a rule like that of `from`, if there is one and there is none yet. Returns whether there is another rule now.
    pub fn repeat(&mut self, kind: RuleKind, from: &str, to: &str) -> bool {
        let Some(at) = self.rules.iter().position(|rule| rule.kind == kind && rule.rule_id == from) else {
            return false;
        };
        if self.rules.len() >= MAX_PUSH_RULES || self.own_mut(kind, to).is_some() {
            return false;
        }
        let rule = UserRule { rule_id: to.to_string(), ..self.rules[at].clone() };
        self.rules.insert(at, rule);
        true
    }

    /// Appends the object that has the rules of each kind, in canonical JSON.
    pub fn encode(&self, user_id: &UserId, out: &mut Vec<u8>) {
        for (i, kind) in RuleKind::BY_NAME.into_iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"{\"" } else { b",\"" });
            out.extend_from_slice(kind.name().as_bytes());
            out.extend_from_slice(b"\":[");
            for (i, rule) in self.rules(kind).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                rule.encode(user_id, out);
            }
            out.push(b']');
        }
        out.push(b'}');
    }
}

impl UserRule {
    fn as_rule(&self) -> Rule<'_> {
        Rule {
            rule_id: &self.rule_id,
            default: false,
            enabled: self.enabled,
            conditions: self.conditions.as_deref(),
            pattern: self.pattern.as_deref(),
            actions: &self.actions,
        }
    }
}

impl Rule<'_> {
    /// Appends the rule in canonical JSON.
    pub fn encode(&self, user_id: &UserId, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"actions\":");
        out.extend_from_slice(self.actions.as_bytes());
        if let Some(conditions) = self.conditions {
            out.extend_from_slice(b",\"conditions\":");
            if self.default {
                encode_for(user_id, conditions, out)
            } else {
                out.extend_from_slice(conditions.as_bytes())
            }
        }
        out.extend_from_slice(if self.default { b",\"default\":true" } else { b",\"default\":false" });
        out.extend_from_slice(if self.enabled { b",\"enabled\":true" } else { b",\"enabled\":false" });
        if let Some(pattern) = self.pattern {
            out.extend_from_slice(b",\"pattern\":");
            encode_str(pattern, out);
        }
        out.extend_from_slice(b",\"rule_id\":");
        encode_str(self.rule_id, out);
        out.push(b'}');
    }
}

/// Appends a default rule's conditions with the user's ID in its place.
fn encode_for(user_id: &UserId, conditions: &str, out: &mut Vec<u8>) {
    for (i, part) in conditions.split(USER).enumerate() {
        if i > 0 {
            encode_str(user_id, out);
        }
        out.extend_from_slice(part.as_bytes());
    }
}

/// The content of `m.push_rules`, in canonical JSON.
pub fn account_data(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Vec<u8>, StorageError> {
    let ruleset = Ruleset::of(read, user_id)?;
    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(b"{\"global\":");
    ruleset.encode(user_id, &mut out);
    out.push(b'}');
    Ok(out)
}
