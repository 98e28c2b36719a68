//! What is in `corpora/seeds/`: each once found a bug, or a planted one, and none fails any more.

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use orrery_sim::plan::Plan;
use orrery_sim::runner::run_twice;
use orrery_sim::world::Extras;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/seeds")
}

fn plans() -> Vec<PathBuf> {
    let entries = read_dir(folder()).expect("the folder is there");
    let files = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut plans: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    plans.sort();
    assert!(!plans.is_empty());
    plans
}

#[test]
fn plans_that_found_something_pass() {
    for path in plans() {
        let plan = Plan::from_toml(&read_to_string(&path).unwrap());
        let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(run_twice(&plan, Extras::default).failure, None, "{}", path.display());
    }
}

#[test]
fn the_readme_tells_what_each_found() {
    let readme = read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for path in plans() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_listed = readme.contains(&format!("| `{name}` |")) || readme.contains(&format!("| `{name}.toml` |"));
        assert!(is_listed, "{name}");
    }
    let worlds = read_to_string(folder().join("worlds.txt")).unwrap();
    for line in worlds.lines().filter(|line| !line.starts_with('#')) {
        let (arguments, found) = line.split_once('#').expect(line);
        assert!(readme.contains(&format!("| `{}` | {} |", arguments.trim(), found.trim())), "{line}");
    }
}
