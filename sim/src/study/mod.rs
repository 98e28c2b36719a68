//! Studies: many worlds that differ in some parameters, and what they yield, as tables and plots (`sim/README.md`, "Studies").

pub mod parameters;
pub mod parquet;
pub mod plot;
pub mod runs;
pub mod table;

use std::ops::Range;

use serde::Deserialize;
use toml::Value;

use crate::clock::Span;
use crate::measures;
use crate::options::Options;
use parameters::Base;
use plot::PlotOptions;

/// A study file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    question: String,
    #[serde(default)]
    base: Base,
    /// `A..B`, B not included.
    seeds: String,
    /// Parameters that are the same in all worlds.
    #[serde(default)]
    fixed: toml::Table,
    /// Parameters of which every combination is tried.
    #[serde(default)]
    sweep: toml::Table,
    /// Parameters that are varied together: the first value of each, then the second.
    #[serde(default)]
    together: toml::Table,
    #[serde(default)]
    plots: Vec<PlotOptions>,
}

/// A study.
#[derive(Clone, Debug)]
pub struct Study {
    pub title: String,
    pub question: String,
    base: Base,
    pub seeds: Range<u64>,
    fixed: Vec<(String, Value)>,
    /// The parameters that vary, in the order of the table's columns.
    pub varied: Vec<String>,
    /// Their values in each cell of the grid.
    pub cells: Vec<Vec<Value>>,
    pub plots: Vec<PlotOptions>,
}

/// One world of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub cell: usize,
    pub seed: u64,
}

/// The most worlds that a study may have: more is a slip of the pen.
const MAX_RUNS: u64 = 1_000_000;

impl Study {
    /// Reads a study file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Study, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let seeds = file.seeds.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
        let seeds: Range<u64> = seeds.filter(|seeds| !seeds.is_empty()).ok_or("seeds are a range such as \"0..30\"")?;
        let mut axes: Vec<Axis> = Vec::new();
        for (name, value) in flat(&file.sweep) {
            axes.push(Axis {
                values: values(&name, &value)?.into_iter().map(|value| vec![value]).collect(),
                names: vec![name],
            });
        }
        let mut together = Axis { names: Vec::new(), values: Vec::new() };
        for (name, value) in flat(&file.together) {
            let values = values(&name, &value)?;
            if together.names.is_empty() {
                together.values = vec![Vec::new(); values.len()];
            }
            if values.len() != together.values.len() {
                return Err(format!("what varies together has as many values: {name} has {}", values.len()));
            }
            together.names.push(name);
            together.values.iter_mut().zip(values).for_each(|(row, value)| row.push(value));
        }
        if !together.names.is_empty() {
            axes.push(together);
        }
        let mut cells = vec![Vec::new()];
        for axis in &axes {
            cells =
                cells.iter().flat_map(|cell| axis.values.iter().map(move |more| [&cell[..], more].concat())).collect();
        }
        let study = Study {
            title: file.title,
            question: file.question,
            base: file.base,
            seeds,
            fixed: flat(&file.fixed),
            varied: axes.into_iter().flat_map(|axis| axis.names).collect(),
            cells,
            plots: file.plots,
        };
        study.check()?;
        Ok(study)
    }

    fn check(&self) -> Result<(), String> {
        if self.cells.is_empty() || self.cells.len() as u64 * (self.seeds.end - self.seeds.start) > MAX_RUNS {
            return Err(format!("a study has from one to {MAX_RUNS} worlds"));
        }
        for cell in 0..self.cells.len() {
            self.options(Run { cell, seed: self.seeds.start })?;
        }
        for plot in &self.plots {
            plot.check(&self.varied, &measures::columns())?;
        }
        Ok(())
    }

    /// Every world, in the order of the table.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        (0..self.cells.len()).flat_map(|cell| self.seeds.clone().map(move |seed| Run { cell, seed })).collect()
    }

    /// What a world is made of: every parameter that the study sets.
    #[must_use]
    pub fn parameters(&self, run: Run) -> Vec<(String, Value)> {
        let varied = self.varied.iter().cloned().zip(self.cells[run.cell].iter().cloned());
        self.fixed.iter().cloned().chain(varied).collect()
    }

    /// What tells a run from all others of any study: its base, parameters and seed.
    #[must_use]
    pub fn identity(&self, run: Run) -> String {
        let parameters: Vec<String> =
            self.parameters(run).iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{:?} {} seed={}", self.base, parameters.join(" "), run.seed)
    }

    /// Whether a parameter that varies is a time.
    #[must_use]
    pub fn is_span(&self, name: &str) -> bool {
        let place = self.varied.iter().position(|varied| varied == name);
        let values = place.into_iter().flat_map(|place| self.cells.iter().map(move |cell| &cell[place]));
        values.clone().next().is_some()
            && values.clone().all(|value| value.is_str() && parameters::as_number(value).is_some())
    }

    /// The options of a world.
    ///
    /// # Errors
    /// A parameter there is not, or a value that it cannot have.
    pub fn options(&self, run: Run) -> Result<Options, String> {
        parameters::options(self.base, &self.parameters(run), run.seed)
    }
}

/// Parameters that vary together, and their values.
struct Axis {
    names: Vec<String>,
    values: Vec<Vec<Value>>,
}

/// A table by dotted names, in their order.
fn flat(table: &toml::Table) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) if !is_range(inner) => {
                out.extend(flat(inner).into_iter().map(|(inner, value)| (format!("{name}.{inner}"), value)));
            }
            _ => out.push((name.clone(), value.clone())),
        }
    }
    out
}

fn is_range(table: &toml::Table) -> bool {
    ["from", "to", "step"].iter().all(|key| table.contains_key(*key))
}

/// The values of a parameter: a list, or a range with both ends.
fn values(name: &str, value: &Value) -> Result<Vec<Value>, String> {
    let Value::Table(range) = value else {
        let list = value.as_array().filter(|list| !list.is_empty()).cloned();
        return list.ok_or_else(|| format!("{name} has a list of values, or {{ from, to, step }}"));
    };
    let part = |key: &str| parameters::as_number(&range[key]).ok_or_else(|| format!("{key} of {name} is a number"));
    let (from, to, step) = (part("from")?, part("to")?, part("step")?);
    if step <= 0 || from > to {
        return Err(format!("{name} goes up, from a number to one that is not less"));
    }
    let is_span = range["from"].is_str();
    let write = |number: i64| match u64::try_from(number).ok().filter(|_| is_span) {
        Some(micros) => Value::String(Span(micros).to_string()),
        None => Value::Integer(number),
    };
    let steps = (to - from) / step;
    Ok((0..=steps).map(|at| write(from + at * step)).collect())
}

#[cfg(test)]
mod tests;
