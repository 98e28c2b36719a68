//! Clients that hold on to a connection and do nothing with it, or next to nothing: the server lets go of them, and serves others
//! meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo};

use super::process::{Folder, Orrery, PATIENCE, connect};
use super::tls;

const SHORT: [&str; 3] = ["limits.header_timeout=1s", "limits.body_timeout=1s", "limits.write_timeout=1s"];
const VERSIONS: &str = "/_matrix/client/versions";
const REGISTER: &str = "POST /_matrix/client/v3/register HTTP/1.1\r\nHost: localhost\r\n";

/// How every HTTP/2 connection begins: the preface, and a frame of settings, which may be empty.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// `POST /` with `end` as the flags of its frame: 4 is the end of the headers.
fn http2_headers(flags: u8) -> Vec<u8> {
    // Method, scheme and path from the table that every connection has, and an authority.
    let block = [0x83, 0x86, 0x84, 0x41, 0x01, b'a'];
    [&[0, 0, u8::try_from(block.len()).unwrap(), 1, flags, 0, 0, 0, 1], block.as_slice()].concat()
}

/// What the server says until it hangs up.
#[track_caller]
fn until_the_end(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => said,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => said,
        Err(error) => panic!("the server holds the line: {error}"),
    }
}

/// Sends `start`, and then `again` for as long as the server listens.
#[track_caller]
fn dribble(server: &Orrery, start: &[u8], again: &[u8]) -> String {
    let mut stream = connect(server.address).unwrap();
    stream.write_all(start).unwrap();
    let reading = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || until_the_end(reading));
    let begin = Instant::now();
    while !reader.is_finished() && stream.write_all(again).is_ok() {
        assert!(begin.elapsed() < PATIENCE, "the server goes on listening");
        std::thread::sleep(Duration::from_millis(20));
    }
    String::from_utf8_lossy(&reader.join().unwrap()).into_owned()
}

#[test]
fn a_byte_now_and_then_is_not_enough() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &SHORT);
    dribble(&server, b"GET /", b"a");
    dribble(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"x");
    dribble(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"a: b\r\n");
    let body = dribble(&server, format!("{REGISTER}Content-Length: 100000\r\n\r\n{{").as_bytes(), b" ");
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    let chunks = dribble(&server, format!("{REGISTER}Transfer-Encoding: chunked\r\n\r\n").as_bytes(), b"1\r\n \r\n");
    assert!(chunks.starts_with("HTTP/1.1 408"), "{chunks}");
    server.assert_alive();
}

#[test]
fn half_closed_requests_come_to_nothing() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &[]);
    let body = r#"{"username":"half","password":"correct horse","auth":{"type":"m.login.dummy"}}"#;
    for start in [
        format!("{REGISTER}Content-Length: {}\r\n\r\n{body}", body.len() + 1),
        format!("{REGISTER}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len()),
        format!("{REGISTER}Content-Le"),
    ] {
        let mut stream = connect(server.address).unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let said = String::from_utf8_lossy(&until_the_end(stream)).into_owned();
        assert!(!said.starts_with("HTTP/1.1 200"), "{start}: {said}");
    }
    // The name is still free.
    server.client().register("half");
}

#[test]
fn http2_connections_that_nothing_is_asked_on_end() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &SHORT);
    let with = |more: &[u8]| [HTTP2, more].concat();
    for bytes in [
        HTTP2[..4].to_vec(),
        HTTP2[..20].to_vec(),
        HTTP2[..HTTP2.len() - 9].to_vec(),
        HTTP2.to_vec(),
        // Headers that do not end, and a body that does not.
        with(&http2_headers(0)),
        with(&http2_headers(4)),
    ] {
        let mut stream = connect(server.address).unwrap();
        stream.write_all(&bytes).unwrap();
        until_the_end(stream);
    }
    // A client that is there, and answers when it is asked whether it is.
    tls::block_on(async {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        assert_eq!(sender.send_request(tls::get(VERSIONS)).await.unwrap().status(), 200);
        tokio::time::timeout(PATIENCE, connection).await.expect("the connection ends").unwrap().unwrap();
    });
    server.assert_alive();
}

#[test]
fn tls_that_does_not_come_about() {
    let folder = Folder::new();
    let (server, root) = tls::start(&folder.0, &SHORT);
    // A hello of TLS 1.0, with one suite of that time.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let halves = [b"".as_slice(), &hello[..1], &hello[..20], &[0x16, 3, 1, 0xff, 0xff, 1]];
    let nonsense =
        [hello.as_slice(), &[0x80; 300], &[0x15, 3, 3, 0, 2, 2, 0], b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"];
    let mut open = Vec::new();
    for bytes in halves.into_iter().chain(nonsense) {
        let mut stream = connect(server.address).unwrap();
        stream.write_all(bytes).unwrap();
        open.push(stream);
    }
    // Others are served meanwhile.
    tls::block_on(async { tls::speak_http2(tls::connect_tls(&server, &root, b"h2").await).await });
    for (i, stream) in open.into_iter().enumerate() {
        let said = until_the_end(stream);
        // Nothing but alerts.
        assert!(said.is_empty() || said[0] == 0x15, "{i}: {said:?}");
    }
    // TLS that comes about, and then nothing.
    tls::block_on(async {
        for protocol in [b"h2".as_slice(), b"http/1.1"] {
            let mut stream = tls::connect_tls(&server, &root, protocol).await;
            let mut said = Vec::new();
            let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut said);
            // With or without a farewell.
            let _: std::io::Result<usize> = tokio::time::timeout(PATIENCE, read).await.expect("the connection ends");
        }
    });
}

#[test]
fn the_idle_make_room() {
    let folder = Folder::new();
    let mut limits = SHORT.to_vec();
    limits.push("limits.connections=4");
    let server = Orrery::start(&folder.data(), &limits);
    let mut open = Vec::new();
    for i in 0..16 {
        let mut stream = connect(server.address).unwrap();
        stream.write_all([b"".as_slice(), b"PR", b"GET / HT", HTTP2][i % 4]).unwrap();
        open.push(stream);
    }
    server.assert_alive();
    for stream in open {
        until_the_end(stream);
    }
}
