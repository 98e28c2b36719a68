//! Power levels: what the rules read from `m.room.power_levels` and the create event.

use core::borrow::Borrow;

use super::create;
use super::state::StateView;
use crate::canonical_json::{MAX_SAFE_INTEGER, Object, Value};
use crate::event::Pdu;
use crate::room_version::RoomVersionRules;

/// The power of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PowerLevel {
    /// As the room says.
    Int(i64),
    /// Of a creator, in versions where creators are above all levels.
    Infinite,
}

/// The levels that `m.room.power_levels` has beside those of single users, events and notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LevelField {
    UsersDefault,
    EventsDefault,
    StateDefault,
    Ban,
    Redact,
    Kick,
    Invite,
}

impl LevelField {
    pub const ALL: [LevelField; 7] = [
        LevelField::UsersDefault,
        LevelField::EventsDefault,
        LevelField::StateDefault,
        LevelField::Ban,
        LevelField::Redact,
        LevelField::Kick,
        LevelField::Invite,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            LevelField::UsersDefault => "users_default",
            LevelField::EventsDefault => "events_default",
            LevelField::StateDefault => "state_default",
            LevelField::Ban => "ban",
            LevelField::Redact => "redact",
            LevelField::Kick => "kick",
            LevelField::Invite => "invite",
        }
    }

    /// What counts if the room does not say it.
    #[must_use]
    pub const fn default(self) -> i64 {
        match self {
            LevelField::UsersDefault | LevelField::EventsDefault | LevelField::Invite => 0,
            LevelField::StateDefault | LevelField::Ban | LevelField::Redact | LevelField::Kick => 50,
        }
    }
}

/// What counts if the room does not say what a notification takes (Client-Server API, `m.room.power_levels`).
const NOTIFICATION_DEFAULT: i64 = 50;
/// The creator's level while the room has no `m.room.power_levels`, in versions whose creators are not above all levels.
const CREATOR_LEVEL: i64 = 100;

/// The power levels of a room. It holds the events that say them, or borrows them (`P` is `&Pdu`).
///
/// Up to version 9 a room can have levels that are no numbers. Nobody reaches such a level; a user with one has the least power.
#[derive(Clone, Copy, Debug)]
pub struct PowerLevels<P = Pdu> {
    rules: &'static RoomVersionRules,
    create: P,
    power_levels: Option<P>,
}

impl<'a> PowerLevels<&'a Pdu> {
    #[must_use]
    pub fn from_state(rules: &'static RoomVersionRules, create: &'a Pdu, state: &'a dyn StateView) -> Self {
        PowerLevels::new(rules, create, state.event("m.room.power_levels", ""))
    }
}

impl<P: Borrow<Pdu>> PowerLevels<P> {
    /// Of the room's create event and its `m.room.power_levels`, if it has one.
    pub fn new(rules: &'static RoomVersionRules, create: P, power_levels: Option<P>) -> PowerLevels<P> {
        PowerLevels { rules, create, power_levels }
    }

    /// The power of a user.
    pub fn user(&self, user: &str) -> PowerLevel {
        self.read_user(user).unwrap_or(PowerLevel::Int(i64::MIN))
    }

    /// The power that sending an event of type `kind` takes: the "required power level" of the Server-Server API.
    pub fn event(&self, kind: &str, is_state: bool) -> PowerLevel {
        match self.read_entry("events", kind) {
            Entry::Absent if is_state => self.field(LevelField::StateDefault),
            Entry::Absent => self.field(LevelField::EventsDefault),
            entry => entry.required(),
        }
    }

    /// The power that inviting somebody takes.
    pub fn invite(&self) -> PowerLevel {
        self.field(LevelField::Invite)
    }
    /// The power that removing somebody takes, who must have less too.
    pub fn kick(&self) -> PowerLevel {
        self.field(LevelField::Kick)
    }
    /// The power that banning somebody takes, who must have less too, and that lifting a ban takes.
    pub fn ban(&self) -> PowerLevel {
        self.field(LevelField::Ban)
    }
    /// The power that redacting somebody else's event takes.
    pub fn redact(&self) -> PowerLevel {
        self.field(LevelField::Redact)
    }

    /// The power that `field` asks for.
    pub fn field(&self, field: LevelField) -> PowerLevel {
        self.read_field(field).or(field.default()).required()
    }

    /// The power that notifying everybody in the way `key` takes (`room` for `@room`).
    pub fn notification(&self, key: &str) -> PowerLevel {
        self.read_entry("notifications", key).or(NOTIFICATION_DEFAULT).required()
    }

    /// The power of a user; `None` if the room gives something that is no number.
    pub(super) fn read_user(&self, user: &str) -> Option<PowerLevel> {
        let creator = create::is_creator(self.rules, self.create.borrow(), user);
        if creator && self.rules.auth.privileged_creators {
            return Some(PowerLevel::Infinite);
        }
        if self.power_levels.is_none() {
            return Some(PowerLevel::Int(if creator { CREATOR_LEVEL } else { LevelField::UsersDefault.default() }));
        }
        let level = match self.read_entry("users", user) {
            Entry::Absent => self.read_field(LevelField::UsersDefault).or(LevelField::UsersDefault.default()),
            entry => entry,
        };
        level.level().map(PowerLevel::Int)
    }

    fn content(&self) -> Option<&Object> {
        self.power_levels.as_ref().map(|event| &event.borrow().content)
    }

    fn read_field(&self, field: LevelField) -> Entry {
        self.content().map_or(Entry::Absent, |content| Entry::read(self.rules, content.get(field.as_str())))
    }

    fn read_entry(&self, map: &str, key: &str) -> Entry {
        match self.content().and_then(|content| content.get(map)) {
            None => Entry::Absent,
            Some(Value::Object(entries)) => Entry::read(self.rules, entries.get(key)),
            Some(_) => Entry::NoNumber,
        }
    }
}

/// A place where a level may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Absent,
    Level(i64),
    /// Something stands there that is no level.
    NoNumber,
}

impl Entry {
    pub fn read(rules: &RoomVersionRules, value: Option<&Value>) -> Entry {
        match value {
            None => Entry::Absent,
            Some(value) => read_level(rules, value).map_or(Entry::NoNumber, Entry::Level),
        }
    }

    pub fn or(self, default: i64) -> Entry {
        if self == Entry::Absent { Entry::Level(default) } else { self }
    }

    /// As the power that something takes: what is no number is out of reach.
    fn required(self) -> PowerLevel {
        self.level().map_or(PowerLevel::Infinite, PowerLevel::Int)
    }

    pub fn level(self) -> Option<i64> {
        match self {
            Entry::Level(level) => Some(level),
            Entry::Absent | Entry::NoNumber => None,
        }
    }
}

/// A power level as the room's version may write it: an integer; up to version 9 a string of one; up to version 5 any number, of
/// which the fraction is cut off. Levels of those versions beyond 64 bits count as the largest or smallest there.
pub fn read_level(rules: &RoomVersionRules, value: &Value) -> Option<i64> {
    match value {
        Value::Integer(level) => Some(*level),
        Value::Number(text) if !rules.strict_canonical_json => truncate(text),
        Value::String(text) if !rules.auth.integer_power_levels => {
            let level = integer_in_string(text)?;
            let safe = (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&level);
            (safe || !rules.strict_canonical_json).then_some(level)
        }
        _ => None,
    }
}

/// Room version 1, "`m.room.power_levels` events accept values as strings".
fn integer_in_string(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(saturating(negative, digits.bytes()))
}

fn saturating(negative: bool, digits: impl Iterator<Item = u8>) -> i64 {
    digits.fold(0i64, |level, digit| {
        let digit = i64::from(digit - b'0');
        let level = level.saturating_mul(10);
        if negative { level.saturating_sub(digit) } else { level.saturating_add(digit) }
    })
}

/// The most digits before the point that a double has, and how the largest double begins.
const DOUBLE_DIGITS: i64 = 309;
const DOUBLE_MAX: &[u8] = b"17976931348623157";

/// Room version 1, "`m.room.power_levels` events accept values as floats": the exponent is applied, the fraction cut off. `None`
/// beyond what a double holds. `text` is a JSON number.
fn truncate(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    let zeros = digits().take_while(|digit| *digit == b'0').count();
    let significant = || digits().skip(zeros);
    if significant().next().is_none() {
        return Some(0);
    }
    let exponent = exponent_of(exponent);
    // How many of the significant digits are before the point.
    let before = whole.len() as i64 - zeros as i64 + exponent;
    if before > DOUBLE_DIGITS
        || (before == DOUBLE_DIGITS && significant().take(DOUBLE_MAX.len()).gt(DOUBLE_MAX.iter().copied()))
    {
        return None;
    }
    let before = usize::try_from(before).unwrap_or(0);
    Some(saturating(negative, significant().chain(core::iter::repeat(b'0')).take(before)))
}

/// An exponent of a JSON number, cut to what cannot be told apart from it here.
fn exponent_of(text: &str) -> i64 {
    const FAR: i64 = 1_000_000_000;
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    saturating(negative, digits.iter().copied()).clamp(-FAR, FAR)
}
