//! What a scenario found: named figures with units, for people and as JSON.

use std::fmt::Write;
use std::time::Duration;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
}

/// The figures of one scenario, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub scenario: String,
    pub figures: Vec<Figure>,
    /// How many operations failed, of any kind.
    pub errors: usize,
    /// One text of each kind of error, a few at most.
    pub error_texts: Vec<String>,
}

impl Report {
    #[must_use]
    pub fn new(scenario: &str) -> Report {
        Report { scenario: scenario.to_owned(), ..Report::default() }
    }

    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { name: name.into(), value, unit });
    }

    pub fn milliseconds(&mut self, name: impl Into<String>, duration: Duration) {
        self.figure(name, duration.as_secs_f64() * 1e3, "ms");
    }

    /// One line per figure, then the errors.
    #[must_use]
    pub fn human(&self) -> String {
        let mut out = format!("{}\n", self.scenario);
        for Figure { name, value, unit } in &self.figures {
            let _ = writeln!(out, "  {name:<40} {:>12} {unit}", rounded(*value));
        }
        let _ = writeln!(out, "  {:<40} {:>12}", "errors", self.errors);
        for text in &self.error_texts {
            let _ = writeln!(out, "    {text}");
        }
        out
    }

    /// One line: `{"scenario":…,"errors":…,"figures":{NAME:{"value":…,"unit":…},…}}`.
    #[must_use]
    pub fn json(&self) -> String {
        let mut out = format!(r#"{{"scenario":"{}","errors":{},"figures":{{"#, self.scenario, self.errors);
        for (index, Figure { name, value, unit }) in self.figures.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(out, r#"{comma}"{name}":{{"value":{value},"unit":"{unit}"}}"#);
        }
        out.push_str("}}");
        out
    }
}

/// Four significant digits, without an exponent.
fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 1.0 => 3,
        _ => 4,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_what_matters() {
        for (value, expected) in [(0.0, "0.0000"), (0.51234, "0.5123"), (6.0, "6.000"), (81.25, "81.25")] {
            assert_eq!(rounded(value), expected);
        }
        assert_eq!(rounded(123.456), "123.5");
        assert_eq!(rounded(6123.456), "6123");
    }

    #[test]
    fn both_forms_show_figures_and_errors() {
        let mut report = Report::new("send");
        report.figure("throughput", 6000.5, "messages/s");
        report.milliseconds("median", Duration::from_micros(500));
        report.errors = 2;
        report.error_texts.push("PUT /x answered 500: {}".to_owned());
        let expected = r#"{"scenario":"send","errors":2,"figures":{"throughput":{"value":6000.5,"unit":"messages/s"},"median":{"value":0.5,"unit":"ms"}}}"#;
        assert_eq!(report.json(), expected);
        let human = report.human();
        for part in ["send\n", "throughput", "6000 messages/s", "0.5000 ms", "errors", "answered 500"] {
            assert!(human.contains(part), "{part} in {human}");
        }
    }
}
