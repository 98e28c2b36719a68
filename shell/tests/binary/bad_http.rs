//! What sockets bring that no client should send. The server answers or hangs up, and goes on serving.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use orrery_core::limits::MAX_REQUEST_BODY;

use super::process::{Answer, Folder, Orrery, connect, read_answer};

const REGISTER: &str = "POST /_matrix/client/v3/register HTTP/1.1\r\nHost: localhost\r\n";

/// Sends bytes and reads the answer; `None` if the server hangs up instead.
fn send(server: &Orrery, bytes: &[u8]) -> Option<Answer> {
    let mut stream = connect(server.address).unwrap();
    // The server may refuse before it has read everything.
    let _: std::io::Result<()> = stream.write_all(bytes);
    read_answer(&mut BufReader::new(stream), "POST").ok()
}

fn post(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{REGISTER}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn bad_requests_are_answered_with_a_clear_error() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &[]);
    let check = |bytes: &[u8], status: u16, errcode: &str| {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let answer = send(&server, bytes).unwrap_or_else(|| panic!("no answer to {shown}"));
        assert_eq!((answer.status, answer.errcode().as_str()), (status, errcode), "{shown}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{shown}");
    };
    let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();

    // Bodies.
    check(&post(b"{\"username\":"), 400, "M_NOT_JSON");
    check(&post(b"\xff\xfe"), 400, "M_NOT_JSON");
    check(&post(b"{\"username\":\"\xc3\x28\"}"), 400, "M_NOT_JSON");
    check(&post(b"[]"), 400, "M_BAD_JSON");
    check(&post("[".repeat(100_000).as_bytes()), 400, "M_NOT_JSON");
    check(&post(format!("{}{}", "{\"a\":".repeat(50_000), "}".repeat(50_000)).as_bytes()), 400, "M_NOT_JSON");
    // Too large: as announced, and as it turns out.
    let announced = format!("{REGISTER}Content-Length: {}\r\n\r\n", MAX_REQUEST_BODY + 1);
    check(announced.as_bytes(), 413, "M_TOO_LARGE");
    let mut chunked = format!("{REGISTER}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..=MAX_REQUEST_BODY / 65_536 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.resize(chunked.len() + 65_536, b' ');
        chunked.extend_from_slice(b"\r\n");
    }
    check(&chunked, 413, "M_TOO_LARGE");
    // Methods and paths.
    check(&line("GET /"), 404, "M_UNRECOGNIZED");
    check(&line("GET /_matrix/client/v3/nothing?x=%ff"), 404, "M_UNRECOGNIZED");
    check(&line("PATCH /_matrix/client/versions"), 405, "M_UNRECOGNIZED");
    check(&line("BREW /_matrix/client/versions"), 405, "M_UNRECOGNIZED");
    check(&line("GET /_matrix/client/v3/profile/%ff%fe"), 400, "M_INVALID_PARAM");
    server.assert_alive();
}

#[test]
fn what_is_no_http_is_hung_up_on() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &[]);
    let long = "a".repeat(100_000);
    let many = "X-Header: value\r\n".repeat(200);
    let nonsense: [&[u8]; 9] = [
        b"",
        b"\r\n\r\n\r\n",
        b"GET",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense that is no frame",
        &format!("GET /{long} HTTP/1.1\r\n\r\n").into_bytes(),
        &format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n").into_bytes(),
        &format!("GET / HTTP/1.1\r\n{many}\r\n").into_bytes(),
    ];
    for bytes in nonsense {
        let mut stream = connect(server.address).unwrap();
        let _: std::io::Result<()> = stream.write_all(bytes);
        let _: std::io::Result<()> = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // Hung up in whichever way.
        let _: std::io::Result<usize> = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert!(!answer.starts_with("HTTP/1.1 2"), "{shown}: {answer}");
    }
    server.assert_alive();
}

#[test]
fn a_body_cut_short_is_no_request() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &[]);
    let body = r#"{"username":"cut","password":"correct horse","auth":{"type":"m.login.dummy"}}"#;
    let mut stream = connect(server.address).unwrap();
    write!(stream, "{REGISTER}Content-Length: {}\r\n\r\n{body}", body.len() + 1).unwrap();
    drop(stream);
    // The name is still free.
    server.client().register("cut");
}

#[test]
fn the_slow_are_given_up_on() {
    let folder = Folder::new();
    let short = ["limits.header_timeout=1s", "limits.body_timeout=1s", "limits.write_timeout=1s"];
    let server = Orrery::start(&folder.data(), &short);
    let gives_up = |bytes: &[u8], expected: &str| {
        let start = Instant::now();
        let mut stream = connect(server.address).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _: std::io::Result<usize> = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(expected), "{answer:?} to {:?}", String::from_utf8_lossy(bytes));
        assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
    };
    // Nothing, half a preface, half the headers, half the body; and idleness after a request.
    gives_up(b"", "");
    gives_up(b"PR", "");
    gives_up(b"GET / HTTP/1.1\r\nHost: loc", "");
    gives_up(format!("{REGISTER}Content-Length: 10\r\n\r\n{{").as_bytes(), "HTTP/1.1 408");
    gives_up(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404");
    server.assert_alive();
}

#[test]
fn a_client_that_does_not_read_is_hung_up_on() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &["limits.write_timeout=1s", "logging.requests=none"]);
    let mut stream = connect(server.address).unwrap();
    let request = "GET /_matrix/client/versions HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    let start = Instant::now();
    let error = loop {
        // Until the buffers on the way are full, and then until the server has lost its patience.
        if let Err(error) = stream.write_all(request.as_bytes()) {
            break error;
        }
        assert!(start.elapsed() < Duration::from_secs(50), "the server goes on reading");
    };
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    server.assert_alive();
}

#[test]
fn connections_beyond_the_limit_wait() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &["limits.connections=2"]);
    let (mut first, mut second) = (server.client(), server.client());
    first.get("/_matrix/client/versions");
    second.get("/_matrix/client/versions");
    let address = server.address;
    let third = std::thread::spawn(move || {
        let mut stream = connect(address).unwrap();
        stream.write_all(b"GET /_matrix/client/versions HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        read_answer(&mut BufReader::new(stream), "GET").map(|answer| answer.status)
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(!third.is_finished(), "the third connection is served beside two others");
    drop(first);
    assert_eq!(third.join().unwrap().unwrap(), 200);
    drop(second);
}

#[test]
fn connections_of_one_address_beyond_its_limit_are_closed() {
    let folder = Folder::new();
    let limits = ["limits.connections_per_address=2", "limits.unlimited_addresses=[]"];
    let server = Orrery::start(&folder.data(), &limits);
    let (mut first, mut second) = (server.client(), server.client());
    first.get("/_matrix/client/versions");
    second.get("/_matrix/client/versions");
    for _ in 0..3 {
        let mut refused = connect(server.address).unwrap();
        let mut said = Vec::new();
        // It may be closed or reset.
        let _: std::io::Result<usize> = refused.read_to_end(&mut said);
        assert!(said.is_empty());
    }
    second.get("/_matrix/client/versions");
    drop(first);
    // Once the server has seen that.
    let start = Instant::now();
    while server.client().try_call("GET", "/_matrix/client/versions", "").is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "there is no place again");
    }
    assert_eq!(server.log().matches("limits.connections_per_address").count(), 1, "{}", server.log());
}

#[test]
fn browsers_may_ask_from_anywhere() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &[]);
    let mut client = server.client();
    for (method, target, status) in [
        ("OPTIONS", "/_matrix/client/v3/login", 200),
        ("OPTIONS", "/anything/at/all", 200),
        ("GET", "/_matrix/client/v3/login", 200),
        ("HEAD", "/_matrix/client/versions", 200),
        ("GET", "/_matrix/client/v3/account/whoami", 401),
        ("GET", "/nothing", 404),
    ] {
        let answer = client.call(method, target, "");
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{method} {target}");
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(["GET", "POST", "PUT", "DELETE", "OPTIONS"].iter().all(|method| methods.contains(method)));
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert!(["X-Requested-With", "Content-Type", "Authorization"].iter().all(|name| headers.contains(name)));
        assert!(answer.header("content-length").is_some(), "{method} {target}");
    }
}

#[test]
fn tokens_do_not_reach_the_log() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &["logging.level=trace", "logging.format=json"]);
    let mut client = server.client();
    client.register("alice");
    let token = client.token.clone().unwrap();
    client.ok("GET", "/_matrix/client/v3/account/whoami", "");
    client.token = None;
    client.ok("GET", &format!("/_matrix/client/v3/account/whoami?access_token={token}"), "");
    client.get("/_matrix/client/v3/account/whoami?access_token=wrong_but_a_token");
    // One after the others, so that theirs are written.
    client.get("/the/last/one");
    let start = Instant::now();
    while !server.log().contains("/the/last/one") {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    let log = server.log();
    assert!(log.contains(r#""path":"/_matrix/client/v3/account/whoami","status":200"#), "{log}");
    assert!(!log.contains(&token) && !log.contains("wrong_but_a_token") && !log.contains("correct horse"), "{log}");
    for line in log.lines() {
        assert!(orrery_core::canonical_json::parse(line.as_bytes()).is_ok(), "{line}");
    }
}
