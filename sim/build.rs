//! Tells the simulator from which commit it is built, so that a failure can say so: `ORRERY_COMMIT` if that is set, else what the
//! repository's HEAD is at, else `unknown`. Two builds of one commit are the same.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=ORRERY_COMMIT");
    let named = std::env::var("ORRERY_COMMIT").ok().filter(|commit| !commit.is_empty());
    let head = || head(Path::new("../.git")).map(|commit| commit.chars().take(12).collect());
    println!("cargo::rustc-env=ORRERY_COMMIT={}", named.or_else(head).unwrap_or_else(|| "unknown".to_owned()));
}

/// The commit that is checked out, if this is a clone of the repository or a worktree of one.
fn head(git: &Path) -> Option<String> {
    let directory = match read_to_string(git) {
        Ok(pointer) => PathBuf::from(pointer.strip_prefix("gitdir: ")?.trim()),
        Err(_) => git.to_owned(),
    };
    let head = read(&directory.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ") else { return Some(head) };
    let common = read(&directory.join("commondir")).map_or(directory.clone(), |common| directory.join(common));
    read(&common.join(name)).or_else(|| {
        let packed = read(&common.join("packed-refs"))?;
        let line = packed.lines().find(|line| line.ends_with(name))?;
        line.split(' ').next().map(str::to_owned)
    })
}

/// What a file says; when it changes, this runs again.
fn read(path: &Path) -> Option<String> {
    let text = read_to_string(path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}
