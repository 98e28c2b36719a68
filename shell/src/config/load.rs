//! Where configuration comes from: a file, then `ORRERY_*` environment variables, then `-o` options, later ones first.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::section::Problem;
use super::tree::{Data, Entries, Node, Origin, parse_file, parse_value};

/// Read when no file is named, if it is there.
const DEFAULT_FILE: &str = "orrery.toml";
/// Names the file.
const FILE_VARIABLE: &str = "ORRERY_CONFIG";
const PREFIX: &str = "ORRERY_";

/// What the command line and the environment say about configuration.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// After `-c`.
    pub file: Option<PathBuf>,
    /// Name and value of each variable.
    pub environment: Vec<(String, String)>,
    /// After each `-o`.
    pub options: Vec<String>,
}

impl Sources {
    /// With the environment of this process.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, options: Vec<String>) -> Sources {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let ours = |(name, _): &(String, String)| name.starts_with(PREFIX);
        let mut environment: Vec<_> =
            std::env::vars_os().map(|(name, value)| (text(name), text(value))).filter(ours).collect();
        // The system's order is of no meaning.
        environment.sort();
        Sources { file, environment, options }
    }

    /// Reads all of it into one tree.
    pub fn read(&self) -> Result<Entries, Vec<Problem>> {
        let mut entries = match self.file() {
            Some((path, is_required)) => read_file(&path, is_required)?,
            None => Entries::new(),
        };
        let mut problems = Vec::new();
        for (name, value) in &self.environment {
            if name == FILE_VARIABLE {
                continue;
            }
            let origin = Origin::Environment(Arc::from(name.as_str()));
            let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
            put(&mut entries, &key, value, &origin, &mut problems);
        }
        for option in &self.options {
            let origin = Origin::Option(Arc::from(option.as_str()));
            match option.split_once('=') {
                Some((key, value)) => put(&mut entries, key.trim(), value.trim(), &origin, &mut problems),
                None => {
                    let message = "expected key=value".to_owned();
                    problems.push(Problem { origin, key: String::new(), message });
                }
            }
        }
        if problems.is_empty() { Ok(entries) } else { Err(problems) }
    }

    /// The file to read, and whether it must be there.
    fn file(&self) -> Option<(PathBuf, bool)> {
        let variable = || self.environment.iter().find(|(name, _)| name == FILE_VARIABLE);
        match (&self.file, variable()) {
            (Some(path), _) => Some((path.clone(), true)),
            (None, Some((_, path))) => Some((PathBuf::from(path), true)),
            (None, None) => Some((PathBuf::from(DEFAULT_FILE), false)),
        }
    }
}

fn read_file(path: &Path, is_required: bool) -> Result<Entries, Vec<Problem>> {
    let name = path.display().to_string();
    let problem = |origin, message| vec![Problem { origin, key: String::new(), message }];
    match std::fs::read_to_string(path) {
        Ok(text) => parse_file(&name, &text)
            .map_err(|error| problem(Origin::File(Arc::from(name.as_str()), error.line), error.message)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_required => Ok(Entries::new()),
        Err(error) => {
            Err(problem(Origin::File(Arc::from(name.as_str()), 1), format!("cannot read this file: {error}")))
        }
    }
}

/// Puts a value where its dotted key says, in place of what is there.
fn put(entries: &mut Entries, key: &str, value: &str, origin: &Origin, problems: &mut Vec<Problem>) {
    let mut wrong = |message: &str| {
        problems.push(Problem { origin: origin.clone(), key: key.to_owned(), message: message.to_owned() });
    };
    let mut parts: Vec<&str> = key.split('.').collect();
    let Some(last) = parts.pop().filter(|last| !last.is_empty() && parts.iter().all(|part| !part.is_empty())) else {
        return wrong("expected a key such as registration.open");
    };
    let mut table = entries;
    for part in parts {
        let node = table.entry(part.to_owned()).or_insert_with(|| Node {
            data: Data::Table(Entries::new()),
            origin: origin.clone(),
            raw: None,
        });
        match &mut node.data {
            Data::Table(entries) => table = entries,
            Data::List(_) => return wrong("the elements of a list cannot be set one by one; set the whole list"),
            _ => return wrong("a part of this key is not a table"),
        }
    }
    table.insert(last.to_owned(), parse_value(value, origin));
}
