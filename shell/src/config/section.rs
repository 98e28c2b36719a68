//! Typed reading of the configuration's tree. Everything that is wrong is collected, so that an operator sees all of it at
//! once, and every key that was never asked for is unknown.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::time::Duration;

use orrery_core::time::Timestamp;

use super::tree::{Data, Entries, Node, Origin};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// The key, with dots; empty for a file as a whole.
    pub key: String,
    pub message: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, self.key.as_str()) {
            (Origin::Default, key) => write!(f, "{key}: {}", self.message),
            // Its own name is the key.
            (Origin::Option(_), key) if !key.is_empty() => write!(f, "-o {key}: {}", self.message),
            (origin, "") => write!(f, "{origin}: {}", self.message),
            (origin, key) => write!(f, "{origin}: {key}: {}", self.message),
        }
    }
}

/// What reading has found out so far.
#[derive(Debug, Default)]
pub struct Findings {
    problems: RefCell<Vec<Problem>>,
    /// Every key that was asked for.
    known: RefCell<BTreeSet<String>>,
    unknown: RefCell<Vec<(Origin, String)>>,
}

impl Findings {
    pub fn problem(&self, origin: &Origin, key: &str, message: impl Display) {
        let problem = Problem { origin: origin.clone(), key: key.to_owned(), message: message.to_string() };
        self.problems.borrow_mut().push(problem);
    }

    /// Everything that is wrong, unknown keys included.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        let known = self.known.into_inner();
        for (origin, key) in self.unknown.into_inner() {
            let message = match nearest(&key, &known) {
                Some(known) => format!("unknown key; did you mean {known}?"),
                None => "unknown key".to_owned(),
            };
            problems.push(Problem { origin, key, message });
        }
        problems
    }
}

/// One table of the configuration; absent ones read as empty.
#[derive(Debug)]
pub struct Section<'t> {
    findings: &'t Findings,
    /// With dots; empty at the top.
    path: String,
    origin: Origin,
    entries: Option<&'t Entries>,
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    #[must_use]
    pub fn top(entries: &'t Entries, findings: &'t Findings) -> Section<'t> {
        Section { findings, path: String::new(), origin: Origin::Default, entries: Some(entries), asked: Vec::new() }
    }

    /// The whole key of `key` in this table.
    #[must_use]
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where `key` was written; if it was not, where the table was.
    #[must_use]
    pub fn origin_of(&self, key: &str) -> Origin {
        self.entries
            .and_then(|entries| entries.get(key))
            .map_or_else(|| self.origin.clone(), |node| node.origin.clone())
    }

    /// Something is wrong with `key`.
    pub fn problem(&self, key: &str, message: impl Display) {
        self.findings.problem(&self.origin_of(key), &self.key(key), message);
    }

    /// Whether the key was written at all.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// The table `key`.
    #[must_use]
    pub fn section(&mut self, key: &'static str) -> Section<'t> {
        let node = self.ask(key);
        let entries = node.and_then(|node| match &node.data {
            Data::Table(entries) => Some(entries),
            other => {
                self.problem(key, format_args!("expected a table, found {}", other.describe(may_show(key))));
                None
            }
        });
        let origin = node.map_or_else(|| self.origin.clone(), |node| node.origin.clone());
        Section { findings: self.findings, path: self.key(key), origin, entries, asked: Vec::new() }
    }

    /// The tables of the list `key`.
    #[must_use]
    pub fn sections(&mut self, key: &'static str) -> Vec<Section<'t>> {
        let path = self.key(key);
        let findings = self.findings;
        let table = |(index, node): (usize, &'t Node)| {
            let path = format!("{path}[{index}]");
            match &node.data {
                Data::Table(entries) => {
                    let origin = node.origin.clone();
                    Some(Section { findings, path, origin, entries: Some(entries), asked: Vec::new() })
                }
                other => {
                    let found = other.describe(may_show(key));
                    findings.problem(&node.origin, &path, format_args!("expected a table, found {found}"));
                    None
                }
            }
        };
        self.list(key).iter().enumerate().filter_map(table).collect()
    }

    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", |node| match node.data {
            Data::Boolean(flag) => Some(flag),
            _ => None,
        })
    }

    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(key, &expected, |node| match node.data {
            Data::Integer(number) => u32::try_from(number).ok().filter(|number| range.contains(number)),
            _ => None,
        })
    }

    /// A moment, in milliseconds since 1970.
    pub fn timestamp(&mut self, key: &'static str) -> Option<Timestamp> {
        self.read(key, "milliseconds since 1970", |node| match node.data {
            Data::Integer(millis) => u64::try_from(millis).ok().map(Timestamp),
            _ => None,
        })
    }

    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "a text", |node| text_of(node).map(str::to_owned))
    }

    /// A text that `parse` understands.
    pub fn text_as<T, E: Display>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let text = self.text(key)?;
        parse(&text).map_err(|error| self.problem(key, format_args!("{text:?}: {error}"))).ok()
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|word| word.0).collect();
        self.text_as(key, |text| {
            let word = words.iter().find(|word| word.0 == text);
            word.map(|word| word.1).ok_or_else(|| format!("expected one of {}", names.join(", ")))
        })
    }

    /// A time such as `30s`, `5m`, `12h` or `7d`.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.text_as(key, parse_duration)
    }

    /// [`Section::duration`], or `never`.
    pub fn duration_or_never(&mut self, key: &'static str) -> Option<Option<Duration>> {
        self.text_as(key, |text| match text {
            "never" => Ok(None),
            _ => parse_duration(text).map(Some).map_err(|error| format!("{error}, or never")),
        })
    }

    /// The texts of the list `key`, each of which `parse` understands.
    pub fn texts<T, E: Display>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        let path = self.key(key);
        let mut texts = Vec::new();
        for (index, node) in self.list(key).iter().enumerate() {
            let path = format!("{path}[{index}]");
            match &node.data {
                Data::Text(text) => match parse(text) {
                    Ok(value) => texts.push(value),
                    Err(error) => self.findings.problem(&node.origin, &path, format_args!("{text:?}: {error}")),
                },
                other => {
                    let found = other.describe(may_show(key));
                    self.findings.problem(&node.origin, &path, format_args!("expected a text, found {found}"));
                }
            }
        }
        texts
    }

    /// Ends the reading of this table: what it has beyond what was asked for is unknown.
    pub fn finish(self) {
        for (key, node) in self.entries.into_iter().flatten() {
            if !self.asked.contains(&key.as_str()) {
                self.findings.unknown.borrow_mut().push((node.origin.clone(), self.key(key)));
            }
        }
    }

    fn list(&mut self, key: &'static str) -> &'t [Node] {
        match self.ask(key).map(|node| &node.data) {
            None => &[],
            Some(Data::List(nodes)) => nodes,
            Some(other) => {
                self.problem(key, format_args!("expected a list, found {}", other.describe(may_show(key))));
                &[]
            }
        }
    }

    fn read<T>(&mut self, key: &'static str, expected: &str, read: impl FnOnce(&Node) -> Option<T>) -> Option<T> {
        let node = self.ask(key)?;
        let value = read(node);
        if value.is_none() {
            let found = node.data.describe(may_show(key));
            self.problem(key, format_args!("expected {expected}, found {found}"));
        }
        value
    }

    fn ask(&mut self, key: &'static str) -> Option<&'t Node> {
        self.asked.push(key);
        self.findings.known.borrow_mut().insert(self.key(key));
        self.entries?.get(key)
    }
}

fn text_of(node: &Node) -> Option<&str> {
    match (&node.data, &node.raw) {
        (Data::Text(text), _) => Some(text),
        // `-o registration.shared_secret=12345` has no quotes, and means a text all the same.
        (Data::Integer(_) | Data::Boolean(_) | Data::Other(_), Some(raw)) => Some(raw),
        _ => None,
    }
}

/// Secrets do not belong in messages.
fn may_show(key: &str) -> bool {
    !(key.contains("secret") || key.contains("token") || key.contains("password"))
}

fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a time such as 30s, 5m, 12h or 7d";
    let unit = match text.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86_400,
        _ => return Err(EXPECTED),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| EXPECTED)?;
    if count == 0 { Err(EXPECTED) } else { Ok(Duration::from_secs(u64::from(count) * unit)) }
}

/// The known key that `key` is probably meant to be.
fn nearest<'k>(key: &str, known: &'k BTreeSet<String>) -> Option<&'k str> {
    // `listeners[0].adress` is compared with what other elements of the list were asked for.
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let misspelt = known.iter().map(|known| (distance(key, known), known)).min()?;
    if misspelt.0 <= 1 + last(key).len() / 4 {
        return Some(misspelt.1);
    }
    known.iter().find(|known| last(known) == last(key)).map(String::as_str)
}

/// The number of insertions, deletions and replacements between two texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
