//! Power levels: who has how much power, and what takes how much ("Definitions" in the Server-Server API, and
//! `m.room.power_levels` in the Client-Server API).

use orrery_core::canonical_json::{Object, Value};
use orrery_core::event::Pdu;
use orrery_core::room_version::RoomVersion;

use super::create::additional_creators;
use super::page::Page;

/// The power of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    Level(i64),
    /// "The power level of 'room creators' is infinitely high."
    Infinite,
}

/// The power levels of a room.
///
/// Up to version 9 contents may have levels that are no numbers (`None` here), of which the text says nothing. Here nobody reaches
/// what takes such a level; and whoever has such a level has the least power, but nobody has more than they.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'a> {
    page: Page,
    create: Option<&'a Pdu>,
    power_levels: Option<&'a Pdu>,
}

/// The levels with defaults: "The invite level defaults to 0 if unspecified. The kick level, ban level and redact level each
/// default to 50 if unspecified", and `users_default`, `events_default` and `state_default` to 0, 0 and 50.
pub(super) const FIELDS: [(&str, i64); 7] = [
    ("users_default", 0),
    ("events_default", 0),
    ("state_default", 50),
    ("ban", 50),
    ("redact", 50),
    ("kick", 50),
    ("invite", 0),
];

impl<'a> Levels<'a> {
    #[must_use]
    pub fn new(version: RoomVersion, create: Option<&'a Pdu>, power_levels: Option<&'a Pdu>) -> Levels<'a> {
        Levels { page: Page(version), create, power_levels }
    }

    /// "If a `user_id` is in the `users` list, then that `user_id` has the associated power level. Otherwise they have the default
    /// level `users_default`."
    pub(super) fn user(&self, user: &str) -> Option<Power> {
        if self.page.has_infinite_creators() && self.creators().contains(&user) {
            return Some(Power::Infinite);
        }
        // "If the room contains no `m.room.power_levels` event, the room's creator has a power level of 100, and all other users
        // have a power level of 0."
        if self.power_levels.is_none() {
            return Some(Power::Level(if self.creators().contains(&user) { 100 } else { 0 }));
        }
        match self.entry("users", user) {
            Some(level) => level.map(Power::Level),
            None => self.field("users_default").map(Power::Level),
        }
    }

    /// The power that somebody has to do something.
    #[must_use]
    pub fn sender(&self, sender: &str) -> Power {
        self.user(sender).unwrap_or(Power::Level(i64::MIN))
    }

    /// The room's creators, of whom there is one up to version 11.
    pub(super) fn creators(&self) -> Vec<&'a str> {
        let Some(create) = self.create else { return Vec::new() };
        let mut creators = match self.page.creator_is_sender() {
            true => vec![create.sender.as_str()],
            false => create.content.str("creator").into_iter().collect(),
        };
        if self.page.has_infinite_creators() {
            creators.extend(additional_creators(&create.content));
        }
        creators
    }

    /// One of [`FIELDS`], or its default.
    pub(super) fn field(&self, name: &str) -> Option<i64> {
        match self.content().and_then(|content| content.get(name)) {
            Some(value) => number(self.page, value),
            None => default_of(name),
        }
    }

    /// The *required power level* of an event: "The event type is either listed explicitly in the `events` section or given by
    /// either `state_default` or `events_default` depending on if the event is a state event or not."
    pub(super) fn required(&self, event: &Pdu) -> Option<i64> {
        let default = if event.state_key.is_some() { "state_default" } else { "events_default" };
        self.entry("events", &event.kind).unwrap_or_else(|| self.field(default))
    }

    /// "The `sender`'s power level is greater than or equal to the … level."
    pub(super) fn reaches(&self, sender: &str, level: Option<i64>) -> bool {
        level.is_some_and(|level| self.sender(sender) >= Power::Level(level))
    }

    /// "The *target user*'s power level is less than the `sender`'s power level."
    pub(super) fn is_below(&self, target: &str, sender: &str) -> bool {
        self.user(target).is_some_and(|target| target < self.sender(sender))
    }

    fn content(&self) -> Option<&'a Object> {
        self.power_levels.map(|event| &event.content)
    }

    /// What a map says of a key: nothing, or a level. Where something else stands than a map, it says nothing that is a number.
    fn entry(&self, map: &str, key: &str) -> Option<Option<i64>> {
        match self.content()?.get(map)? {
            Value::Object(entries) => entries.get(key).map(|value| number(self.page, value)),
            _ => Some(None),
        }
    }
}

pub(super) fn default_of(name: &str) -> Option<i64> {
    FIELDS.iter().find(|(field, _)| *field == name).map(|(_, default)| *default)
}

/// A level: an integer, up to version 9 a string of one, up to version 5 any number.
pub(super) fn number(page: Page, value: &Value) -> Option<i64> {
    match value {
        Value::Integer(level) => Some(*level),
        Value::Number(text) if page.takes_floats() => truncated(text),
        Value::String(text) if page.takes_strings() => {
            let level = integer_in(text)?;
            // "The allowed range for power level values is `[-(2**53)+1, (2**53)-1]`, as required by the Canonical JSON
            // specification", which versions 1 to 5 do not enforce.
            let in_range = level.unsigned_abs() < 1 << 53;
            (in_range || page.takes_floats()).then_some(level)
        }
        _ => None,
    }
}

/// "A single base 10 integer, no float values or decimal points, optionally with any number of leading zeroes; optionally prefixed
/// with a single `-` or `+` character before the integer; optionally with any number of leading or trailing whitespace
/// characters".
fn integer_in(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = if text.starts_with(['-', '+']) { text.split_at(1) } else { ("", text) };
    let is_integer = !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit());
    is_integer.then(|| clamped(sign == "-", digits))
}

/// "First, exponential notation is applied. Second, the value is truncated at the decimal point. Values outside the range
/// represented by IEE754 binary64 (a 'double') cause the powerlevel event to be rejected".
fn truncated(text: &str) -> Option<i64> {
    if !text.parse::<f64>().is_ok_and(f64::is_finite) {
        return None;
    }
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    // A double that is not 0 has no exponent that is larger than this integer type; one that is smaller leaves nothing.
    let point = exponent.parse::<i32>().map_or(0, |exponent| i64::from(exponent) + whole.len() as i64);
    let point = usize::try_from(point).unwrap_or(0);
    let mut before_point: String = digits.chars().take(point).collect();
    if before_point.chars().any(|digit| digit != '0') {
        before_point.extend(std::iter::repeat_n('0', point.saturating_sub(digits.len())));
    }
    Some(clamped(negative, &before_point))
}

/// An integer of any length; beyond 64 bits it counts as the last within.
fn clamped(negative: bool, digits: &str) -> i64 {
    let digits = digits.trim_start_matches('0');
    let magnitude: i128 = match digits.len() {
        0 => 0,
        1..=20 => digits.parse().unwrap_or(i128::MAX),
        _ => i128::from(u64::MAX),
    };
    let value = if negative { -magnitude } else { magnitude };
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}
