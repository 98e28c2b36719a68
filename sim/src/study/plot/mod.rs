//! Plots of a study: from its table to figures, and from those to SVG and PNG.

mod axis;
mod draw;
mod figure;

use serde::Deserialize;

use super::table::{Cell, Table};
use super::{Study, parameters};
use crate::measures::{self, Column};
pub use draw::{png, svg};
pub use figure::{Figure, Point, Series};

/// What a study file asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlotOptions {
    /// Of the files.
    pub name: String,
    /// The study's, without this.
    title: Option<String>,
    /// A parameter.
    x: String,
    /// A measure.
    y: String,
    /// A measure by which it is divided in each world.
    per: Option<String>,
    /// A parameter of which each value is a line.
    by: Option<String>,
    #[serde(default)]
    statistic: Statistic,
    #[serde(default)]
    band: Band,
    /// Bars rather than lines.
    #[serde(default)]
    bars: bool,
    #[serde(default)]
    log_x: bool,
    #[serde(default)]
    log_y: bool,
    x_label: Option<String>,
    y_label: Option<String>,
    by_label: Option<String>,
    /// Only worlds with these values of parameters.
    #[serde(default, rename = "where")]
    only: toml::Table,
    /// What is written for the values of `x`, in their order.
    #[serde(default)]
    ticks: Vec<String>,
    /// What is written for the values of `by`, in their order.
    #[serde(default)]
    legend: Vec<String>,
}

/// What is shown of many worlds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Statistic {
    #[default]
    Median,
    /// With its confidence interval of 95 %.
    Mean,
}

/// What is shown of their spread around the median.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Band {
    #[default]
    Quartiles,
    /// From the first of ten to the last.
    Deciles,
}

impl PlotOptions {
    /// Whether there is what it names.
    ///
    /// # Errors
    /// What there is not.
    pub fn check(&self, varied: &[String], columns: &[Column]) -> Result<(), String> {
        for name in [Some(&self.x), self.by.as_ref()].into_iter().flatten().chain(self.only.keys()) {
            if !varied.contains(name) {
                return Err(format!("the plot {}: {name} does not vary; {} do", self.name, varied.join(", ")));
            }
        }
        for name in [Some(&self.y), self.per.as_ref()].into_iter().flatten() {
            if !columns.iter().any(|column| column.name == *name) {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                return Err(format!(
                    "the plot {}: there is no measure {name}; there are {}",
                    self.name,
                    names.join(", ")
                ));
            }
        }
        if self.name.is_empty() || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(format!("the name of a plot names its files: letters, digits, - and _, not {:?}", self.name));
        }
        Ok(())
    }

    /// The figure of a table.
    #[must_use]
    pub fn figure(&self, study: &Study, table: &Table) -> Figure {
        let column = |name: &str| table.column(name).expect("what plots name was checked");
        let only: Vec<(usize, Cell)> =
            self.only.iter().map(|(name, value)| (column(name), parameters::cell(value))).collect();
        let rows = table.rows.iter().filter(|row| only.iter().all(|(column, value)| row[*column] == *value));
        let table = &Table { columns: table.columns.clone(), rows: rows.cloned().collect() };
        let (x, y) = (column(&self.x), column(&self.y));
        let (per, by) = (self.per.as_deref().map(column), self.by.as_deref().map(column));
        let (xs, bys) = (different(table, Some(x)), different(table, by));
        let mut series = Vec::new();
        let (mut worlds, mut without) = (0, 0);
        for (at, value) in bys.iter().enumerate() {
            let mut points = Vec::new();
            for (place, x_value) in xs.iter().enumerate() {
                let here = table.rows.iter().filter(|row| row[x] == *x_value && by.is_none_or(|by| row[by] == *value));
                let all: Vec<Option<f64>> = here.map(|row| measured(row, y, per)).collect();
                worlds = worlds.max(all.len());
                without += all.iter().filter(|value| value.is_none()).count();
                let mut values: Vec<f64> = all.into_iter().flatten().collect();
                values.sort_unstable_by(f64::total_cmp);
                let x = if self.bars { place as f64 } else { number(x_value).unwrap_or(place as f64) };
                points.extend(self.summary(&values).map(|(y, low, high)| Point { x, y, low, high }));
            }
            let label = self.legend.get(at).cloned().unwrap_or_else(|| value.to_string());
            series.push(Series { label, points });
        }
        let columns = measures::columns();
        let measure = columns.iter().find(|column| column.name == self.y).expect("what plots name was checked");
        let mut figure = Figure {
            title: self.title.clone().unwrap_or_else(|| study.title.clone()),
            question: study.question.clone(),
            x_label: self.x_label.clone().unwrap_or_else(|| self.x.clone()),
            y_label: self.y_label.clone().unwrap_or_else(|| measure.name.replace('_', " ")),
            by_label: self.by_label.clone().or_else(|| self.by.clone()).unwrap_or_default(),
            categories: self.categories(&xs),
            bars: self.bars,
            log_x: self.log_x,
            log_y: self.log_y,
            series,
            note: self.note(worlds, without),
        };
        let is_span = study.is_span(&self.x);
        figure.use_units(is_span.then_some("µs"), self.per.is_none().then_some(measure.unit));
        figure
    }

    /// What is written below the axis where it has no numbers.
    fn categories(&self, xs: &[Cell]) -> Vec<String> {
        let are_numbers = xs.iter().all(|x| number(x).is_some());
        if are_numbers && !self.bars {
            return Vec::new();
        }
        let label = |(at, x): (usize, &Cell)| self.ticks.get(at).cloned().unwrap_or_else(|| x.to_string());
        xs.iter().enumerate().map(label).collect()
    }

    fn note(&self, worlds: usize, without: usize) -> String {
        let shape = if self.bars { ("Bars", "whiskers") } else { ("Lines", "areas") };
        let (what, spread) = match (self.statistic, self.band) {
            (Statistic::Mean, _) => ("means", "95 % confidence"),
            (Statistic::Median, Band::Quartiles) => ("medians", "from the first to the third quartile"),
            (Statistic::Median, Band::Deciles) => ("medians", "from the 10th to the 90th percentile"),
        };
        let mut note = format!("{}: {what}; {}: {spread}; {worlds} worlds for each.", shape.0, shape.1);
        if without > 0 {
            note += &format!(" {without} worlds have no such value and are left out.");
        }
        note
    }

    fn summary(&self, sorted: &[f64]) -> Option<(f64, f64, f64)> {
        if sorted.is_empty() {
            return None;
        }
        let quantiles = |low, high| (quantile(sorted, 0.5), quantile(sorted, low), quantile(sorted, high));
        Some(match (self.statistic, self.band) {
            (Statistic::Median, Band::Quartiles) => quantiles(0.25, 0.75),
            (Statistic::Median, Band::Deciles) => quantiles(0.1, 0.9),
            (Statistic::Mean, _) => {
                let count = sorted.len() as f64;
                let mean = sorted.iter().sum::<f64>() / count;
                let squares: f64 = sorted.iter().map(|value| (value - mean).powi(2)).sum();
                let error = if sorted.len() > 1 { 1.96 * (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
                // No measure is less than nothing.
                (mean, (mean - error).max(0.0), mean + error)
            }
        })
    }
}

/// Between the two values that are nearest.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(number) => Some(*number as f64),
        _ => None,
    }
}

fn measured(row: &[Cell], y: usize, per: Option<usize>) -> Option<f64> {
    let value = number(&row[y])?;
    match per {
        None => Some(value),
        Some(per) => number(&row[per]).filter(|per| *per > 0.0).map(|per| value / per),
    }
}

/// The different values of a column, in the order in which they come; without a column, one that is empty.
fn different(table: &Table, column: Option<usize>) -> Vec<Cell> {
    let Some(column) = column else { return vec![Cell::Empty] };
    let mut values = Vec::new();
    for row in &table.rows {
        if !values.contains(&row[column]) {
            values.push(row[column].clone());
        }
    }
    values
}

#[cfg(test)]
mod tests;
