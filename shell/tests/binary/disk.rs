//! A disk that fails: requests are told so, nothing that was acknowledged is lost, and the server recovers by itself.
//!
//! The limit on the size of files stands in for a full disk: it can be taken back, and needs no privileges.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{BINARY, Client, Folder, Orrery, PATIENCE, clean, options};

/// Starts a server whose files may not grow beyond `blocks` of 512 bytes.
fn start_limited(data: &Path, blocks: u32, more: &[&str]) -> Orrery {
    let mut command = Command::new("sh");
    // Without the trap, the system would end the process at the first write beyond.
    let script = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
    clean(&mut command, data.parent().unwrap()).args(["-c", &script, BINARY, "serve"]);
    command.args(options(data)).args(more.iter().flat_map(|option| ["-o", option]));
    Orrery::spawn(command)
}

fn lift_limit(server: &Orrery) {
    let mut command = Command::new("prlimit");
    let status = command.args(["--pid", &server.id().to_string(), "--fsize=unlimited"]).status().unwrap();
    assert!(status.success());
}

/// Puts account data of 60 kB; says whether it was acknowledged.
fn put(client: &mut Client, user: &str, number: u32) -> bool {
    let body = format!(r#"{{"number":{number},"padding":"{}"}}"#, "x".repeat(60_000));
    let target = format!("/_matrix/client/v3/user/{user}/account_data/test.number.{number}");
    let answer = client.call("PUT", &target, &body);
    assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    if answer.status == 503 {
        assert_eq!(answer.errcode(), "M_UNKNOWN");
        assert!(answer.text("error").contains("storage is full or unavailable"), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    answer.status == 200
}

fn assert_kept(client: &mut Client, user: &str, numbers: &[u32]) {
    for number in numbers {
        let target = format!("/_matrix/client/v3/user/{user}/account_data/test.number.{number}");
        assert_eq!(client.ok("GET", &target, "").json().get("number").unwrap().as_integer(), Some(i64::from(*number)));
    }
}

/// Writes until the disk is full, makes room, and writes again.
fn fill_and_recover(blocks: u32, more: &[&str]) {
    let folder = Folder::new();
    let server = start_limited(&folder.data(), blocks, more);
    let mut client = server.client();
    let user = client.register("alice");
    let mut kept = Vec::new();
    let mut number = 0;
    while put(&mut client, &user, number) {
        kept.push(number);
        number += 1;
        assert!(number < 1000, "the limit is of no effect");
    }
    assert!(!kept.is_empty());
    // It goes on answering, and goes on saying why.
    for _ in 0..3 {
        number += 1;
        if put(&mut client, &user, number) {
            kept.push(number);
        }
    }
    lift_limit(&server);
    let start = Instant::now();
    loop {
        number += 1;
        if put(&mut client, &user, number) {
            kept.push(number);
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_kept(&mut client, &user, &kept);
    let log = server.log();
    assert!(log.contains("the storage failed") && log.contains("the storage works again"), "{log}");
    // And after a crash.
    server.kill();
    let server = Orrery::start(&folder.data(), &[]);
    let token = client.token.take();
    let mut client = server.client();
    client.token = token;
    assert_kept(&mut client, &user, &kept);
}

#[test]
fn a_full_disk_under_the_journal() {
    // The database may have 4 MiB too, but does not get that far.
    fill_and_recover(8 * 1024, &["storage.checkpoint_mib=64"]);
}

#[test]
fn a_full_disk_under_the_database() {
    // The journal is taken over at 1 MiB, and the database may have 3 MiB.
    fill_and_recover(6 * 1024, &["storage.checkpoint_mib=1", "storage.cache_mib=1"]);
}

#[test]
fn a_disk_that_is_full_at_the_start() {
    let folder = Folder::new();
    let mut command = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"";
    clean(&mut command, &folder.0).args(["-c", script, BINARY, "serve"]).args(options(&folder.data()));
    let (code, output, error) = super::process::run(command);
    assert_eq!((code, output.as_str()), (74, ""), "{error}");
    assert!(error.contains("orrery.redb: "), "{error}");
}
