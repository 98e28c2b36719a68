//! The command line: from a seed to a plan, to a smaller one, and back to the failure.

use std::path::PathBuf;
use std::process::Command;

/// What a command printed, and its exit code.
fn simulate(arguments: &str) -> (String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_orrery-sim")).args(arguments.split(' ')).output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (printed.into_owned(), output.status.code().expect("it ends by itself"))
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn hash(printed: &str) -> &str {
    printed.lines().find(|line| line.starts_with("trace hash")).expect("a run ends with its hash")
}

#[test]
fn a_saved_plan_is_the_seed_again() {
    let saved = file("saved.toml");
    let (run, code) = simulate(&format!("run --seed 3 --servers 2 --steps 20 --save {}", saved.display()));
    assert_eq!(code, 0, "{run}");
    let (replay, code) = simulate(&format!("replay {} --twice", saved.display()));
    assert_eq!((hash(&replay), code), (hash(&run), 0));
    let (lines, _) = simulate(&format!("replay {} --trace --server 1 --until 5s", saved.display()));
    assert!(lines.contains(" s1.1 * start") && !lines.contains(" s0.1 * start"), "{lines}");
    assert!(lines.contains("server 0: "), "{lines}");
}

#[test]
fn a_failure_says_how_to_see_it_again() {
    let (failing, shrunk) = (file("failing.toml"), file("shrunk.toml"));
    let lies = "--crashes 8 --clients 2 --steps 30 --lie loses-acknowledged";
    let fails = |seed: &u64| simulate(&format!("run --seed {seed} {lies} --save {}", failing.display())).1 == 12;
    let seed = (0..40).find(fails).expect("a disk that lies is found");
    let (printed, code) = simulate(&format!("shrink {} -o {} --quiet", failing.display(), shrunk.display()));
    assert_eq!(code, 0, "{printed}");
    let command = format!("orrery-sim replay {}", shrunk.display());
    assert!(printed.contains(&format!("replay {command}")) && printed.contains("commit "), "{printed}");
    let text = std::fs::read_to_string(&shrunk).unwrap();
    assert!(text.starts_with("# safety (") && text.contains(&format!("# Replay: {command}")), "{text}");
    let (printed, code) = simulate(&format!("replay {}", shrunk.display()));
    assert!(code == 12 && printed.contains("failure safety (") && printed.contains("commit "), "{printed}");
    let (printed, _) = simulate(&format!("sweep --seeds {seed}..{} {lies} --quiet", seed + 1));
    assert!(printed.contains(&format!("orrery-sim run --seed {seed} {lies} # at ")), "{printed}");
}

#[test]
fn what_is_no_plan_is_told() {
    let bad = file("bad.toml");
    std::fs::write(&bad, "version = 1\n[world]\nserver = 2\n").unwrap();
    let (printed, code) = simulate(&format!("replay {}", bad.display()));
    assert!(code == 2 && printed.contains("line 3"), "{printed}");
    let (printed, code) = simulate("shrink --seed 1 --steps 1 --clients 1 --crashes 0");
    assert!(code == 1 && printed.contains("nothing to shrink"), "{printed}");
    assert_eq!(simulate("replay there-is-no-such-file.toml").1, 2);
}
