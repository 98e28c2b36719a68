//! Logs: one line an event on standard error, for people or as JSON.
//!
//! Neither access tokens nor bodies get here: a request's line has its path without the query.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::core_loop::Cost;
use crate::time::since_epoch;

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Human,
    Json,
}

/// Which requests get a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    All,
    /// Those that failed by our fault, or took long.
    Notable,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub level: LevelFilter,
    pub format: Format,
    pub requests: Requests,
}

/// Work on a request that takes longer than this is notable. Waiting, as `/sync` does, is not work.
const SLOW: Duration = Duration::from_millis(500);

static SETTINGS: OnceLock<LogSettings> = OnceLock::new();

/// Sends all events of the process to standard error. The first call decides.
pub fn start(settings: LogSettings) {
    if SETTINGS.set(settings).is_ok() {
        // Nobody else sets one: this is the only place.
        let _: Result<_, _> = tracing::subscriber::set_global_default(StandardError(settings));
    }
}

/// One request, as it is logged.
#[derive(Debug)]
pub struct RequestLine<'r> {
    pub id: u64,
    pub method: &'r str,
    /// Without the query, which may have an access token.
    pub path: &'r str,
    pub status: u16,
    /// Of the answer's body.
    pub bytes: usize,
    pub cost: Cost,
    /// From the last byte of the headers to the answer.
    pub total: Duration,
}

impl RequestLine<'_> {
    pub fn log(&self) {
        let Some(settings) = SETTINGS.get() else { return };
        let is_notable = self.status >= 500 || self.cost.core + self.cost.queue > SLOW;
        let is_wanted = match settings.requests {
            Requests::All => settings.level >= LevelFilter::INFO || (is_notable && settings.level >= LevelFilter::WARN),
            Requests::Notable => is_notable && settings.level >= LevelFilter::WARN,
            Requests::None => false,
        };
        if !is_wanted {
            return;
        }
        let level = if is_notable { Level::WARN } else { Level::INFO };
        let mut line = Line::new(settings.format, level);
        line.message(format_args!("request"));
        line.number("id", self.id);
        line.text("method", self.method);
        line.text("path", self.path);
        line.number("status", u64::from(self.status));
        line.number("bytes", self.bytes as u64);
        for (name, duration) in [("queue_us", self.cost.queue), ("core_us", self.cost.core), ("total_us", self.total)] {
            line.number(name, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        }
        line.write();
    }
}

/// The receiver of all events.
struct StandardError(LogSettings);

impl Subscriber for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries tell of their own insides; only their warnings concern an operator.
        let is_ours = metadata.target().starts_with("orrery");
        metadata.is_event()
            && *metadata.level() <= self.0.level
            && (is_ours || *metadata.level() <= Level::WARN || self.0.level == LevelFilter::TRACE)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::new(self.0.format, *event.metadata().level());
        event.record(&mut line);
        line.write();
    }

    // Spans are not used.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// One line under construction.
struct Line {
    format: Format,
    /// What comes before the fields.
    head: String,
    message: String,
    fields: String,
}

impl Line {
    fn new(format: Format, level: Level) -> Line {
        let mut head = String::with_capacity(256);
        let time = Rfc3339(since_epoch());
        // Writing to a string cannot fail; here and below.
        let _: fmt::Result = match format {
            Format::Human => write!(head, "{time} {level:5} "),
            Format::Json => write!(head, r#"{{"time":"{time}","level":"{level}","message":"#),
        };
        Line { format, head, message: String::new(), fields: String::new() }
    }

    fn message(&mut self, message: fmt::Arguments<'_>) {
        let _: fmt::Result = self.message.write_fmt(message);
    }

    fn number(&mut self, name: &str, number: u64) {
        let _: fmt::Result = match self.format {
            Format::Human => write!(self.fields, " {name}={number}"),
            Format::Json => write!(self.fields, r#","{name}":{number}"#),
        };
    }

    fn text(&mut self, name: &str, text: &str) {
        let _: fmt::Result = match self.format {
            Format::Human => write!(self.fields, " {name}={}", Plain(text)),
            Format::Json => write!(self.fields, r#","{name}":{}"#, Quoted(text)),
        };
    }

    fn write(self) {
        let Line { format, head: mut line, message, fields } = self;
        let _: fmt::Result = match format {
            Format::Human => writeln!(line, "{}{fields}", Plain(&message)),
            Format::Json => writeln!(line, "{}{fields}}}", Quoted(&message)),
        };
        // Where would we complain?
        let _: std::io::Result<()> = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message(format_args!("{value:?}"));
        } else {
            self.text(field.name(), &format!("{value:?}"));
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" { self.message(format_args!("{value}")) } else { self.text(field.name(), value) }
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field.name(), value);
    }
}

/// Text on a person's terminal: without control characters, which could forge lines.
struct Plain<'t>(&'t str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(char::is_control) {
            return f.write_str(self.0);
        }
        self.0
            .chars()
            .try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
    }
}

/// A JSON string.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// A time since the Unix epoch, in UTC.
struct Rfc3339(Duration);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let millis = self.0.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// The date of a day since 1970-01-01, by eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        let check = |millis, expected: &str| {
            assert_eq!(Rfc3339(Duration::from_millis(millis)).to_string(), expected);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_709_251_200_000, "2024-03-01T00:00:00.000Z");
        check(1_795_228_381_007, "2026-11-21T02:33:01.007Z");
        check(4_107_542_399_000, "2100-02-28T23:59:59.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn no_text_can_forge_a_line() {
        let check = |text: &str, plain: &str, quoted: &str| {
            assert_eq!((Plain(text).to_string(), Quoted(text).to_string()), (plain.to_owned(), quoted.to_owned()));
        };
        check("/_matrix/client", "/_matrix/client", r#""/_matrix/client""#);
        check("a\nb", "a\\nb", r#""a\nb""#);
        check("a\"b\\", "a\"b\\", r#""a\"b\\""#);
        check("\u{1b}[2J", "\\u{1b}[2J", r#""\u001b[2J""#);
    }
}
