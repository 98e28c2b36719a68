//! What is in a figure.

/// What was found for one value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// The spread.
    pub low: f64,
    pub high: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub label: String,
    pub points: Vec<Point>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub title: String,
    pub question: String,
    pub x_label: String,
    pub y_label: String,
    /// What tells the series apart; empty if there is one.
    pub by_label: String,
    /// What stands at 0, 1, … on an axis without numbers.
    pub categories: Vec<String>,
    pub bars: bool,
    pub log_x: bool,
    pub log_y: bool,
    pub series: Vec<Series>,
    pub note: String,
}

/// For each unit of measures: larger ones, from what value on they are used, and how much each is.
const LARGER: [(&str, &[(&str, f64)]); 2] =
    [("µs", &[("ms", 1e3), ("s", 1e6)]), ("bytes", &[("kB", 1e3), ("MB", 1e6), ("GB", 1e9)])];

impl Figure {
    /// Writes values in units that suit them, and names those beside the axes.
    pub fn use_units(&mut self, x: Option<&str>, y: Option<&str>) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let largest_x = points().fold(0.0, |largest: f64, point| largest.max(point.x));
        let largest_y = points().fold(0.0, |largest: f64, point| largest.max(point.high));
        let (x, y) = (x.map(|unit| scale(unit, largest_x)), y.map(|unit| scale(unit, largest_y)));
        if let Some((unit, _)) = x {
            self.x_label += &format!(" ({unit})");
        }
        // Where counts are counted, their name is their unit.
        if let Some((unit, _)) = y.filter(|(unit, _)| !self.y_label.contains(unit) || unit.len() < 3) {
            self.y_label += &format!(" ({unit})");
        }
        let (by_x, by_y) = (x.map_or(1.0, |unit| unit.1), y.map_or(1.0, |unit| unit.1));
        for point in self.series.iter_mut().flat_map(|series| &mut series.points) {
            let Point { x, y, low, high } = *point;
            *point = Point { x: x / by_x, y: y / by_y, low: low / by_y, high: high / by_y };
        }
    }
}

/// The largest unit of which there are two.
fn scale(unit: &str, largest: f64) -> (&str, f64) {
    let larger = LARGER.iter().find(|(of, _)| *of == unit).map_or(&[][..], |(_, larger)| larger);
    larger.iter().rfind(|(_, size)| largest >= 2.0 * size).copied().unwrap_or((unit, 1.0))
}
