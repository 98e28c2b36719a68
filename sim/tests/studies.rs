//! A study has one result, on however many threads it runs, in however many shards and attempts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const STUDY: &str = r#"
title = "A small study"
question = "Does it matter who runs it?"
seeds = "0..3"
[fixed]
steps = 6
horizon = "10s"
clients.meetings = 1
[sweep]
servers = [1, 2]
"network.latency.high" = ["5ms", "50ms"]
[[plots]]
name = "delays"
x = "network.latency.high"
y = "delay_median"
by = "servers"
"#;

/// A new folder with the study in it.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("the folder can be made");
    fs::write(path.join("study.toml"), STUDY).expect("the study can be written");
    path
}

/// Runs the study there, and returns what it says.
fn experiment(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orrery-sim"));
    let output = command
        .arg("experiment")
        .arg(folder.join("study.toml"))
        .arg("--quiet")
        .args(arguments)
        .output()
        .expect("the simulator starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("its output is text")
}

fn results(folder: &Path) -> String {
    fs::read_to_string(folder.join("study/results.csv")).expect("the results are there")
}

#[test]
fn a_study_has_one_result() {
    let alone = folder("alone");
    let said = experiment(&alone, &["--jobs", "1"]);
    assert!(said.starts_with("12 of 12 worlds"), "{said}");
    let expected = results(&alone);
    assert_eq!(expected.lines().count(), 13);
    assert!(expected.lines().skip(1).all(|line| line.contains(",passed,")), "{expected}");
    for file in ["results.parquet", "delays.svg", "delays.png"] {
        assert!(fs::metadata(alone.join("study").join(file)).unwrap().len() > 0, "{file}");
    }

    let threads = folder("threads");
    experiment(&threads, &["--jobs", "3"]);
    assert_eq!(results(&threads), expected, "on three threads");

    let shards = folder("shards");
    let said = experiment(&shards, &["--shard", "1/2", "--jobs", "1"]);
    assert!(said.starts_with("6 of 12 worlds are there"), "{said}");
    assert!(!shards.join("study/results.csv").exists(), "half of a study is none");
    experiment(&shards, &["--shard", "0/2", "--jobs", "1"]);
    assert_eq!(results(&shards), expected, "in two shards");
}

#[test]
fn a_study_goes_on_where_it_was_stopped() {
    let whole = folder("whole");
    experiment(&whole, &["--jobs", "1"]);
    let expected = results(&whole);
    let rows = whole.join("study/rows/0-of-1.tsv");
    let text = fs::read_to_string(&rows).unwrap();
    // In the middle of a line.
    fs::write(&rows, &text[..text.len() / 2]).unwrap();
    let kept = text[..text.len() / 2].lines().count() - 1;
    fs::remove_file(whole.join("study/results.csv")).unwrap();
    let said = experiment(&whole, &["--jobs", "1"]);
    assert!(said.starts_with("12 of 12 worlds"), "{said}");
    assert_eq!(results(&whole), expected);
    // What was there was not run again: one torn line, and the rest of twelve.
    assert_eq!(fs::read_to_string(&rows).unwrap().lines().count(), kept + 1 + (12 - kept));
}
