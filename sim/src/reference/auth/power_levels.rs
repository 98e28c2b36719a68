//! The rules on `m.room.power_levels`.

use orrery_core::canonical_json::{Object, Value};
use orrery_core::identifiers::UserId;
use std::collections::BTreeSet;

use super::Asked;
use super::levels::{FIELDS, Power, number};
use super::list::{List, Ruling};
use super::page::Page;

impl Asked<'_> {
    /// Rule 10 in versions 1 to 5 and 12, rule 9 in those between.
    pub(super) fn power_levels_rules(&self) -> Ruling {
        let (page, levels, sender) = (self.page(), self.levels(), self.event.sender.as_str());
        let new = &self.event.content;
        let mut list = List::new();
        if !page.takes_strings() {
            // Added in version 10: "If any of the properties `users_default`, `events_default`, `state_default`, `ban`, `redact`,
            // `kick`, or `invite` in `content` are present and not an integer, reject."
            let is_wrong = |name: &str| new.get(name).is_some_and(|value| number(page, value).is_none());
            list.reject_if(FIELDS.iter().any(|(name, _)| is_wrong(name)))?;
            // Added in version 10: "If either of the properties `events` or `notifications` in `content` are present and not an
            // object with values that are integers, reject."
            let maps = ["events", "notifications"];
            list.reject_if(maps.iter().any(|map| !has_integers(page, new.get(map))))?;
        }
        // "If the `users` property in `content` is not an object with keys that are valid user IDs with values that are integers
        // (or a string that is an integer), reject." It need not be there. Of this rule is, too, that "values outside the range
        // represented by IEE754 binary64 cause the powerlevel event to be rejected".
        let users = new.get("users");
        let are_users = entries(users).all(|(user, _)| UserId::parse(user).is_ok());
        list.reject_if(!has_integers(page, users) || !are_users || has_unrepresentable(page, new))?;
        if page.has_infinite_creators() {
            // Added in version 12: "If the `users` property in `content` contains the `sender` of the `m.room.create` event or any
            // of the `additional_creators` array (if present) from the `content` of the `m.room.create` event, reject."
            let creators = levels.creators();
            list.reject_if(entries(users).any(|(user, _)| creators.contains(&user)))?;
        }
        // "If there is no previous `m.room.power_levels` event in the room, allow."
        let current = (self.state)("m.room.power_levels", "").map(|event| &event.content);
        list.allow_if(current.is_none())?;
        let alterations = Alterations { page, current, new };
        let power = levels.sender(sender);
        // "For the properties `users_default`, `events_default`, `state_default`, `ban`, `redact`, `kick`, `invite` check if they
        // were added, changed or removed. For each found alteration:"
        list.section(true, || {
            for (name, default) in FIELDS {
                let Some(Alteration { current, new, .. }) = alterations.of_field(name) else { continue };
                let mut list = List::new();
                // "If the current value is greater than the `sender`'s current power level, reject."
                list.reject_if(!is_within(power, current.unwrap_or(Some(default))))?;
                // "If the new value is greater than the `sender`'s current power level, reject."
                list.reject_if(!is_within(power, new.unwrap_or(Some(default))))?;
            }
            Ruling::Continue(())
        })?;
        let maps: &[&str] = if page.guards_notifications() { &["events", "notifications"] } else { &["events"] };
        let altered: Vec<Alteration> = maps.iter().flat_map(|map| alterations.of_map(map)).collect();
        // "For each entry being changed in, or removed from, the `events` property:" In version 6 `events` or `notifications`.
        // "If the current value is greater than the `sender`'s current power level, reject."
        let is_above = |level: Option<Option<i64>>| level.is_some_and(|level| !is_within(power, level));
        list.section(true, || List::new().reject_if(altered.iter().any(|entry| is_above(entry.current))))?;
        // "For each entry being added to, or changed in, the `events` property:" In version 6 `events` or `notifications`.
        // "If the new value is greater than the `sender`'s current power level, reject."
        list.section(true, || List::new().reject_if(altered.iter().any(|entry| is_above(entry.new))))?;
        // "For each entry being changed in, or removed from, the `users` property, other than the `sender`'s own entry:"
        // "If the current value is greater than or equal to the `sender`'s current power level, reject."
        let users = alterations.of_map("users");
        let is_equal_or_above = |entry: &Alteration| entry.current.is_some_and(|level| !is_below(power, level));
        let of_others = || users.iter().filter(|entry| entry.key.as_deref() != Some(sender));
        list.section(true, || List::new().reject_if(of_others().any(is_equal_or_above)))?;
        // "For each entry being added to, or changed in, the `users` property:"
        // "If the new value is greater than the `sender`'s current power level, reject."
        list.section(true, || List::new().reject_if(users.iter().any(|entry| is_above(entry.new))))?;
        list.otherwise_allow()
    }
}

/// Not "greater than the `sender`'s current power level".
fn is_within(power: Power, level: Option<i64>) -> bool {
    level.is_some_and(|level| Power::Level(level) <= power)
}

/// Not "greater than or equal to the `sender`'s current power level".
fn is_below(power: Power, level: Option<i64>) -> bool {
    level.is_some_and(|level| Power::Level(level) < power)
}

/// The entries of a property that should be an object.
fn entries(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    value.and_then(Value::as_object).into_iter().flat_map(Object::iter)
}

/// Whether a property is missing, or an object whose values are levels.
fn has_integers(page: Page, value: Option<&Value>) -> bool {
    let is_object = value.is_none_or(|value| value.as_object().is_some());
    is_object && entries(value).all(|(_, value)| number(page, value).is_some())
}

/// Whether one of "the integer-valued properties", nested ones too, is a number that no double holds.
fn has_unrepresentable(page: Page, content: &Object) -> bool {
    let fields = FIELDS.iter().filter_map(|(name, _)| content.get(name));
    let nested = ["users", "events", "notifications"].into_iter().flat_map(|map| entries(content.get(map)));
    let mut all = fields.chain(nested.map(|(_, value)| value));
    all.any(|value| matches!(value, Value::Number(_)) && number(page, value).is_none())
}

/// A level that is not what it was: `None` where it is not said, `Some(None)` where it is no number.
struct Alteration {
    /// Its key, if it is one of a map.
    key: Option<String>,
    current: Option<Option<i64>>,
    new: Option<Option<i64>>,
}

/// The power levels as they are and as they are to be. Of what is no number nobody can tell in numbers that it is as it was, so
/// it counts as altered.
struct Alterations<'c> {
    page: Page,
    current: Option<&'c Object>,
    new: &'c Object,
}

impl Alterations<'_> {
    fn of_field(&self, name: &str) -> Option<Alteration> {
        let level = |content: &Object| content.get(name).map(|value| number(self.page, value));
        altered(None, self.current.and_then(level), level(self.new))
    }

    fn of_map(&self, map: &str) -> Vec<Alteration> {
        let (current, new) = (self.current.and_then(|content| content.get(map)), self.new.get(map));
        let keys: BTreeSet<&str> = entries(current).chain(entries(new)).map(|(key, _)| key).collect();
        let level = |map: Option<&Value>, key: &str| {
            let value = map?.as_object()?.get(key)?;
            Some(number(self.page, value))
        };
        let of_keys = keys.iter().filter_map(|key| altered(Some(key), level(current, key), level(new, key)));
        // Something else in the place of the map is one more entry, and no number.
        let no_map = |value: Option<&Value>| value.filter(|value| value.as_object().is_none()).map(|_| None);
        of_keys.chain(altered(None, no_map(current), no_map(new))).collect()
    }
}

fn altered(key: Option<&str>, current: Option<Option<i64>>, new: Option<Option<i64>>) -> Option<Alteration> {
    let key = key.map(str::to_owned);
    (current != new || current == Some(None)).then_some(Alteration { key, current, new })
}
