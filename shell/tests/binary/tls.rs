//! TLS listeners and HTTP/2, by a client that checks certificates.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::process::{Folder, Orrery};

/// A server with a TLS listener, and its certificate.
pub fn start(folder: &Path, more: &[&str]) -> (Orrery, CertificateDer<'static>) {
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let at = |name: &str| folder.join(name);
    std::fs::write(at("cert.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(at("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (at("cert.pem").display().to_string(), at("key.pem").display().to_string());
    let listeners = format!("listeners=[{{address=\"127.0.0.1:0\", tls={{certificate=\"{cert}\", key=\"{key}\"}}}}]");
    let options: Vec<&str> = [listeners.as_str()].iter().chain(more).copied().collect();
    (Orrery::start(&folder.join("data"), &options), certificate.cert.der().clone())
}

pub async fn connect_tls(
    server: &Orrery,
    root: &CertificateDer<'static>,
    protocol: &[u8],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let socket = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    stream
}

pub fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://localhost{path}")).header("host", "localhost").body(Full::default()).unwrap()
}

async fn check(response: Response<hyper::body::Incoming>, version: Version) {
    assert_eq!((response.status().as_u16(), response.version()), (200, version));
    let length = response.headers()["content-length"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(length, body.len().to_string());
    assert!(body.starts_with(b"{"));
}

pub async fn speak_http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    // Several at once on one connection.
    let paths = ["/_matrix/client/versions", "/_matrix/client/v3/login", "/_matrix/client/versions"];
    let requests: Vec<_> = paths.into_iter().map(|path| tokio::spawn(sender.send_request(get(path)))).collect();
    for request in requests {
        check(request.await.unwrap().unwrap(), Version::HTTP_2).await;
    }
    drop(sender);
    connection.await.unwrap().unwrap();
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn both_versions_are_spoken_over_tls() {
    let folder = Folder::new();
    let (server, root) = start(&folder.0, &[]);
    block_on(async {
        speak_http2(connect_tls(&server, &root, b"h2").await).await;
        let stream = connect_tls(&server, &root, b"http/1.1").await;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        for _ in 0..2 {
            let answer = sender.send_request(get("/_matrix/client/versions")).await.unwrap();
            check(answer, Version::HTTP_11).await;
        }
        drop(sender);
        connection.await.unwrap().unwrap();
    });
    assert!(server.stop().success());
}

#[test]
fn http_2_is_spoken_without_tls_to_those_who_know() {
    let folder = Folder::new();
    let server = Orrery::start(&folder.data(), &[]);
    block_on(async { speak_http2(TcpStream::connect(server.address).await.unwrap()).await });
    server.assert_alive();
}

#[test]
fn plain_text_on_a_tls_listener_is_hung_up_on() {
    let folder = Folder::new();
    let (server, root) = start(&folder.0, &[]);
    assert!(server.client().try_call("GET", "/_matrix/client/versions", "").is_err());
    block_on(async { speak_http2(connect_tls(&server, &root, b"h2").await).await });
}
