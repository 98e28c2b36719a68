//! Stopping: what is under way is answered, what was answered is kept.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::process::{Folder, Orrery, PATIENCE, command, connect, options, read_answer};

#[test]
fn both_signals_stop_the_server_cleanly() {
    let folder = Folder::new();
    for signal in ["TERM", "INT"] {
        let mut server = Orrery::start(&folder.data(), &[]);
        let mut client = server.client();
        client.register(&format!("user-{}", signal.to_lowercase()));
        server.signal(signal);
        assert!(server.wait().success(), "{}", server.log());
        assert!(client.try_call("GET", "/_matrix/client/versions", "").is_err());
        let journal = folder.data().join("orrery.journal-a");
        assert_eq!(std::fs::metadata(journal).unwrap().len(), 0, "everything is in the database");
    }
    let server = Orrery::start(&folder.data(), &[]);
    for name in ["user-term", "user-int"] {
        let login = format!(
            r#"{{"type":"m.login.password","identifier":{{"type":"m.id.user","user":"{name}"}},"password":"correct horse"}}"#
        );
        server.client().ok("POST", "/_matrix/client/v3/login", &login);
    }
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let folder = Folder::new();
    // Slow enough to be under way when the signal comes.
    let mut server = Orrery::start(&folder.data(), &["passwords.memory_kib=65536", "passwords.passes=3"]);
    let body = r#"{"username":"late","password":"correct horse","auth":{"type":"m.login.dummy"}}"#;
    let mut stream = connect(server.address).unwrap();
    write!(
        stream,
        "POST /_matrix/client/v3/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    server.signal("TERM");
    let answer = read_answer(&mut BufReader::new(stream), "POST").unwrap();
    // On a very slow machine the grace ends first, and then the client is told so.
    assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    assert!(server.wait().success(), "{}", server.log());
}

#[test]
fn idle_connections_do_not_hold_the_server_up() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &[]);
    let mut idle: Vec<_> = (0..20).map(|_| server.client()).collect();
    for client in &mut idle {
        client.get("/_matrix/client/versions");
    }
    let silent: Vec<_> = (0..5).map(|_| connect(server.address).unwrap()).collect();
    let start = Instant::now();
    assert!(server.stop().success());
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
    drop(silent);
}

#[test]
fn the_service_manager_is_told() {
    let folder = Folder::new();
    let path = folder.0.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = command(&folder.0, &["serve"]);
    command.args(options(&folder.data())).env("NOTIFY_SOCKET", &path);
    let server = Orrery::spawn(command);
    let heard = || {
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    assert_eq!(heard(), "READY=1");
    server.assert_alive();
    assert!(server.stop().success());
    assert_eq!(heard(), "STOPPING=1");
}
