//! One request: read it, hand it to the core, wait for the answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, USER_AGENT};
use orrery_core::error::ApiError;
use orrery_core::http::{Method, Request};
use orrery_core::input::RequestId;
use orrery_core::limits::{MAX_REQUEST_BODY, MAX_TRANSACTION_BODY};
use tokio::sync::oneshot;

use super::{Server, proxies, response};
use crate::core_loop::{Answer, Cost, Message, unavailable};
use crate::logging::RequestLine;
use crate::time::Stopwatch;

/// Answers a request. Never fails: what goes wrong is an answer too.
pub(super) async fn answer(
    incoming: hyper::Request<Incoming>,
    peer: IpAddr,
    server: &Arc<Server>,
) -> hyper::Response<Full<Bytes>> {
    let start = Stopwatch::start();
    let id = RequestId(server.last_id.fetch_add(1, Ordering::Relaxed) + 1);
    let (parts, body) = incoming.into_parts();
    let method = method_of(&parts.method);
    if method == Method::Options {
        return response::preflight();
    }
    let _guard = InFlight::new(server);
    let outcome = match receive(&parts, body, peer, server).await {
        Ok(request) => ask(id, request, start, server).await,
        Err(error) => Answer { response: error.response(), cost: Cost::default() },
    };
    let Answer { response, cost } = outcome;
    RequestLine {
        id: id.0,
        method: parts.method.as_str(),
        path: parts.uri.path(),
        status: response.status,
        bytes: response.body.len(),
        cost,
        total: start.elapsed(),
    }
    .log();
    response::encode(response)
}

/// Counts a request for as long as it is under way.
struct InFlight<'s>(&'s Server);

impl InFlight<'_> {
    fn new(server: &Server) -> InFlight<'_> {
        server.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(server)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn method_of(method: &hyper::Method) -> Method {
    match *method {
        hyper::Method::GET => Method::Get,
        hyper::Method::HEAD => Method::Head,
        hyper::Method::POST => Method::Post,
        hyper::Method::PUT => Method::Put,
        hyper::Method::DELETE => Method::Delete,
        hyper::Method::OPTIONS => Method::Options,
        _ => Method::Other,
    }
}

/// Reads the request whole.
async fn receive(
    parts: &hyper::http::request::Parts,
    body: Incoming,
    peer: IpAddr,
    server: &Server,
) -> Result<Request, ApiError> {
    if server.in_flight.load(Ordering::Relaxed) > server.limits.requests {
        return Err(ApiError::new(503, "M_LIMIT_EXCEEDED", "The server is busy; try again in a moment")
            .with("retry_after_ms", 1000u32));
    }
    let header = |name: HeaderName| {
        let value = parts.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    Ok(Request {
        method: method_of(&parts.method),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: header(AUTHORIZATION),
        user_agent: header(USER_AGENT),
        remote: Some(remote_of(peer, &parts.headers, server)),
        body: read_body(body, max_body(parts.uri.path()), server).await?,
    })
}

fn remote_of(peer: IpAddr, headers: &HeaderMap, server: &Server) -> IpAddr {
    // Mostly there is no proxy, and then the header is anybody's word.
    if server.trusted_proxies.is_empty() {
        return peer;
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    proxies::client_of(peer, forwarded, &server.trusted_proxies)
}

/// The largest body that a path takes, in bytes.
fn max_body(path: &str) -> usize {
    if path.starts_with("/_matrix/federation/v1/send/") { MAX_TRANSACTION_BODY } else { MAX_REQUEST_BODY }
}

async fn read_body(body: Incoming, most: usize, server: &Server) -> Result<Bytes, ApiError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    // A body that says beforehand that it is too large is not read at all.
    if body.size_hint().lower() > most as u64 {
        return Err(too_large(most));
    }
    match tokio::time::timeout(server.limits.body_timeout, collect(body, most)).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::new(408, "M_UNKNOWN", "The request's body took too long")),
    }
}

async fn collect(mut body: Incoming, most: usize) -> Result<Bytes, ApiError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::new(400, "M_UNKNOWN", "The request's body was cut short"))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > most {
            return Err(too_large(most));
        }
        // Nearly every body is one piece, which then is not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large(most: usize) -> ApiError {
    ApiError::new(413, "M_TOO_LARGE", format!("The request's body is larger than {most} bytes"))
}

/// Hands the request to the core and waits for its answer. If the client goes away first, this future is dropped and the core
/// is told.
async fn ask(id: RequestId, request: Request, arrived: Stopwatch, server: &Server) -> Answer {
    let (reply, answer) = oneshot::channel();
    server.core.send(Message::Request { id, request, reply, arrived });
    let mut hangup = Hangup { id, server, is_answered: false };
    let answer = answer.await;
    hangup.is_answered = true;
    answer.unwrap_or_else(|_| Answer {
        response: unavailable("The server is stopping; try again in a moment"),
        cost: Cost::default(),
    })
}

/// Tells the core of a client that is gone before its answer.
struct Hangup<'s> {
    id: RequestId,
    server: &'s Server,
    is_answered: bool,
}

impl Drop for Hangup<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.server.core.send(Message::Hangup { id: self.id });
        }
    }
}
