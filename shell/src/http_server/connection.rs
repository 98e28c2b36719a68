//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::activity::Activity;
use super::patience::Patient;
use super::{MAX_HEADERS, MAX_STREAMS, Server, request};

/// How an HTTP/2 connection begins (RFC 9113, section 3.4), as far as no other does.
const PREFACE: &[u8] = b"PRI ";
/// Between two looks at a connection that has sent less than that.
const PREFACE_PAUSE: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

/// Serves a connection to its end.
pub(super) async fn serve(
    socket: TcpStream,
    peer: IpAddr,
    tls: Option<TlsAcceptor>,
    server: Arc<Server>,
    stopping: watch::Receiver<bool>,
) {
    // Without it small answers would wait for the client's acknowledgements. It fails on sockets that are closed.
    let _: Result<_, _> = socket.set_nodelay(true);
    match tls {
        None => {
            let version = in_time(version_of(&socket), &server, stopping.clone()).await;
            let Some(Some(version)) = version else { return };
            serve_http(socket, version, peer, server, stopping).await;
        }
        Some(tls) => {
            let stream = match in_time(tls.accept(socket), &server, stopping.clone()).await {
                Some(Ok(stream)) => stream,
                Some(Err(error)) => {
                    tracing::debug!(%peer, %error, "no TLS connection");
                    return;
                }
                None => return,
            };
            let version = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Version::Http2,
                _ => Version::Http1,
            };
            serve_http(stream, version, peer, server, stopping).await;
        }
    }
}

/// What a connection must do before its first request: `None` if it takes too long, or if the server stops.
async fn in_time<T>(start: impl Future<Output = T>, server: &Server, mut stopping: watch::Receiver<bool>) -> Option<T> {
    tokio::select! {
        started = timeout(server.limits.header_timeout, start) => started.ok(),
        _ = stopping.wait_for(|stop| *stop) => None,
    }
}

/// Looks at the first bytes. `None` if there are none to come.
async fn version_of(socket: &TcpStream) -> Option<Version> {
    let mut start = [0; PREFACE.len()];
    loop {
        let length = socket.peek(&mut start).await.ok()?;
        match &start[..length] {
            [] => return None,
            start if start == PREFACE => return Some(Version::Http2),
            start if !PREFACE.starts_with(start) => return Some(Version::Http1),
            _ => tokio::time::sleep(PREFACE_PAUSE).await,
        }
    }
}

async fn serve_http<S>(stream: S, version: Version, peer: IpAddr, server: Arc<Server>, stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = server.limits;
    let activity = Activity::new();
    let io = TokioIo::new(Patient::new(stream, limits.write_timeout, activity.clone()));
    let told = activity.clone();
    let service = service_fn(move |incoming| {
        let (server, request) = (server.clone(), told.begin());
        async move {
            let answer = request::answer(incoming, peer, &server).await;
            drop(request);
            Ok::<_, Infallible>(answer)
        }
    });
    match version {
        Version::Http1 => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.header_timeout)
                .max_headers(MAX_HEADERS)
                .max_buf_size(limits.header_bytes)
                .serve_connection(io, service);
            // Its own timer ends it when it is idle.
            let idle = (std::future::pending(), limits.write_timeout);
            finish(connection, |connection| connection.graceful_shutdown(), stopping, idle).await;
        }
        Version::Http2 => {
            let header_bytes = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_header_list_size(header_bytes)
                // A client that is gone without a word is found out so.
                .keep_alive_interval(limits.header_timeout)
                .keep_alive_timeout(limits.write_timeout)
                .serve_connection(io, service);
            // Nothing there ends a connection on which nothing is asked for, not even one that is yet to begin.
            let idle = (activity.none_for(limits.header_timeout), limits.write_timeout);
            finish(connection, |connection| connection.graceful_shutdown(), stopping, idle).await;
        }
    }
}

/// Drives a connection to its end; once the server stops, to the end of what it is at, and once it is idle for no longer than it
/// may then take to end.
async fn finish<C>(
    connection: C,
    stop: impl Fn(Pin<&mut C>),
    mut stopping: watch::Receiver<bool>,
    (idle, last_words): (impl Future<Output = ()>, Duration),
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let stopped = async { drop(stopping.wait_for(|stop| *stop).await) };
    let (ended, most) = tokio::select! {
        ended = connection.as_mut() => (Some(ended), Duration::MAX),
        () = stopped => (None, Duration::MAX),
        () = idle => (None, last_words),
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            stop(connection.as_mut());
            timeout(most, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // Clients that vanish, speak no HTTP or are too slow: nothing that an operator could mend.
        tracing::debug!(%error, "a connection ended early");
    }
}
