//! The plans of `corpora/seeds/`: each once found a bug, or a planted one, and none fails any more.

use std::fs::{read_dir, read_to_string};
use std::path::PathBuf;

use orrery_sim::plan::Plan;
use orrery_sim::runner::run_twice;
use orrery_sim::world::Extras;

#[test]
fn plans_that_found_something_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpora/seeds");
    let files = read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut plans: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    plans.sort();
    assert!(!plans.is_empty());
    for path in plans {
        let plan = Plan::from_toml(&read_to_string(&path).unwrap());
        let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(run_twice(&plan, Extras::default).failure, None, "{}", path.display());
    }
}
