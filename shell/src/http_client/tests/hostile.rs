//! Servers that do their worst: each is a failure within its time, and no other request is held up by it.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

/// Speaks first to whoever connects, or after the first bytes, without TLS.
#[derive(Clone, Copy)]
enum Says {
    Nothing,
    /// And then closes the connection.
    AndCloses(&'static [u8]),
    AndStays(&'static [u8]),
}

/// A server that takes part in no TLS handshake. Its port.
async fn speaks_no_tls(says: Says) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _: io::Result<usize> = socket.read(&mut [0; 4096]).await;
                match says {
                    Says::Nothing => {}
                    Says::AndCloses(bytes) => {
                        let _: io::Result<()> = socket.write_all(bytes).await;
                        return;
                    }
                    Says::AndStays(bytes) => drop(socket.write_all(bytes).await),
                }
                std::future::pending::<()>().await;
            });
        }
    });
    port
}

/// A `ServerHello` of TLS 1.0 that takes `TLS_RSA_WITH_AES_128_CBC_SHA`.
const TLS_1_0: [u8; 47] = {
    let mut hello = [7; 47];
    let start = [0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    let end = [0, 0, 0x2f, 0];
    let mut i = 0;
    while i < start.len() {
        hello[i] = start[i];
        i += 1;
    }
    i = 0;
    while i < end.len() {
        hello[43 + i] = end[i];
        i += 1;
    }
    hello
};

#[test]
fn handshakes_that_come_to_nothing() {
    run(async {
        let peer = Peer::echo(b"h2").await;
        let client = peer.client();
        for (says, why) in [
            (Says::AndCloses(b""), "TLS"),
            (Says::AndCloses(&TLS_1_0[..20]), "TLS"),
            (Says::AndStays(&TLS_1_0), "TLS"),
            // The alert that says that the version is not supported.
            (Says::AndStays(&[0x15, 3, 1, 0, 2, 2, 70]), "TLS"),
            (Says::AndStays(&[0x16, 3, 3, 0xff, 0xff, 2]), "TLS"),
            (Says::AndStays(&[0; 300]), "TLS"),
            (Says::AndStays(b"SSH-2.0-OpenSSH\r\n"), "TLS"),
            (Says::AndStays(&TLS_1_0[..20]), "no answer within"),
            (Says::Nothing, "no answer within"),
        ] {
            let port = speaks_no_tls(says).await;
            fails(client.fetch(&Fetch { port, timeout: Duration::from_millis(300), ..peer.fetch() }).await, why);
        }
        text(client.fetch(&peer.fetch()).await).unwrap();
    });
}

#[test]
fn a_handshake_takes_no_longer_than_it_may() {
    run(async {
        let good = Peer::echo(b"h2").await;
        let port = speaks_no_tls(Says::Nothing).await;
        let mut client = good.client();
        client.connector.timeout = Duration::from_millis(200);
        fails(client.fetch(&Fetch { port, ..good.fetch() }).await, "no connection within");
    });
}

#[test]
fn certificates_have_their_time() {
    run(async {
        for ((from, to), why) in [((1999, 2000), "expired"), ((3000, 3001), "not valid yet")] {
            let key = KeyPair::generate().unwrap();
            let mut certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            certificate.not_before = date_time_ymd(from, 1, 1);
            certificate.not_after = date_time_ymd(to, 1, 1);
            let certificate = certificate.self_signed(&key).unwrap();
            let peer = Peer::start_as(certificate.der().clone(), &key, b"h2", |_| std::future::pending()).await;
            fails(peer.client().fetch(&peer.fetch()).await, why);
        }
    });
}

/// Writes `start`, and then `again` for ever, a little at a time.
async fn dribbles(protocol: &'static [u8], start: &'static [u8], again: &'static [u8], pause: Duration) -> Peer {
    Peer::start("localhost", protocol, move |mut stream| async move {
        let _: io::Result<usize> = stream.read(&mut [0; 4096]).await;
        let _: io::Result<()> = stream.write_all(start).await;
        while stream.write_all(again).await.is_ok() && stream.flush().await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    })
    .await
}

#[test]
fn answers_that_never_end() {
    /// One of 300 bytes.
    const CHUNK: [u8; 307] = {
        let mut chunk = [b'x'; 307];
        let (start, end) = (*b"12c\r\n", *b"\r\n");
        let mut i = 0;
        while i < start.len() {
            chunk[i] = start[i];
            i += 1;
        }
        (chunk[305], chunk[306]) = (end[0], end[1]);
        chunk
    };
    run(async {
        let slowly = Duration::from_millis(5);
        for (start, again, pause, why) in [
            // A status line, headers and a body, byte by byte.
            (b"HTTP/1.1 200 ".as_slice(), b"O".as_slice(), slowly, "no answer within"),
            (b"HTTP/1.1 200 OK\r\nx: ", b"x", slowly, "no answer within"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n", b"x", slowly, "no answer within"),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n", slowly, "no answer within"),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x", slowly, "no answer within"),
            (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", slowly, "no answer within"),
            // The same without a pause, which comes to its bounds.
            (b"HTTP/1.1 200 OK\r\n", b"x: 0123456789\r\n", Duration::ZERO, ""),
            (b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 300], Duration::ZERO, "longer than 1000"),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &CHUNK, Duration::ZERO, "longer than 1000"),
        ] {
            let peer = dribbles(b"http/1.1", start, again, pause).await;
            fails(peer.client().fetch(&Fetch { timeout: Duration::from_millis(500), ..peer.fetch() }).await, why);
        }
    });
}

#[test]
fn http2_that_is_none() {
    /// An empty frame of settings, as every connection begins.
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    /// An answer's headers: `:status: 200`, without the end of the stream.
    const STATUS: [u8; 10] = [0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
    /// Headers that are to be continued.
    const TO_BE_CONTINUED: [u8; 10] = [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88];
    let joined = |parts: &[&[u8]]| -> &'static [u8] { Box::leak(parts.concat().into_boxed_slice()) };
    run(async {
        let slowly = Duration::from_millis(5);
        for (start, again, why) in [
            (joined(&[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]), b"".as_slice(), ""),
            (joined(&[&[0xff; 64]]), b"", ""),
            (joined(&[]), b"", "no answer within"),
            (joined(&[&SETTINGS]), b"", "no answer within"),
            (joined(&[&SETTINGS, &STATUS]), b"", "no answer within"),
            // Data of one byte, and of none.
            (joined(&[&SETTINGS, &STATUS]), &[0, 0, 1, 0, 0, 0, 0, 0, 1, b'x'], "no answer within"),
            (joined(&[&SETTINGS, &STATUS]), &[0, 0, 0, 0, 0, 0, 0, 0, 1], ""),
            (joined(&[&SETTINGS, &TO_BE_CONTINUED]), &[0, 0, 0, 9, 0, 0, 0, 0, 1], ""),
            // Told to go away, and the stream reset.
            (joined(&[&SETTINGS, &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]]), b"", ""),
            (joined(&[&SETTINGS, &STATUS, &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2]]), b"", ""),
        ] {
            let peer = dribbles(b"h2", start, again, slowly).await;
            fails(peer.client().fetch(&Fetch { timeout: Duration::from_millis(500), ..peer.fetch() }).await, why);
        }
    });
}

#[test]
fn others_are_not_held_up() {
    run(async {
        let good = Peer::echo(b"h2").await;
        let client = Arc::new(good.client());
        let stalled = speaks_no_tls(Says::Nothing).await;
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (client, fetch) = (client.clone(), Fetch { port: stalled, ..good.fetch() });
            waiting.spawn(async move { client.fetch(&fetch).await });
        }
        tokio::task::yield_now().await;
        text(client.fetch(&good.fetch()).await).unwrap();
        assert!(waiting.try_join_next().is_none(), "they still wait");
        waiting.abort_all();
    });
    // Nor those to the same server, by one that it does not answer.
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        run(async move {
            let peer = Peer::echo(protocol).await;
            let client = Arc::new(peer.client());
            let (other, hangs) = (client.clone(), Fetch { target: HANG.to_owned(), ..peer.fetch() });
            let waiting = tokio::spawn(async move { other.fetch(&hangs).await });
            while peer.connections.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            text(client.fetch(&peer.fetch()).await).unwrap();
            assert!(!waiting.is_finished());
        });
    }
}
