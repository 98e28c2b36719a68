//! The house rules, as tests. Each ban names what to write instead, and why; each rule is shown to catch what it is for.

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::{File, workspace_files};

/// What breaks a rule, as `path:line: what, and what to do`.
type Violations = Vec<String>;

/// Fails with every violation that `rule` finds in the workspace's files of one kind.
fn enforce(extension: &str, rule: impl Fn(&File) -> Violations) {
    let files = workspace_files(extension);
    assert!(!files.is_empty(), "the workspace has .{extension} files");
    let violations: Violations = files.iter().flat_map(rule).collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn core_is_deterministic() {
    enforce("rs", words::core_is_deterministic);
}

#[test]
fn the_simulator_is_deterministic() {
    enforce("rs", words::simulator_is_deterministic);
}

#[test]
fn nothing_is_left_undone() {
    enforce("rs", words::nothing_is_left_undone);
}

#[test]
fn every_test_runs() {
    enforce("rs", words::every_test_runs);
}

#[test]
fn modules_import_downwards() {
    let order = layers::Order::of(&source::read("core/src/lib.rs"));
    enforce("rs", |file| layers::modules_import_downwards(&order, file));
}

#[test]
fn every_module_of_core_is_in_the_order() {
    let order = layers::Order::of(&source::read("core/src/lib.rs"));
    enforce("rs", |file| layers::module_is_listed(&order, file));
}

#[test]
fn files_are_short_and_say_what_they_hold() {
    enforce("rs", files::file_is_short);
    enforce("rs", files::file_says_what_it_holds);
}

#[test]
fn every_dependency_earns_its_place() {
    enforce("toml", dependencies::every_dependency_has_a_comment);
}

#[test]
fn core_depends_on_pure_crates_only() {
    let tree = dependencies::tree("orrery-core");
    let violations = dependencies::no_io(&tree).into_iter().chain(dependencies::no_std(&tree));
    assert_eq!(violations.collect::<Violations>(), Violations::new());
}

#[test]
fn the_simulator_depends_on_no_io() {
    assert_eq!(dependencies::no_io(&dependencies::tree("orrery-sim")), Violations::new());
}
