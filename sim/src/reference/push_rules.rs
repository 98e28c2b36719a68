//! Push rules (Client-Server API, "Push Rules"), over the content of `m.push_rules` as clients get it.

use orrery_core::canonical_json::{Object, Value};

/// An event, as far as conditions can ask for it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'e> {
    pub event_id: &'e str,
    pub room_id: &'e str,
    pub sender: &'e str,
    pub kind: &'e str,
    pub state_key: Option<&'e str>,
    pub content: &'e Object,
}

/// A room, as far as conditions can ask for it.
#[derive(Clone, Copy)]
pub struct Room<'r> {
    /// "The current number of members in the room."
    pub members: usize,
    /// "The owner's display name in that room."
    pub display_name: Option<&'r str>,
    /// Whether a sender has "high enough power to trigger the notification" of a type.
    pub may_notify: &'r dyn Fn(&str, &str) -> bool,
}

impl std::fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("members", &self.members).finish_non_exhaustive()
    }
}

/// Whether an event notifies, and whether it is highlighted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub notify: bool,
    pub highlight: bool,
}

/// What `rules` (the `global` of `m.push_rules`) say of an event of somebody else.
#[must_use]
pub fn judge(rules: &Object, event: &Event<'_>, room: &Room<'_>) -> Verdict {
    // "The different kinds of rule, in the order that they are checked".
    for kind in ["override", "content", "room", "sender", "underride"] {
        for rule in rules.array(kind).unwrap_or_default().iter().filter_map(Value::as_object) {
            // "Disabled rules never match."
            if rule.bool("enabled") == Some(true) && matches(kind, rule, event, room) {
                return verdict(rule);
            }
        }
    }
    // "If no rules match an event, the homeserver MUST NOT notify".
    Verdict::default()
}

fn verdict(rule: &Object) -> Verdict {
    let mut verdict = Verdict::default();
    for action in rule.array("actions").unwrap_or_default() {
        verdict.notify |= action.as_str() == Some("notify");
        if action.get("set_tweak").and_then(Value::as_str) == Some("highlight") {
            // "If a highlight tweak is given with no value, its value is defined to be true."
            verdict.highlight = action.get("value").is_none_or(|value| value.as_bool() == Some(true));
        }
    }
    verdict
}

fn matches(kind: &str, rule: &Object, event: &Event<'_>, room: &Room<'_>) -> bool {
    match kind {
        "room" => rule.str("rule_id") == Some(event.room_id),
        "sender" => rule.str("rule_id") == Some(event.sender),
        "content" => match (rule.str("pattern"), event.content.str("body")) {
            (Some(pattern), Some(body)) => words_match(pattern, body),
            _ => false,
        },
        // "A rule with no conditions always matches."
        _ => rule.array("conditions").unwrap_or_default().iter().all(|condition| holds(condition, event, room)),
    }
}

fn holds(condition: &Value, event: &Event<'_>, room: &Room<'_>) -> bool {
    let Some(condition) = condition.as_object() else { return false };
    let property = condition.str("key").and_then(|key| property(event, &path(key)));
    match condition.str("kind") {
        Some("event_match") => match (condition.str("pattern"), property) {
            // "As a special case, if key is content.body".
            (Some(pattern), Some(Value::String(text))) if condition.str("key") == Some("content.body") => {
                words_match(pattern, &text)
            }
            (Some(pattern), Some(Value::String(text))) => glob(&letters(pattern), &letters(&text)),
            // "If the property is completely absent from the event, or does not have a string value".
            _ => false,
        },
        Some("event_property_is") => {
            condition.get("value").is_some_and(|value| is_simple(value) && property.as_ref() == Some(value))
        }
        Some("event_property_contains") => match (condition.get("value"), property) {
            (Some(value), Some(Value::Array(items))) => is_simple(value) && items.contains(value),
            _ => false,
        },
        Some("contains_display_name") => match (room.display_name, event.content.str("body")) {
            (Some(name), Some(body)) if !name.is_empty() => boundaries(&letters(body), |part| *part == *letters(name)),
            _ => false,
        },
        Some("room_member_count") => condition.str("is").is_some_and(|is| counts(is, room.members)),
        Some("sender_notification_permission") => {
            condition.str("key").is_some_and(|key| (room.may_notify)(event.sender, key))
        }
        // "Unrecognised conditions MUST NOT match any events".
        _ => false,
    }
}

/// "A decimal integer optionally prefixed by one of, ==, <, >, >= or <=."
fn counts(is: &str, members: usize) -> bool {
    let number = |text: &str| text.parse::<usize>().ok();
    if let Some(rest) = is.strip_prefix("==") {
        number(rest) == Some(members)
    } else if let Some(rest) = is.strip_prefix("<=") {
        number(rest).is_some_and(|number| members <= number)
    } else if let Some(rest) = is.strip_prefix(">=") {
        number(rest).is_some_and(|number| members >= number)
    } else if let Some(rest) = is.strip_prefix('<') {
        number(rest).is_some_and(|number| members < number)
    } else if let Some(rest) = is.strip_prefix('>') {
        number(rest).is_some_and(|number| members > number)
    } else {
        number(is) == Some(members)
    }
}

/// "Non-compound canonical JSON values".
fn is_simple(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

/// "Any literal dot or backslash found in a property name should be escaped with a backslash."
fn path(key: &str) -> Vec<String> {
    let hidden = key.replace("\\\\", "\u{1}").replace("\\.", "\u{2}");
    hidden.split('.').map(|name| name.replace('\u{1}', "\\").replace('\u{2}', ".")).collect()
}

fn property(event: &Event<'_>, path: &[String]) -> Option<Value> {
    let mut all = Object::new()
        .with("event_id", event.event_id)
        .with("room_id", event.room_id)
        .with("sender", event.sender)
        .with("type", event.kind)
        .with("content", event.content.clone());
    if let Some(state_key) = event.state_key {
        all.insert("state_key", state_key);
    }
    path.iter().try_fold(Value::Object(all), |value, name| value.get(name).cloned())
}

/// "The match is performed case-insensitively".
fn letters(text: &str) -> Vec<char> {
    text.to_lowercase().chars().collect()
}

/// "Must match any substring of the value which starts and ends at a word boundary."
fn words_match(pattern: &str, text: &str) -> bool {
    let pattern = letters(pattern);
    boundaries(&letters(text), |part| glob(&pattern, part))
}

/// Whether some part between two word boundaries is what is sought.
fn boundaries(text: &[char], sought: impl Fn(&[char]) -> bool) -> bool {
    // "The start or end of the value, or any character not in the sets [A-Z], [a-z], [0-9] or _."
    let is_boundary = |at: usize| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        at == 0 || at == text.len() || !is_word(text[at - 1]) || !is_word(text[at])
    };
    let starts = (0..=text.len()).filter(|at| is_boundary(*at));
    starts.into_iter().any(|start| (start..=text.len()).any(|end| is_boundary(end) && sought(&text[start..end])))
}

/// "The character * matches zero or more characters. ? matches exactly one character."
fn glob(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, first) => first.is_none(),
        (Some(('*', rest)), None) => glob(rest, text),
        (Some(('*', rest)), Some((_, others))) => glob(rest, text) || glob(pattern, others),
        (Some((wanted, rest)), Some((c, others))) => (*wanted == '?' || wanted == c) && glob(rest, others),
        (Some(_), None) => false,
    }
}
