//! Numbers that canonical JSON does not have, by their text alone: no floating point, and no more work than the text is long.

use super::value::MAX_SAFE_INTEGER;

/// The decimal digits that the largest safe integer has.
const SAFE_DIGITS: usize = 16;
/// The decimal digits before the point that the largest double has, and how they begin: larger numbers round to infinity.
const DOUBLE_DIGITS: i64 = 309;
const DOUBLE_BEGINS: &[u8; 20] = b"17976931348623158079";

/// A JSON number, cut into its parts: ±`whole`.`fraction` × 10^`exponent`.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    /// Saturated at ±2^62, which is far beyond any number of digits that a text can have.
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// `text` is a number of JSON's grammar.
    fn split(text: &'a str) -> Decimal<'a> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Decimal { negative, whole, fraction, exponent: saturated(exponent) }
    }

    /// The digits, without zeros at the start, and how many of them (or more, as zeros) stand before the point.
    fn digits(&self) -> (impl Iterator<Item = u8> + Clone + 'a, i64) {
        let all = self.whole.bytes().chain(self.fraction.bytes());
        let zeros = all.clone().take_while(|&digit| digit == b'0').count();
        let before_point = self.whole.len() as i64 - zeros as i64;
        (all.skip(zeros), before_point + self.exponent)
    }

    /// Cut off at the point; `None` if that does not fit.
    fn truncated(&self) -> Option<i64> {
        let (digits, before_point) = self.digits();
        let mut digits = digits.peekable();
        if digits.peek().is_none() || before_point <= 0 {
            return Some(0);
        }
        let mut number: i64 = 0;
        for _ in 0..before_point.min(20) {
            let digit = i64::from(digits.next().unwrap_or(b'0') - b'0');
            number = number.checked_mul(10)?.checked_add(digit)?;
        }
        Some(if self.negative { -number } else { number })
    }
}

fn saturated(exponent: &str) -> i64 {
    const BOUND: i64 = 1 << 62;
    let (negative, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    let size =
        digits.bytes().fold(0i64, |size, digit| (size.saturating_mul(10)).saturating_add(i64::from(digit - b'0')));
    if negative { -size.min(BOUND) } else { size.min(BOUND) }
}

/// The safe integer that a number written as `-0` or with an exponent stands for (Appendices, last example of canonical JSON:
/// `-0` is `0` and `1e10` is `10000000000`).
///
/// Numbers with a point have none, whatever their value: the servers that still meet them (room versions 1 to 5) keep `1.0`
/// apart from `1` and sign the former.
pub(super) fn as_safe_integer(text: &str) -> Option<i64> {
    let decimal = Decimal::split(text);
    if !decimal.fraction.is_empty() {
        return None;
    }
    let (digits, before_point) = decimal.digits();
    let significant = digits.clone().count() as i64;
    if significant > 0 && !(0..=SAFE_DIGITS as i64).contains(&before_point) {
        return None;
    }
    if digits.skip(before_point.max(0) as usize).any(|digit| digit != b'0') {
        return None;
    }
    decimal.truncated().filter(|number| number.abs() <= MAX_SAFE_INTEGER)
}

/// The number without what follows its decimal point, saturated at the bounds of `i64`; `None` if a double cannot hold it.
pub(super) fn truncated(text: &str) -> Option<i64> {
    let decimal = Decimal::split(text);
    let (digits, before_point) = decimal.digits();
    let is_zero = digits.clone().next().is_none();
    let is_large = before_point > DOUBLE_DIGITS
        || before_point == DOUBLE_DIGITS && digits.take(DOUBLE_BEGINS.len()).ge(DOUBLE_BEGINS.iter().copied());
    if is_large && !is_zero {
        return None;
    }
    Some(decimal.truncated().unwrap_or(if decimal.negative { i64::MIN } else { i64::MAX }))
}
