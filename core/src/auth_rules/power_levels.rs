//! The rules on `m.room.power_levels`: rule 10 in versions 1 to 5 and 12, rule 9 in those between.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::create;
use super::levels::{Entry, LevelField, PowerLevel, read_level};
use super::rule::Rule;
use super::verdict::{Judge, Ruling};
use crate::canonical_json::{Object, Value};
use crate::event::Pdu;
use crate::identifiers::UserId;
use crate::room_version::RoomVersionRules;

/// Judges the event, whose sender has the power `sender`, against the room's power levels so far.
pub(super) fn judge(judge: &Judge<'_>, current: Option<&Pdu>, sender: PowerLevel) -> Ruling {
    let (rules, event) = (judge.rules, judge.event);
    let new = &event.content;
    if let Some(rule) = malformed(rules, new) {
        return judge.reject(rule);
    }
    if rules.auth.privileged_creators && keys(new, "users").any(|user| create::is_creator(rules, judge.create, user)) {
        return judge.reject(Rule::PowerLevelsCreator);
    }
    let Some(current) = current else { return judge.allow(Rule::PowerLevelsFirst) };
    let change = Change { rules, sender, current: &current.content, new };
    let own = event.sender.as_str();
    let maps: &[&str] = if rules.auth.guards_notification_levels { &["events", "notifications"] } else { &["events"] };
    let refused = change.fields().or_else(|| change.entries(maps)).or_else(|| change.users(own));
    match refused {
        Some(rule) => judge.reject(rule),
        None => judge.allow(Rule::PowerLevelsAllowed),
    }
}

/// The rule against a content that is no power levels, whatever they were before.
fn malformed(rules: &RoomVersionRules, new: &Object) -> Option<Rule> {
    let level = |value: &Value| read_level(rules, value).is_some();
    let levels = |name: &str| match new.get(name) {
        None => true,
        Some(Value::Object(entries)) => entries.iter().all(|(_, value)| level(value)),
        Some(_) => false,
    };
    if rules.auth.integer_power_levels {
        if LevelField::ALL.iter().any(|field| new.get(field.as_str()).is_some_and(|value| !level(value))) {
            return Some(Rule::PowerLevelsField);
        }
        if !levels("events") || !levels("notifications") {
            return Some(Rule::PowerLevelsMap);
        }
    }
    // Versions that take floats refuse those that no double holds, wherever they stand ("`m.room.power_levels` events accept
    // values as floats"), and have no rule of its own for it.
    let too_far = |value: &Value| matches!(value, Value::Number(_)) && !level(value);
    let in_maps = || ["events", "notifications"].into_iter().filter_map(|map| new.object(map)).flat_map(Object::iter);
    if LevelField::ALL.iter().filter_map(|field| new.get(field.as_str())).any(too_far)
        || in_maps().any(|(_, value)| too_far(value))
    {
        return Some(Rule::PowerLevelsUsers);
    }
    if !levels("users") || keys(new, "users").any(|user| UserId::parse(user).is_err()) {
        return Some(Rule::PowerLevelsUsers);
    }
    None
}

fn keys<'a>(content: &'a Object, name: &str) -> impl Iterator<Item = &'a str> {
    content.object(name).into_iter().flat_map(Object::iter).map(|(key, _)| key)
}

/// What a sender of some power changes. Each function gives the rule that refuses it, if any does.
///
/// What is no number, in versions that let it in, counts as above everybody.
struct Change<'a> {
    rules: &'static RoomVersionRules,
    sender: PowerLevel,
    current: &'a Object,
    new: &'a Object,
}

impl<'a> Change<'a> {
    /// The levels that are not in a map. What is not said is the default, before and after.
    fn fields(&self) -> Option<Rule> {
        for field in LevelField::ALL {
            let read = |content: &Object| Entry::read(self.rules, content.get(field.as_str()));
            let (current, new) = (read(self.current), read(self.new));
            if current == new && current != Entry::NoNumber {
                continue;
            }
            if self.is_above_sender(current.or(field.default())) {
                return Some(Rule::PowerLevelsFieldCurrent);
            }
            if self.is_above_sender(new.or(field.default())) {
                return Some(Rule::PowerLevelsFieldNew);
            }
        }
        None
    }

    /// The entries of `maps`.
    fn entries(&self, maps: &[&str]) -> Option<Rule> {
        let changed: Vec<_> = maps.iter().flat_map(|map| self.changed(map)).collect();
        if changed.iter().any(|(_, current, _)| self.is_above_sender(*current)) {
            return Some(Rule::PowerLevelsEntryCurrent);
        }
        if changed.iter().any(|(_, _, new)| self.is_above_sender(*new)) {
            return Some(Rule::PowerLevelsEntryNew);
        }
        None
    }

    /// The entries of `users`. `own` is the sender.
    fn users(&self, own: &str) -> Option<Rule> {
        let changed = self.changed("users");
        let has_as_much = |current: Entry| match current {
            Entry::Absent => false,
            Entry::Level(level) => PowerLevel::Int(level) >= self.sender,
            Entry::NoNumber => true,
        };
        if changed.iter().any(|(user, current, _)| *user != own && has_as_much(*current)) {
            return Some(Rule::PowerLevelsUserCurrent);
        }
        if changed.iter().any(|(_, _, new)| self.is_above_sender(*new)) {
            return Some(Rule::PowerLevelsUserNew);
        }
        None
    }

    fn is_above_sender(&self, entry: Entry) -> bool {
        match entry {
            Entry::Absent => false,
            Entry::Level(level) => PowerLevel::Int(level) > self.sender,
            Entry::NoNumber => true,
        }
    }

    /// The keys of a map whose level was added, changed or removed, with the level before and after. Something else that stands
    /// where the map should is a level of its own, and no number.
    fn changed(&self, map: &str) -> Vec<(&'a str, Entry, Entry)> {
        let mut changed = Vec::new();
        let mut add = |key, current: Entry, new: Entry| {
            if current != new || current == Entry::NoNumber {
                changed.push((key, current, new));
            }
        };
        let (current, new) = (self.current.get(map), self.new.get(map));
        let no_map = |value: Option<&Value>| match value {
            None | Some(Value::Object(_)) => Entry::Absent,
            Some(_) => Entry::NoNumber,
        };
        add("", no_map(current), no_map(new));
        let entries = |value: Option<&'a Value>| value.and_then(Value::as_object).into_iter().flat_map(Object::iter);
        let (mut before, mut after) = (entries(current).peekable(), entries(new).peekable());
        // Both are in the order of the keys.
        loop {
            let order = match (before.peek(), after.peek()) {
                (Some((before, _)), Some((after, _))) => before.cmp(after),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return changed,
            };
            let before = if order.is_le() { before.next() } else { None };
            let after = if order.is_ge() { after.next() } else { None };
            let read = |entry: Option<(&str, &Value)>| Entry::read(self.rules, entry.map(|(_, value)| value));
            if let Some((key, _)) = before.or(after) {
                add(key, read(before), read(after));
            }
        }
    }
}
