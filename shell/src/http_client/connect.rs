//! Connections: from a host name to HTTP over TLS.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::addresses;
use super::dns::Dns;
use super::pool::Key;

/// [`Connector::timeout`] of everybody.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// The header of an answer, in bytes.
const MAX_HEADER: u32 = 65_536;

/// How often an HTTP/2 connection with requests under way is asked whether it is alive, and how long the answer may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// What requests are sent on.
#[derive(Debug)]
pub enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Makes connections.
#[derive(Debug)]
pub struct Connector {
    pub tls: Arc<ClientConfig>,
    pub dns: Dns,
    pub allow_private_addresses: bool,
    /// How long one address gets for TCP and TLS.
    pub timeout: Duration,
}

impl Connector {
    /// Tries the addresses of the host in turn.
    pub async fn connect(&self, key: &Key) -> Result<Connection, String> {
        let mut why = String::new();
        for address in self.addresses(key).await? {
            match self.connect_in_time(address, key).await {
                Ok(stream) => return speak_http(stream).await,
                Err(error) => why = format!("{address}: {error}"),
            }
        }
        Err(why)
    }

    /// The addresses of the host that may be spoken to, at least one.
    pub async fn addresses(&self, key: &Key) -> Result<Vec<SocketAddr>, String> {
        let found = match key.host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.dns.addresses(&key.host).await?,
        };
        if found.is_empty() {
            return Err(format!("{} has no address", key.host));
        }
        let allowed = |address: &IpAddr| self.allow_private_addresses || addresses::is_public(*address);
        let allowed = found.into_iter().filter(allowed).take(MAX_ADDRESSES);
        let allowed: Vec<SocketAddr> = allowed.map(|address| SocketAddr::new(address, key.port)).collect();
        if allowed.is_empty() {
            return Err(format!("{} has no address of the public internet", key.host));
        }
        Ok(allowed)
    }

    /// TCP and TLS.
    pub async fn connect_in_time(&self, address: SocketAddr, key: &Key) -> Result<TlsStream<TcpStream>, String> {
        let connected = tokio::time::timeout(self.timeout, self.connect_to(address, key)).await;
        connected.unwrap_or_else(|_| Err(format!("no connection within {} s", self.timeout.as_secs())))
    }

    async fn connect_to(&self, address: SocketAddr, key: &Key) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(key.tls_name.clone()).map_err(|_| format!("{} is no name", key.tls_name))?;
        let socket = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        // Requests are written whole.
        let _: Result<_, _> = socket.set_nodelay(true);
        let tls = TlsConnector::from(self.tls.clone());
        tls.connect(name, socket).await.map_err(|error| format!("TLS: {error}"))
    }
}

async fn speak_http(stream: TlsStream<TcpStream>) -> Result<Connection, String> {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = TokioIo::new(stream);
    if is_http2 {
        let (interval, timeout) = KEEP_ALIVE;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(interval).keep_alive_timeout(timeout);
        builder.max_header_list_size(MAX_HEADER).adaptive_window(true);
        let (sender, connection) = builder.handshake(stream).await.map_err(|error| describe(&error))?;
        // What ends it is told to whoever uses it.
        tokio::spawn(async { drop(connection.await) });
        Ok(Connection::Http2(sender))
    } else {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEADER as usize);
        let (sender, connection) = builder.handshake(stream).await.map_err(|error| describe(&error))?;
        tokio::spawn(async { drop(connection.await) });
        Ok(Connection::Http1(sender))
    }
}

/// An error of hyper and what caused it.
pub fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
