//! The command line: `load SCENARIO [--name value]… [--flag]… [-- COMMAND…]`.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::error::{LoadError, Result};

/// Options that are not yet asked for. [`Arguments::finish`] refuses those that nobody asked for.
#[derive(Debug, Default)]
pub struct Arguments {
    pub scenario: String,
    options: BTreeMap<String, String>,
    /// What follows `--`.
    pub command: Vec<String>,
}

/// Options without a value.
const FLAGS: &[&str] = &["json", "orrery-hash"];

impl Arguments {
    /// # Errors
    /// When the scenario or an option's value is missing, or a word is not an option.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Arguments> {
        let mut words = words.into_iter();
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            if word == "--" {
                arguments.command = words.by_ref().collect();
            } else if let Some(name) = word.strip_prefix("--") {
                let value = if FLAGS.contains(&name) {
                    String::new()
                } else {
                    words.next().ok_or_else(|| LoadError::Usage(format!("--{name} needs a value")))?
                };
                arguments.options.insert(name.to_owned(), value);
            } else if arguments.scenario.is_empty() {
                arguments.scenario = word;
            } else {
                return Err(LoadError::Usage(format!("unexpected argument {word:?}")));
            }
        }
        if arguments.scenario.is_empty() {
            return Err(LoadError::Usage("a scenario is needed".to_owned()));
        }
        Ok(arguments)
    }

    /// Takes an option's value, if it was given.
    ///
    /// # Errors
    /// When the value does not parse.
    pub fn option<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.options.remove(name) else { return Ok(None) };
        let parsed = value.parse().map_err(|_| LoadError::Usage(format!("--{name} cannot be {value:?}")))?;
        Ok(Some(parsed))
    }

    /// Takes an option's value or its default.
    ///
    /// # Errors
    /// When the value does not parse.
    pub fn value<T: FromStr>(&mut self, name: &str, default: T) -> Result<T> {
        Ok(self.option(name)?.unwrap_or(default))
    }

    /// Whether a flag was given.
    pub fn flag(&mut self, name: &str) -> bool {
        self.options.remove(name).is_some()
    }

    /// # Errors
    /// When an option was given that the scenario does not have.
    pub fn finish(&self) -> Result<()> {
        match self.options.keys().next() {
            None => Ok(()),
            Some(name) => Err(LoadError::Usage(format!("{} has no option --{name}", self.scenario))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_flags_and_command() {
        let mut arguments = parse("send --clients 4 --json --rooms 2 -- orrery serve --config x").unwrap();
        assert_eq!(arguments.scenario, "send");
        assert_eq!(arguments.value("clients", 32).unwrap(), 4);
        assert_eq!(arguments.value("seconds", 10).unwrap(), 10);
        assert_eq!(arguments.option::<u32>("server-pid").unwrap(), None);
        assert!(arguments.flag("json"));
        assert!(arguments.finish().is_err(), "--rooms was not asked for");
        assert_eq!(arguments.value("rooms", 1).unwrap(), 2);
        arguments.finish().unwrap();
        assert_eq!(arguments.command, ["orrery", "serve", "--config", "x"]);
    }

    #[test]
    fn refusals() {
        for line in ["", "--json", "send --clients", "send extra"] {
            assert!(matches!(parse(line), Err(LoadError::Usage(_))), "{line}");
        }
        assert!(parse("send --clients many").unwrap().value("clients", 1).is_err());
    }
}
