//! Plan files: a plan as TOML that a person can read and edit, one operation, fault or attack a line.

use core::fmt;
use core::ops::Range;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Plan, PlannedFault};
use crate::byzantine::PlannedAttack;
use crate::options::Options;
use crate::workload::PlannedOp;

/// The version that files say they are of. A file of another one is refused: what it means would be a guess.
pub const VERSION: u32 = 1;

/// Why a text is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPlan {
    /// Where, counted from 1; `None` if it is the file as a whole.
    pub line: Option<usize>,
    pub what: String,
}

impl fmt::Display for BadPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl core::error::Error for BadPlan {}

#[derive(Deserialize)]
struct Header {
    version: u32,
}

#[derive(Serialize)]
struct Written<'p> {
    version: u32,
    world: &'p Options,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: u32,
    world: Options,
    #[serde(default)]
    plan: Story,
}

/// What happens in the world. Each part knows where in the file it stands.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Story {
    ops: Vec<Spanned<PlannedOp>>,
    faults: Vec<Spanned<PlannedFault>>,
    attacks: Vec<Spanned<PlannedAttack>>,
}

impl Plan {
    /// The text of its file. What is as in the calmest of worlds is left out.
    ///
    /// # Panics
    /// If a number of the plan, such as its seed, is 2^63 or more: TOML has no such integers.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let head = |world| {
            let head = toml::to_string(&Written { version: VERSION, world });
            head.expect("a plan has plain data with numbers below 2^63")
        };
        let (mine, calm) = (head(&self.options), head(&Options::default()));
        let mut text = String::new();
        for (table, lines) in differing(&tables(&mine), &tables(&calm)) {
            // What happens comes after the few words on the world, and before its many details.
            if table.contains('.') && !text.contains(STORY) {
                self.write_story(&mut text);
            }
            text += &format!("{table}\n");
            lines.iter().for_each(|line| text += &format!("{line}\n"));
        }
        if !text.contains(STORY) {
            self.write_story(&mut text);
        }
        text.trim_start().to_owned()
    }

    fn write_story(&self, text: &mut String) {
        *text += STORY;
        write_list(text, "ops", &self.ops);
        write_list(text, "faults", &self.faults);
        write_list(text, "attacks", &self.attacks);
    }

    /// The plan of a file's text.
    ///
    /// # Errors
    /// If it is no TOML, is of another version, has a key that there is not, or names what its world does not have.
    pub fn from_toml(text: &str) -> Result<Plan, BadPlan> {
        let bad = |span: Option<Range<usize>>, what: &str| BadPlan {
            line: span.map(|span| 1 + text[..span.start].matches('\n').count()),
            what: what.to_owned(),
        };
        let broken = |error: toml::de::Error| bad(error.span(), error.message());
        let Header { version } = toml::from_str(text).map_err(broken)?;
        if version != VERSION {
            return Err(bad(None, &format!("the plan is of version {version}, and this reads version {VERSION}")));
        }
        let File { world: options, plan: story, .. } = toml::from_str(text).map_err(broken)?;
        options.check().map_err(|what| bad(None, &what))?;
        Ok(Plan {
            ops: checked(story.ops, |op| op.check(&options)).map_err(|(span, what)| bad(Some(span), &what))?,
            faults: checked(story.faults, |fault| fault.check(&options))
                .map_err(|(span, what)| bad(Some(span), &what))?,
            attacks: checked(story.attacks, |attack| attack.check(&options))
                .map_err(|(span, what)| bad(Some(span), &what))?,
            options,
        })
    }
}

fn checked<T>(
    items: Vec<Spanned<T>>,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<Vec<T>, (Range<usize>, String)> {
    let taken = |item: Spanned<T>| match check(item.get_ref()) {
        Ok(()) => Ok(item.into_inner()),
        Err(what) => Err((item.span(), what)),
    };
    items.into_iter().map(taken).collect()
}

/// What a reader looks for in any plan.
const ALWAYS: [&str; 4] = ["version", "seed", "servers", "horizon"];

const STORY: &str = "\n[plan]\n";

/// A table's header and its lines; the first has no header.
type Table<'t> = (String, Vec<&'t str>);

fn tables(text: &str) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = vec![(String::new(), Vec::new())];
    for line in text.lines().filter(|line| !line.is_empty()) {
        match tables.last_mut() {
            Some((_, lines)) if !line.starts_with('[') => lines.push(line),
            _ => tables.push((format!("\n{line}"), Vec::new())),
        }
    }
    tables
}

/// The tables without the lines that stand in the others too. A table within an option (a latency) is one value: it stands as a whole,
/// or not at all.
fn differing<'t>(tables: &[Table<'t>], others: &[Table<'_>]) -> Vec<Table<'t>> {
    let is_other = |table: &str, line: &str| {
        others.iter().any(|(other, lines)| other == table && lines.contains(&line))
            && !ALWAYS.iter().any(|name| line.starts_with(name))
    };
    let differing = tables.iter().map(|(table, lines)| {
        let differs = |line: &&str| !is_other(table, line);
        let is_value = table.matches('.').count() > 1 && lines.iter().any(differs);
        (table.clone(), lines.iter().copied().filter(|line| is_value || differs(line)).collect::<Vec<_>>())
    });
    differing.filter(|(_, lines)| !lines.is_empty()).collect()
}

fn write_list(out: &mut String, name: &str, items: &[impl Serialize]) {
    *out += &format!("{name} = [");
    for item in items {
        *out += "\n  ";
        item.serialize(toml::ser::ValueSerializer::new(out)).expect("parts of plans are plain data");
        out.push(',');
    }
    *out += if items.is_empty() { "]\n" } else { "\n]\n" };
}

#[cfg(test)]
mod tests;
