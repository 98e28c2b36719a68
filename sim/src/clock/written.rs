//! Times and spans as people write them: `1.5s`, `30ms`, `250us`, `2min`.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Span, Time};

/// Units and their microseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// Why something is no span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSpan(String);

impl fmt::Display for NoSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no time: a number and one of us, ms, s, min, h, such as 1.5s", self.0)
    }
}

impl core::error::Error for NoSpan {}

/// In seconds, milliseconds or microseconds, nothing rounded.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, micros) = match self.0 {
            1_000_000.. => ("s", 1_000_000),
            1_000.. => ("ms", 1_000),
            0 => ("s", 1),
            _ => ("us", 1),
        };
        let (whole, part) = (self.0 / micros, self.0 % micros);
        let digits = micros.ilog10() as usize;
        let part = if part == 0 { String::new() } else { format!(".{part:0digits$}") };
        write!(f, "{whole}{}{unit}", part.trim_end_matches('0'))
    }
}

impl FromStr for Span {
    type Err = NoSpan;

    fn from_str(text: &str) -> Result<Span, NoSpan> {
        parse(text).ok_or_else(|| NoSpan(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Span> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = (&text[..digits], text[digits..].trim());
    let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let mut span = whole.parse::<u64>().ok()?.checked_mul(*micros)?;
    let mut place = *micros;
    if part.is_empty() {
        return None;
    }
    for digit in part.chars() {
        // What is finer than a microsecond there is not.
        if (place == 0 || place % 10 != 0) && digit != '0' {
            return None;
        }
        place /= 10;
        span = span.checked_add(place * u64::from(digit.to_digit(10)?))?;
    }
    Some(Span(span))
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A time is the span since the world began.
impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Span(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        Span::deserialize(deserializer).map(|span| Time(span.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_as_it_was_written() {
        let check = |micros: u64, text: &str| {
            assert_eq!(Span(micros).to_string(), text);
            assert_eq!(text.parse(), Ok(Span(micros)));
        };
        check(0, "0s");
        check(7, "7us");
        check(999, "999us");
        check(1_000, "1ms");
        check(30_500, "30.5ms");
        check(1_000_000, "1s");
        check(1_500_000, "1.5s");
        check(61_000_001, "61.000001s");
        for span in [1, 12, 123, 1_234, 12_345, 123_456, 1_234_567, 12_345_678, 100_100_100] {
            assert_eq!(Span(span).to_string().parse(), Ok(Span(span)));
        }
    }

    #[test]
    fn other_units_and_nonsense() {
        assert_eq!("2min".parse(), Ok(Span::secs(120)));
        assert_eq!("1.5 h".parse(), Ok(Span::secs(5_400)));
        for text in [
            "",
            "1",
            "s",
            "-1s",
            "1.5us",
            "1.05us",
            "1..5s",
            "1.s",
            ".5s",
            "1 day",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
