use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use orrery_core::http::Method;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::core_loop;
use crate::time::Stopwatch;

mod hostile;

/// A server with a certificate for `name`, and whom to trust to believe it.
struct Peer {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    /// Each connection is given to `serve`.
    async fn start<F: Future<Output = ()> + Send + 'static>(
        name: &str,
        protocol: &[u8],
        serve: impl Fn(TlsStream<TcpStream>) -> F + Send + 'static,
    ) -> Peer {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        Peer::start_as(made.cert.der().clone(), &made.signing_key, protocol, serve).await
    }

    async fn start_as<F: Future<Output = ()> + Send + 'static>(
        certificate: CertificateDer<'static>,
        key: &rcgen::KeyPair,
        protocol: &[u8],
        serve: impl Fn(TlsStream<TcpStream>) -> F + Send + 'static,
    ) -> Peer {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![certificate.clone()], key).unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                if let Ok(stream) = acceptor.accept(socket).await {
                    tokio::spawn(serve(stream));
                }
            }
        });
        Peer { address, certificate, connections }
    }

    /// One that answers with what it was asked.
    async fn echo(protocol: &'static [u8]) -> Peer {
        Peer::start("localhost", protocol, move |stream| async move {
            let stream = TokioIo::new(stream);
            let service = service_fn(echo);
            if protocol == b"h2" {
                let _: Result<_, _> = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(stream, service)
                    .await;
            } else {
                let _: Result<_, _> =
                    hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
            }
        })
        .await
    }

    /// One that reads a request, writes `answer` and goes on as `end` says.
    async fn raw(answer: &'static [u8], end: End) -> Peer {
        Peer::start("localhost", b"http/1.1", move |mut stream| async move {
            let _: io::Result<usize> = stream.read(&mut [0; 4096]).await;
            let _: io::Result<()> = stream.write_all(answer).await;
            let _: io::Result<()> = stream.flush().await;
            match end {
                End::Close => {}
                End::HalfClose => {
                    let _: io::Result<()> = stream.shutdown().await;
                    std::future::pending().await
                }
                End::Stay => std::future::pending().await,
            }
        })
        .await
    }

    fn client(&self) -> Client {
        Client::new(vec![self.certificate.clone()], true).unwrap()
    }

    fn fetch(&self) -> Fetch {
        Fetch {
            method: Method::Get,
            host: "127.0.0.1".to_owned(),
            port: self.address.port(),
            tls_name: "localhost".to_owned(),
            host_header: "localhost:8448".to_owned(),
            target: "/path%2F?query=%20".to_owned(),
            authorization: None,
            body: Bytes::new(),
            timeout: Duration::from_secs(5),
            max_body: 1000,
        }
    }
}

#[derive(Clone, Copy)]
enum End {
    Close,
    HalfClose,
    Stay,
}

/// What [`echo`] does not answer.
const HANG: &str = "/hang";

/// Method, authority or `Host`, path and query, `Authorization`, type and length of the body.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    if head.uri.path() == HANG {
        std::future::pending::<()>().await;
    }
    let header = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let host = head.uri.authority().map_or_else(|| header("host"), ToString::to_string);
    let target = head.uri.path_and_query().unwrap().as_str();
    let (authorization, kind) = (header("authorization"), header("content-type"));
    let length = body.collect().await?.to_bytes().len();
    let text = format!("{} {host} {target} {authorization} {kind} {length}", head.method);
    Ok(Response::builder().status(418).header("X-Odd", "odd").body(Full::from(text)).unwrap())
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn text(outcome: Outcome) -> Result<String, String> {
    match outcome {
        Outcome::Fetched(response) => Ok(String::from_utf8(response.body.to_vec()).unwrap()),
        Outcome::Failed(why) => Err(why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_arrive_as_they_are_and_connections_are_used_again() {
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        run(async move {
            let peer = Peer::echo(protocol).await;
            let client = peer.client();
            let outcome = client.fetch(&peer.fetch()).await;
            let Outcome::Fetched(response) = &outcome else { panic!("{outcome:?}") };
            assert_eq!(response.status, 418);
            assert!(response.headers.contains(&("x-odd".to_owned(), "odd".to_owned())), "{:?}", response.headers);
            assert_eq!(text(outcome).unwrap(), "GET localhost:8448 /path%2F?query=%20   0");
            let put = Fetch {
                method: Method::Put,
                authorization: Some("X-Matrix origin=\"a\"".to_owned()),
                body: Bytes::from_static(b"{}"),
                ..peer.fetch()
            };
            let expected = "PUT localhost:8448 /path%2F?query=%20 X-Matrix origin=\"a\" application/json 2";
            assert_eq!(text(client.fetch(&put).await).unwrap(), expected);
            assert_eq!(peer.connections.load(Ordering::Relaxed), 1);
        });
    }
}

#[test]
fn many_requests_to_a_new_server_share_one_http2_connection() {
    run(async {
        let peer = Peer::echo(b"h2").await;
        let client = Arc::new(peer.client());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (client, fetch) = (client.clone(), peer.fetch());
            tasks.spawn(async move { text(client.fetch(&fetch).await).unwrap() });
        }
        assert_eq!(tasks.join_all().await.len(), 50);
        assert_eq!(peer.connections.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_made_again() {
    run(async {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let peer = Peer::raw(answer, End::Close).await;
        let client = peer.client();
        for _ in 0..3 {
            assert_eq!(text(client.fetch(&peer.fetch()).await).unwrap(), "{}");
        }
        assert_eq!(peer.connections.load(Ordering::Relaxed), 3);
    });
}

#[track_caller]
fn fails(outcome: Outcome, why: &str) {
    let error = text(outcome).unwrap_err();
    assert!(error.contains(why), "{error:?} does not say {why:?}");
}

#[test]
fn whoever_proves_nothing_gets_no_request() {
    run(async {
        let peer = Peer::echo(b"h2").await;
        let stranger = Client::new(Vec::new(), true).unwrap();
        fails(stranger.fetch(&peer.fetch()).await, "UnknownIssuer");
        let client = peer.client();
        for tls_name in ["example.org", "127.0.0.1"] {
            fails(client.fetch(&Fetch { tls_name: tls_name.to_owned(), ..peer.fetch() }).await, "certificate");
        }
        // A server that speaks no TLS.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _: io::Result<()> = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            std::future::pending::<()>().await
        });
        fails(client.fetch(&Fetch { port, ..peer.fetch() }).await, "TLS");
    });
}

#[test]
fn private_addresses_are_refused() {
    run(async {
        let peer = Peer::echo(b"h2").await;
        let careful = Client::new(vec![peer.certificate.clone()], false).unwrap();
        for host in ["127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"] {
            fails(careful.fetch(&Fetch { host: host.to_owned(), ..peer.fetch() }).await, "no address of the public");
        }
        assert_eq!(peer.connections.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn bodies_are_bounded() {
    run(async {
        let announced = Peer::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n{", End::Stay).await;
        fails(announced.client().fetch(&announced.fetch()).await, "longer than 1000 bytes");
        const CHUNKS: [u8; 2100] = {
            let mut out = [b'x'; 2100];
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n";
            let mut i = 0;
            while i < head.len() {
                out[i] = head[i];
                i += 1;
            }
            out
        };
        let endless = Peer::raw(&CHUNKS, End::Stay).await;
        fails(endless.client().fetch(&endless.fetch()).await, "longer than 1000 bytes");
    });
}

#[test]
fn slow_and_broken_answers_are_failures() {
    run(async {
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{";
        for (answer, end, why) in [
            (b"".as_slice(), End::Stay, "no answer within"),
            (half, End::Stay, "no answer within"),
            (half, End::Close, ""),
            (half, End::HalfClose, ""),
            (b"", End::HalfClose, ""),
            (b"SSH-2.0-x\r\n", End::Stay, ""),
        ] {
            let peer = Peer::raw(answer, end).await;
            let fetch = Fetch { timeout: Duration::from_millis(300), ..peer.fetch() };
            let start = Stopwatch::start();
            fails(peer.client().fetch(&fetch).await, why);
            assert!(start.elapsed() < Duration::from_secs(3), "{why}");
        }
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let peer = Peer::echo(b"h2").await;
        fails(peer.client().fetch(&Fetch { port: nobody, ..peer.fetch() }).await, "refused");
    });
}

#[test]
fn what_cannot_be_sent_is_not() {
    run(async {
        let peer = Peer::echo(b"http/1.1").await;
        let client = peer.client();
        fails(client.fetch(&Fetch { target: "/a b".to_owned(), ..peer.fetch() }).await, "path");
        fails(client.fetch(&Fetch { host_header: "a\r\nb: c".to_owned(), ..peer.fetch() }).await, "header");
        fails(client.fetch(&Fetch { method: Method::Other, ..peer.fetch() }).await, "method");
    });
}

#[test]
fn an_abandoned_request_ends() {
    let (core, messages) = core_loop::channel();
    run(async {
        let (arrived, closed) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let told = (arrived.clone(), closed.clone());
        let peer = Peer::start("localhost", b"http/1.1", move |mut stream| {
            let (arrived, closed) = told.clone();
            async move {
                while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                    arrived.notify_one();
                }
                closed.notify_one();
            }
        })
        .await;
        let client = HttpClient::start(vec![peer.certificate.clone()], true, &core).unwrap();
        let (life, call) = (Life::default(), CallId(1));
        client.fetch(life, call, peer.fetch());
        arrived.notified().await;
        client.abandon(life, call);
        tokio::time::timeout(Duration::from_secs(3), closed.notified()).await.expect("the connection is closed");
        client.fetch(life, CallId(2), Fetch { target: " ".to_owned(), ..peer.fetch() });
        // The tests of the runtime's own thread wait for another's.
        let answered = tokio::task::spawn_blocking(move || messages.recv_timeout(Duration::from_secs(3)));
        let answered = answered.await.unwrap().unwrap();
        assert!(matches!(answered, Message::Resolved { call: CallId(2), .. }), "{answered:?}");
        drop(client);
    });
}
