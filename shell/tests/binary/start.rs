//! What keeps a server from starting: one line that says what to do, and an exit code for each kind.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::process::{Folder, Orrery, command, options, run};

/// Starts a server that must not start. Its exit code and its one line.
fn refused(data: &Path, more: &[&str]) -> (i32, String) {
    let mut command = command(&std::env::temp_dir(), &["serve"]);
    command.args(options(data)).args(["-o", "logging.level=error"]);
    command.args(more.iter().flat_map(|option| ["-o", option]));
    let (code, output, error) = run(command);
    assert_eq!(output, "", "nothing is served");
    assert_eq!(error.lines().count(), 1, "{error}");
    (code, error.trim().to_owned())
}

#[track_caller]
fn check(data: &Path, more: &[&str], code: i32, expected: &str) {
    let (found, line) = refused(data, more);
    assert_eq!(found, code, "{line}");
    assert!(line.starts_with("orrery: ") && line.contains(expected), "{line}");
}

#[test]
fn a_second_server_on_the_same_data_refuses() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &[]);
    check(&folder.data(), &[], 75, "another orrery uses");
    server.assert_alive();
    assert!(server.stop().success());
    Orrery::start(&folder.data(), &[]).assert_alive();
}

#[test]
fn a_port_in_use_is_named() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listeners = format!("listeners=[{{address=\"{address}\"}}]");
    check(&folder.data(), &[&listeners], 69, &format!("cannot listen on {address}: another program listens there"));
    let elsewhere = "listeners=[{address=\"192.0.2.1:8008\"}]";
    check(&folder.data(), &[elsewhere], 69, "this machine does not have that address");
}

#[test]
fn keys_and_certificates_are_looked_at_first() {
    let folder = Folder::new();
    let at = |name: &str| folder.0.join(name).display().to_string();
    let with = |certificate: &str, key: &str| {
        let tls = format!("{{certificate=\"{}\", key=\"{}\"}}", at(certificate), at(key));
        format!("listeners=[{{address=\"127.0.0.1:0\", tls={tls}}}]")
    };
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(at("cert.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(at("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
    std::fs::write(at("other.pem"), other.signing_key.serialize_pem()).unwrap();
    std::fs::write(at("empty.pem"), "").unwrap();
    std::fs::write(at("cut.pem"), &certificate.cert.pem()[..100]).unwrap();

    check(&folder.data(), &[&with("missing.pem", "key.pem")], 66, "missing.pem: cannot be read: No such file");
    check(&folder.data(), &[&with("cert.pem", "missing.pem")], 66, "missing.pem: cannot be read: No such file");
    check(&folder.data(), &[&with("empty.pem", "key.pem")], 65, "empty.pem: has no certificate in PEM");
    check(&folder.data(), &[&with("cert.pem", "cert.pem")], 65, "cert.pem: has no private key in PEM");
    check(&folder.data(), &[&with("cut.pem", "key.pem")], 65, "cut.pem: is not well-formed PEM");
    check(&folder.data(), &[&with("cert.pem", "other.pem")], 65, "other.pem: cannot be used");
    assert!(!folder.data().exists(), "nothing was created");
}

#[test]
fn a_signing_key_is_made_once_and_never_replaced() {
    let folder = Folder::new();
    let path = folder.data().join("signing.key");
    assert!(Orrery::start(&folder.data(), &[]).stop().success());
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(key.starts_with("ed25519 a_"), "{key}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(Orrery::start(&folder.data(), &[]).stop().success());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);

    // One that was carried over from elsewhere.
    std::fs::write(&path, "ed25519 a_Name AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n").unwrap();
    assert!(Orrery::start(&folder.data(), &[]).stop().success());

    for (text, expected) in [
        ("", "one line"),
        ("ed25519 a_Name", "one line"),
        ("rsa a_Name AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "ed25519"),
        ("ed25519 a_Name AAAA", "32 bytes in base64"),
        ("ed25519 a:b AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "the name of a signing key"),
    ] {
        std::fs::write(&path, text).unwrap();
        check(&folder.data(), &[], 65, expected);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "it is left alone");
    }
    std::fs::write(&path, b"\xff\xff").unwrap();
    check(&folder.data(), &[], 66, "signing.key: the signing key cannot be read");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    check(&folder.data(), &[], 66, "signing.key: the signing key cannot be read");
}

#[test]
fn a_database_that_is_none_is_refused_and_left_alone() {
    let folder = Folder::new();
    let path = folder.data().join("orrery.redb");
    assert!(Orrery::start(&folder.data(), &[]).stop().success());
    let good = std::fs::read(&path).unwrap();
    let cases: [(&str, Vec<u8>); 4] = [
        ("text", b"This is no database, but a text that is longer than a page of one.".repeat(200)),
        ("zeros", vec![0; good.len()]),
        ("cut", good[..good.len() / 2].to_vec()),
        ("header", [vec![0xff; 512], good[512..].to_vec()].concat()),
    ];
    for (name, bytes) in cases {
        std::fs::write(&path, &bytes).unwrap();
        let (code, line) = refused(&folder.data(), &[]);
        assert_eq!(code, 65, "{name}: {line}");
        assert!(line.contains("orrery.redb: the database is damaged"), "{name}: {line}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}: it is left alone");
    }
    std::fs::write(&path, &good).unwrap();
    Orrery::start(&folder.data(), &[]).assert_alive();
}

#[test]
fn a_newer_database_is_refused() {
    let folder = Folder::new();
    assert!(Orrery::start(&folder.data(), &[]).stop().success());
    let path = folder.data().join("orrery.redb");
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let store = redb::TableDefinition::<&str, u64>::new("store");
    transaction.open_table(store).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    check(&folder.data(), &[], 76, "the database has layout 2 and this version of orrery reads layout 1");
}

#[test]
fn another_servers_data_is_refused() {
    let folder = Folder::new();
    assert!(Orrery::start(&folder.data(), &["server_name=a.example"]).stop().success());
    check(&folder.data(), &["server_name=b.example"], 76, "the database belongs to the server a.example");
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("file"), "").unwrap();
    check(&folder.0.join("file/data"), &[], 73, "file/data: the data directory cannot be created");
}

#[test]
fn the_command_line_explains_itself() {
    let folder = Folder::new();
    let (code, output, _) = run(command(&folder.0, &["--version"]));
    assert_eq!((code, output.starts_with("orrery 0.")), (0, true), "{output}");
    let (code, output, _) = run(command(&folder.0, &["--help"]));
    assert!(code == 0 && ["serve", "config", "user"].iter().all(|name| output.contains(name)), "{output}");
    for wrong in [&["frobnicate"][..], &["serve", "--frobnicate"], &["config"], &["user"]] {
        let (code, output, error) = run(command(&folder.0, wrong));
        assert_eq!((code, output.as_str()), (64, ""), "{wrong:?}: {error}");
    }
    let (code, output, error) = run(command(&folder.0, &["config", "check"]));
    assert_eq!((code, output.as_str(), error.as_str()), (0, "the configuration of localhost is valid\n", ""));
    std::fs::write(folder.0.join("orrery.toml"), "server_nam = \"a\"\nguests = 5\n").unwrap();
    for arguments in [&["config", "check"][..], &["serve"], &[], &["user", "list"]] {
        let (code, output, error) = run(command(&folder.0, arguments));
        assert_eq!((code, output.as_str()), (78, ""), "{arguments:?}: {error}");
        assert_eq!(
            error,
            "orrery: the configuration is not valid\n  orrery.toml:2: guests: expected true or false, found the number \
             5\n  orrery.toml:1: server_nam: unknown key; did you mean server_name?\n"
        );
    }
}
