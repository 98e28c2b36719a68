//! Files are rooms that one person can know, and have names that say what is inside.

use super::Violations;
use super::source::File;

const MAX_LINES: usize = 800;

/// Longer files, each with the reason why it is one.
const LONG: &[(&str, &str)] = &[];

pub fn file_is_short(file: &File) -> Violations {
    let lines = file.text.lines().count();
    if lines <= MAX_LINES || LONG.iter().any(|(path, _)| file.path == *path) {
        return vec![];
    }
    vec![format!("{}: {lines} lines: split it by subject, at {MAX_LINES} at most", file.path)]
}

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "misc", "helper", "helpers", "common", "stuff", "shared"];

pub fn file_says_what_it_holds(file: &File) -> Violations {
    let mut parts = file.path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    match parts.find(|part| EMPTY_NAMES.contains(part)) {
        Some(name) => vec![format!("{}: {name}: name it after its subject, in the specification's words", file.path)],
        None => vec![],
    }
}

#[test]
fn long_and_nameless_files_are_found() {
    assert_eq!(file_is_short(&File::new("core/src/room.rs", &"x\n".repeat(801))).len(), 1);
    assert_eq!(file_is_short(&File::new("core/src/room.rs", &"x\n".repeat(800))).len(), 0);
    assert_eq!(file_says_what_it_holds(&File::new("core/src/utils.rs", "")).len(), 1);
    assert_eq!(file_says_what_it_holds(&File::new("shell/src/misc/mod.rs", "")).len(), 1);
    assert_eq!(file_says_what_it_holds(&File::new("core/src/room.rs", "")).len(), 0);
}

#[test]
fn long_files_are_still_long() {
    for (path, reason) in LONG {
        let lines = super::source::read(path).text.lines().count();
        assert!(lines > MAX_LINES, "{path} has {lines} lines now: take it off the list ({reason})");
    }
}
