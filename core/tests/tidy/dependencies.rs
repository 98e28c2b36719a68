//! What core and the simulator are built from.

use std::process::Command;

use super::Violations;
use super::source::File;

/// Crates that reach the network, the disk, the clock or the machine's entropy, and what has them instead.
const IO: &[(&[&str], &str)] = &[
    (
        &["tokio", "async-std", "smol", "async-io", "futures-executor"],
        "core's own executor (`flow`): it is deterministic",
    ),
    (&["hyper", "reqwest", "ureq", "h2", "axum", "tungstenite"], "`Effect`s that the shell carries out"),
    (
        &["mio", "socket2", "polling", "rustls", "native-tls", "openssl", "hickory-resolver"],
        "the shell: it has the network",
    ),
    (&["redb", "rusqlite", "sled", "rocksdb", "heed", "tempfile", "memmap2"], "`Storage`, which the host implements"),
    (&["getrandom", "rand", "fastrand"], "`Random`: the one seed decides everything"),
    (&["libc", "rustix", "nix", "windows-sys", "wasi"], "an `Effect`: only the shell speaks with the system"),
    (&["time", "chrono", "jiff"], "`Timestamp`, which the host passes in"),
    (&["num_cpus", "rayon", "crossbeam-channel", "parking_lot"], "`Effect::Compute`: only the host has threads"),
    (&["log", "tracing"], "values in `report()` and effects: core has no output beside them"),
];

/// The crates that `package` is built from, each as `name version features`. Those it is only tested with are not in it.
pub fn tree(package: &str) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p} [{f}]"]);
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = command.args(["--package", package, "--manifest-path", manifest]).output().expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    assert!(tree.starts_with(package), "the tree starts with its root: {tree}");
    tree
}

fn names(tree: &str) -> impl Iterator<Item = &str> {
    tree.lines().filter_map(|line| line.split(' ').next())
}

pub fn no_io(tree: &str) -> Violations {
    let mut out = vec![];
    for (banned, instead) in IO {
        for name in banned.iter().filter(|name| names(tree).any(|found| found == **name)) {
            out.push(format!("depends on {name}: use {instead}"));
        }
    }
    out
}

/// No crate of core is built with its `std` feature: core could not run where there is no operating system.
pub fn no_std(tree: &str) -> Violations {
    let mut out = vec![];
    for line in tree.lines() {
        let features = line.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
        // A macro runs in the compiler, not in core.
        if features.split(',').any(|feature| feature == "std") && !line.contains("(proc-macro)") {
            out.push(format!("{line}: switch its default features off: core is no_std"));
        }
    }
    out.dedup();
    out
}

/// A dependency's line in a manifest says what it is for, at its end or on the line above. Crates of the workspace need not,
/// and where the root manifest states the dependency, its comment is there.
pub fn every_dependency_has_a_comment(file: &File) -> Violations {
    if !file.path.ends_with("Cargo.toml") {
        return vec![];
    }
    let (mut out, mut in_dependencies, mut above, mut depth) = (vec![], false, "", 0i32);
    for (index, line) in file.text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or("").trim();
        if code.starts_with('[') && depth == 0 {
            in_dependencies = code.trim_matches(['[', ']']).ends_with("dependencies");
        } else if in_dependencies && !code.is_empty() {
            let commented = line.contains('#') || above.trim_start().starts_with('#');
            let stated_elsewhere = code.starts_with("orrery") || code.contains("workspace = true");
            if depth == 0 && !commented && !stated_elsewhere {
                out.push(format!("{}:{}: {code}: say in a comment what it is for", file.path, index + 1));
            }
            depth += code.matches(['[', '{']).count() as i32 - code.matches([']', '}']).count() as i32;
        }
        above = line;
    }
    out
}

#[test]
fn planted_dependencies_are_found() {
    let tree = "orrery-core v0.1.0 (/src/core) []\nserde v1.0.0 [alloc,derive]\ntokio v1.0.0 [rt]\nbytes v1.0.0 [default,std]\n";
    assert_eq!(no_io(tree).len(), 1);
    assert_eq!(no_std(tree).len(), 1);
    let tree = "orrery-core v0.1.0 (/src/core) []\nserde_derive v1.0.0 (proc-macro) [std]\ntokio-like v1.0.0 []\n";
    assert_eq!(no_io(tree).len(), 0);
    assert_eq!(no_std(tree).len(), 0);
}

#[test]
fn planted_manifests_are_found() {
    let check = |text: &str, found: usize| {
        let file = File::new("core/Cargo.toml", text);
        assert_eq!(every_dependency_has_a_comment(&file).len(), found, "{text}");
    };
    check("[dependencies]\nserde = \"1\"\n", 1);
    check("[dev-dependencies]\nserde = \"1\"\n", 1);
    check("[target.'cfg(unix)'.dependencies]\nserde = \"1\"\n", 1);
    check("[dependencies]\nserde = { version = \"1\", features = [\n  \"derive\",\n] }\n", 1);
    check("[dependencies]\nserde = \"1\" # records\n", 0);
    check("[dependencies]\n# Records.\nserde = \"1\"\n", 0);
    check("[workspace.dependencies]\nserde = \"1\"\n", 1);
    check("[dependencies]\nserde = { workspace = true }\n", 0);
    check("[dependencies]\norrery-core = { workspace = true }\n[lints]\nworkspace = true\n", 0);
}
