//! `orrery user`, beside a server that is not running, and one that is.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::process::{Folder, Orrery, command, options};

/// Runs `orrery user …` with a password on standard input: its exit code and what it wrote.
fn user(data: &Path, arguments: &[&str], password: &str) -> (i32, String, String) {
    let mut command = command(data.parent().unwrap(), &["user"]);
    command.args(arguments).args(options(data)).args(["-o", "logging.level=error"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Commands without a password do not read it.
    let _: std::io::Result<()> = writeln!(child.stdin.take().unwrap(), "{password}");
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn login(server: &Orrery, name: &str, password: &str) -> u16 {
    let body = format!(
        r#"{{"type":"m.login.password","identifier":{{"type":"m.id.user","user":"{name}"}},"password":"{password}"}}"#
    );
    server.client().call("POST", "/_matrix/client/v3/login", &body).status
}

#[test]
fn users_are_managed_while_the_server_is_stopped() {
    let folder = Folder::new();
    let data = folder.data();
    let check = |arguments: &[&str], password: &str, expected: (i32, &str, &str)| {
        let (code, output, error) = user(&data, arguments, password);
        assert_eq!((code, output.as_str(), error.as_str()), expected, "{arguments:?}");
    };
    check(&["list"], "", (0, "", ""));
    check(&["create", "alice"], "first password", (0, "created @alice:localhost\n", ""));
    check(&["create", "@bob:localhost", "--admin"], "first password", (0, "created @bob:localhost\n", ""));
    check(&["list"], "", (0, "@alice:localhost\n@bob:localhost admin\n", ""));
    for (arguments, password) in [
        (&["create", "alice"][..], "first password"),
        (&["create", "al ice"], "first password"),
        (&["create", "carol"], "short"),
        (&["create", "@carol:elsewhere.example"], "first password"),
        (&["reset-password", "carol"], "first password"),
        (&["deactivate", "carol"], ""),
    ] {
        let (code, output, error) = user(&data, arguments, password);
        assert_eq!((code, output.as_str(), error.lines().count()), (1, "", 1), "{arguments:?}: {error}");
    }

    let server = Orrery::start(&data, &[]);
    assert_eq!(login(&server, "alice", "first password"), 200);
    let (code, _, error) = user(&data, &["list"], "");
    assert!(code == 75 && error.contains("another orrery uses"), "{error}");
    assert!(server.stop().success());

    check(&["reset-password", "alice"], "second password", (0, "alice has a new password\n", ""));
    check(&["deactivate", "@bob:localhost"], "", (0, "@bob:localhost is deactivated\n", ""));
    let (_, output, _) = user(&data, &["list", "--json"], "");
    assert_eq!(output.lines().count(), 2, "{output}");
    assert!(output.lines().all(|line| orrery_core::canonical_json::parse(line.as_bytes()).is_ok()), "{output}");

    let server = Orrery::start(&data, &[]);
    assert_eq!(login(&server, "alice", "first password"), 403);
    assert_eq!(login(&server, "alice", "second password"), 200);
    assert_eq!(login(&server, "bob", "first password"), 403);
}
