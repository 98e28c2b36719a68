//! `orrery serve --record`, and what `orrery-sim replay` makes of it.

use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use orrery_sim::recorded::{Options, Outcome, replay};

use crate::process::{Folder, Orrery, command, options, run};

fn replayed(path: &Path) -> Outcome {
    replay(BufReader::new(File::open(path).unwrap()), Options::default()).unwrap()
}

fn start(data: &Path, file: &Path) -> Orrery {
    let mut command = command(data.parent().unwrap(), &["serve", "--record"]);
    command.arg(file).args(options(data)).args(["-o", "registration.open=true"]);
    Orrery::spawn(command)
}

/// Somebody registers, makes a room and speaks in it.
fn talk(orrery: &Orrery, name: &str) {
    let mut client = orrery.client();
    client.register(name);
    let room = client.ok("POST", "/_matrix/client/v3/createRoom", "{}").text("room_id");
    for i in 0..20 {
        let target = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{i}");
        client.ok("PUT", &target, r#"{"msgtype":"m.text","body":"words"}"#);
    }
    client.ok("GET", "/_matrix/client/v3/sync", "");
}

#[test]
fn what_was_recorded_happens_again() {
    let folder = Folder::new();
    let (first, second) = (folder.0.join("first"), folder.0.join("second"));
    let orrery = start(&folder.data(), &first);
    talk(&orrery, "alice");
    assert!(orrery.stop().success());
    assert_eq!(File::open(&first).unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let outcome = replayed(&first);
    assert_eq!((outcome.failure, outcome.lives, outcome.is_cut), (None, 1, false));
    assert!(outcome.inputs > 40 && outcome.effects > 40, "{} inputs, {} effects", outcome.inputs, outcome.effects);

    // On what is stored now, and without an end.
    let orrery = start(&folder.data(), &second);
    talk(&orrery, "bob");
    orrery.kill();
    let outcome = replayed(&second);
    assert_eq!((outcome.failure, outcome.lives), (None, 1));
    assert!(outcome.inputs > 40 && outcome.effects > 40, "{} inputs, {} effects", outcome.inputs, outcome.effects);
}

#[test]
fn no_file_is_overwritten() {
    let folder = Folder::new();
    let file = folder.0.join("there");
    std::fs::write(&file, "precious").unwrap();
    let mut command = command(&folder.0, &["serve", "--record"]);
    command.arg(&file).args(options(&folder.data()));
    let (code, _, complaint) = run(command);
    assert_eq!(code, 73, "{complaint}");
    assert!(complaint.contains("there is such a file already"), "{complaint}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}
