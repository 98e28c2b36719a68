//! The HTTP server: sockets in, requests to the core, answers out. HTTP/1.1 and HTTP/2, plain or over TLS.

mod activity;
mod addresses;
mod connection;
mod patience;
mod proxies;
mod request;
mod response;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::{Semaphore, watch};

use crate::core_loop::CoreSender;
use crate::time::Stopwatch;
use addresses::Addresses;
pub use proxies::{Network, NetworkError};

/// Pause after a failure to accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of this server, beside those of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Open connections; further ones wait in the system's backlog.
    pub connections: usize,
    /// Open connections of one IPv4 address, or of one /64 of IPv6; further ones are closed.
    pub connections_per_address: usize,
    /// Requests under way; further ones are answered 503.
    pub requests: usize,
    /// Bytes of a request's line and headers.
    pub header_bytes: usize,
    /// For the first request's headers, and idle between requests.
    pub header_timeout: Duration,
    /// For a request's body.
    pub body_timeout: Duration,
    /// Without progress while a client does not read its answer.
    pub write_timeout: Duration,
}

/// Headers of one request.
const MAX_HEADERS: usize = 100;
/// Requests under way on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// One open listener.
pub struct Bound {
    pub socket: TcpListener,
    pub tls: Option<Arc<ServerConfig>>,
}

/// What all connections share.
#[derive(Debug)]
struct Server {
    core: CoreSender,
    limits: HttpLimits,
    trusted_proxies: Vec<Network>,
    last_id: AtomicU64,
    in_flight: AtomicUsize,
    connections: Arc<Semaphore>,
    addresses: Arc<Addresses>,
}

/// The server's threads.
pub struct HttpServer {
    server: Arc<Server>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl HttpServer {
    /// Serves `listeners` on so many threads. Addresses that are `unlimited` may have any number of connections.
    pub fn start(
        listeners: Vec<Bound>,
        threads: usize,
        limits: HttpLimits,
        trusted_proxies: Vec<Network>,
        unlimited: Vec<Network>,
        core: CoreSender,
    ) -> io::Result<HttpServer> {
        let server = Arc::new(Server {
            core,
            limits,
            trusted_proxies,
            last_id: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            connections: Arc::new(Semaphore::new(limits.connections)),
            addresses: Addresses::new(limits.connections_per_address, unlimited),
        });
        let (stop, stopping) = watch::channel(false);
        let mut http = HttpServer { server: server.clone(), stop, threads: Vec::new() };
        for number in 1..=threads {
            let mut sockets = Vec::new();
            for listener in &listeners {
                sockets.push(Bound { socket: listener.socket.try_clone()?, tls: listener.tls.clone() });
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let (server, stopping) = (server.clone(), stopping.clone());
            let thread = std::thread::Builder::new().name(format!("http-{number}"));
            http.threads.push(thread.spawn(move || runtime.block_on(serve(sockets, server, stopping)))?);
        }
        Ok(http)
    }

    /// Stops accepting connections, and lets those that are open finish what they are at.
    pub fn stop_accepting(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until no request is under way, at most for `patience`. Says whether that is so.
    pub fn wait_for_requests(&self, patience: Duration) -> bool {
        let waited = Stopwatch::start();
        while self.server.in_flight.load(Ordering::Relaxed) > 0 {
            if waited.elapsed() >= patience {
                return false;
            }
            // Once in a process's life; a signal from each request would cost all of them.
            #[allow(clippy::disallowed_methods)]
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Waits for the threads, which end once their connections have, soon after [`HttpServer::stop_accepting`].
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a bug in the HTTP server");
            }
        }
    }
}

/// For connections to end after the server was told to stop, and every request was answered.
const LAST_WORDS: Duration = Duration::from_secs(3);

async fn serve(listeners: Vec<Bound>, server: Arc<Server>, stopping: watch::Receiver<bool>) {
    for Bound { socket, tls } in listeners {
        match tokio::net::TcpListener::from_std(socket) {
            Ok(listener) => {
                tokio::spawn(accept(listener, tls, server.clone(), stopping.clone()));
            }
            Err(error) => tracing::error!(%error, "a listener is of no use"),
        }
    }
    let mut stop = stopping.clone();
    // The sender lives as long as the server.
    let _: Result<_, _> = stop.wait_for(|stop| *stop).await;
    let every = u32::try_from(server.limits.connections).unwrap_or(u32::MAX);
    // All permits are free once all connections have ended.
    let _: Result<_, _> = tokio::time::timeout(LAST_WORDS, server.connections.acquire_many(every)).await;
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    server: Arc<Server>,
    mut stopping: watch::Receiver<bool>,
) {
    let tls = tls.map(tokio_rustls::TlsAcceptor::from);
    loop {
        let permit = tokio::select! {
            Ok(permit) = server.connections.clone().acquire_owned() => permit,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                let peer = without_mapping(peer);
                let Some(admitted) = server.addresses.admit(peer) else { continue };
                let (tls, server, stopping) = (tls.clone(), server.clone(), stopping.clone());
                tokio::spawn(async move {
                    connection::serve(socket, peer, tls, server, stopping).await;
                    drop((permit, admitted));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The address with an IPv4 address in IPv6 dress undressed.
fn without_mapping(peer: SocketAddr) -> std::net::IpAddr {
    peer.ip().to_canonical()
}
