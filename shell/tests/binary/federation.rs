//! Two servers that talk with each other over TLS, and the command that looks at one.

use std::net::TcpListener;
use std::path::Path;

use orrery_core::canonical_json::Value;

use super::process::{Folder, Orrery, command, run};

/// A server called `localhost:PORT`, with a certificate for `localhost`.
struct Peer {
    name: String,
    server: Orrery,
}

/// Writes a certificate for `localhost`, which is its own authority.
fn certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

fn trust(folder: &Path) -> String {
    format!("federation.extra_ca=[\"{}\"]", folder.join("cert.pem").display())
}

const ALLOW: &str = "federation.allow_private_addresses=true";

fn start(folder: &Path, data: &str, more: &[&str]) -> Peer {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let listeners = format!(
        "listeners=[{{address=\"127.0.0.1:0\"}}, {{address=\"127.0.0.1:{port}\", tls={{certificate=\"{}\", key=\"{}\"}}}}]",
        cert.display(),
        key.display()
    );
    let name = format!("localhost:{port}");
    let own_name = format!("server_name=\"{name}\"");
    let options: Vec<&str> = [listeners.as_str(), own_name.as_str()].iter().chain(more).copied().collect();
    Peer { server: Orrery::start(&folder.join(data), &options), name }
}

#[test]
fn servers_believe_each_others_signatures() {
    let folder = Folder::new();
    certificate(&folder.0);
    let trust = trust(&folder.0);
    let a = start(&folder.0, "a", &[&trust, ALLOW]);
    let b = start(&folder.0, "b", &[&trust, ALLOW]);
    let mut client = a.server.client();
    let alice = client.register("alice");
    client.ok("PUT", &format!("/_matrix/client/v3/profile/{alice}/displayname"), r#"{"displayname":"Alice"}"#);
    // b asks a, with a signature that a checks by asking b for its key.
    let mut client = b.server.client();
    client.register("bob");
    let answer = client.ok("GET", &format!("/_matrix/client/v3/profile/{alice}"), "");
    assert_eq!(answer.text("displayname"), "Alice");
    // Each is the other's notary.
    let list = b.server.client().ok("GET", &format!("/_matrix/key/v2/query/{}", a.name), "").json();
    let list = list.get("server_keys").and_then(Value::as_array).unwrap().to_vec();
    assert_eq!(list[0].get("server_name").and_then(Value::as_str), Some(a.name.as_str()));
}

#[test]
fn a_careful_server_asks_nobody_in_its_own_network() {
    let folder = Folder::new();
    certificate(&folder.0);
    let trust = trust(&folder.0);
    let (a, b) = (start(&folder.0, "a", &[&trust]), start(&folder.0, "b", &[&trust]));
    let list = b.server.client().ok("GET", &format!("/_matrix/key/v2/query/{}", a.name), "").json();
    assert_eq!(list.get("server_keys").and_then(Value::as_array).map(<[Value]>::len), Some(0));
}

#[test]
fn a_check_tells_what_is_right_and_what_is_wrong() {
    let folder = Folder::new();
    certificate(&folder.0);
    let trust = trust(&folder.0);
    let a = start(&folder.0, "a", &[]);
    let check = |server: &str, options: &[&str]| {
        let mut command = command(&folder.0, &["federation", "check", server]);
        command.args(options.iter().flat_map(|option| ["-o", option]));
        run(command)
    };
    let (code, text, errors) = check(&a.name, &[&trust, ALLOW]);
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    for part in [
        "place        localhost port ",
        "TLSv1_3, HTTP/2, certificate until ",
        "key          ed25519:",
        "version      Orrery ",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    for (server, options, wrong) in [
        (a.name.as_str(), [trust.as_str()].as_slice(), "no address of the public internet"),
        (&a.name, &[ALLOW], "UnknownIssuer"),
        ("localhost:1", &[ALLOW], "refused"),
        ("localhost:0", &[ALLOW], "port that does not exist"),
    ] {
        let (code, text, errors) = check(server, options);
        assert!(code == 1 && text.contains("WRONG") && text.contains(wrong), "{server}: {code}\n{text}\n{errors}");
    }
    assert_eq!(check("not a name", &[]).0, 64);
}
