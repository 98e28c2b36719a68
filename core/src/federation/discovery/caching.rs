//! How long an answer may be kept (RFC 9111, as far as a small file needs it).

use core::time::Duration;

use crate::http::Response;
use crate::limits::{DEFAULT_WELL_KNOWN_LIFETIME, MAX_WELL_KNOWN_LIFETIME, MIN_WELL_KNOWN_LIFETIME};
use crate::time::Timestamp;

/// By `Cache-Control`, or `Expires`, or the default; within bounds.
pub fn lifetime(response: &Response, now: Timestamp) -> Duration {
    let header = |name: &str| response.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str());
    let said = match header("cache-control").and_then(by_cache_control) {
        Some(lifetime) => Some(lifetime),
        None => header("expires").map(|expires| {
            let date = header("date").and_then(parse_date).unwrap_or(now);
            // What is no date is in the past (RFC 9111, section 5.3).
            parse_date(expires).map_or(Duration::ZERO, |expires| Duration::from_millis(expires.since(date)))
        }),
    };
    said.unwrap_or(DEFAULT_WELL_KNOWN_LIFETIME).clamp(MIN_WELL_KNOWN_LIFETIME, MAX_WELL_KNOWN_LIFETIME)
}

fn by_cache_control(value: &str) -> Option<Duration> {
    let mut max_age = None;
    for directive in value.split(',') {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => max_age = argument.trim().trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }
    max_age
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form of HTTP dates that is still written (RFC 9110, section 5.6.7).
fn parse_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part <= 60));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if words.next() != Some("GMT") {
        return None;
    }
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    // Days before each month of a year that begins in March, so that a leap day is its last.
    let (march_year, march_month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = 365 * march_year + leap_days(march_year) + (153 * march_month + 2) / 5 + day - 1;
    // Those before 1970-01-01.
    let days = days.checked_sub(719_468)?;
    Some(Timestamp((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000))
}

#[cfg(test)]
mod tests;
