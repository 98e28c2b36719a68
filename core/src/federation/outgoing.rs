//! Requests to other servers: found, signed, sent, and their answers read.

use alloc::format;
use alloc::string::{String, ToString};
use bytes::Bytes;
use core::fmt;
use core::time::Duration;

use super::discovery;
use super::remote_server::{self, Place};
use super::x_matrix;
use crate::canonical_json::{self, Value};
use crate::effect::Fetch;
use crate::error::{ApiError, ErrCode};
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::identifiers::ServerName;
use crate::input::Outcome;
use crate::limits::{FEDERATION_TIMEOUT, FIRST_FEDERATION_BACKOFF, MAX_FEDERATION_ANSWER, MAX_FEDERATION_BACKOFF};
use crate::time::Timestamp;

/// A request to another server.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    pub method: Method,
    /// Path and query, percent-encoded.
    pub target: String,
    pub content: Option<Value>,
    /// For the whole of it: discovery, and every place that is tried.
    pub timeout: Duration,
    /// A longer answer is a failure, in bytes.
    pub max_body: u32,
    /// Something else may answer to this server's name at that path.
    pub even_to_this_server: bool,
}

impl Outgoing {
    pub fn get(target: impl Into<String>) -> Outgoing {
        Outgoing::new(Method::Get, target.into(), None)
    }

    pub fn put(target: impl Into<String>, content: Value) -> Outgoing {
        Outgoing::new(Method::Put, target.into(), Some(content))
    }

    pub fn post(target: impl Into<String>, content: Value) -> Outgoing {
        Outgoing::new(Method::Post, target.into(), Some(content))
    }

    fn new(method: Method, target: String, content: Option<Value>) -> Outgoing {
        let (timeout, max_body) = (FEDERATION_TIMEOUT, MAX_FEDERATION_ANSWER);
        Outgoing { method, target, content, timeout, max_body, even_to_this_server: false }
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Outgoing {
        self.timeout = timeout;
        self
    }

    #[must_use]
    pub fn max_body(mut self, bytes: u32) -> Outgoing {
        self.max_body = bytes;
        self
    }

    /// The request may go to the name of this very server: part of what that name serves can be another program's.
    #[must_use]
    pub fn even_to_this_server(mut self) -> Outgoing {
        self.even_to_this_server = true;
        self
    }
}

/// Why another server gave no answer that can be used.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteError {
    /// Federation is switched off here.
    Disabled,
    /// It did not answer a while ago, and is not asked again before this.
    BackingOff { until: Timestamp },
    /// It was not found, or it did not answer, or only something in front of it did.
    Unreachable(String),
    /// It answered with another status than 200. `errcode` and `error` are empty if it gave none, `body` is `null` if it was not
    /// JSON.
    Refused { status: u16, errcode: String, error: String, body: Value },
    /// It answered 200 with something else than was asked for.
    BadAnswer(String),
    /// A fault of ours.
    Internal(ApiError),
}

impl RemoteError {
    /// Whether it may be answered soon: whoever has to look up this server's keys first, and cannot at the moment, says 401.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            RemoteError::BackingOff { .. } | RemoteError::Unreachable(_) => true,
            RemoteError::Refused { status, .. } => matches!(status, 401 | 429 | 500..),
            RemoteError::Disabled | RemoteError::BadAnswer(_) | RemoteError::Internal(_) => false,
        }
    }
}

/// For operators and logs; what a client is told is [`ApiError`]'s.
impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemoteError::Disabled => f.write_str("federation is disabled here"),
            RemoteError::BackingOff { .. } => f.write_str("it did not answer a while ago, and is not asked again yet"),
            RemoteError::Unreachable(why) => write!(f, "it cannot be reached: {why}"),
            RemoteError::Refused { status, errcode, error, .. } => write!(f, "it refused: {status} {errcode}: {error}"),
            RemoteError::BadAnswer(why) => write!(f, "its answer makes no sense: {why}"),
            RemoteError::Internal(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for RemoteError {}

/// Sends a signed request and reads the answer: the JSON of a 200.
pub async fn call(cx: &Cx, destination: &ServerName, request: Outgoing) -> Result<Value, RemoteError> {
    exchange(cx, destination, request, Signing::Signed).await
}

/// [`call`] without a signature, as for keys, which are what signatures are checked with.
pub async fn call_unsigned(cx: &Cx, destination: &ServerName, request: Outgoing) -> Result<Value, RemoteError> {
    exchange(cx, destination, request, Signing::Unsigned).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signing {
    Signed,
    Unsigned,
}

async fn exchange(
    cx: &Cx,
    destination: &ServerName,
    request: Outgoing,
    signing: Signing,
) -> Result<Value, RemoteError> {
    let started = cx.now();
    let Outgoing { method, target, content, timeout, max_body, even_to_this_server } = request;
    let body = content.as_ref().map_or_else(Bytes::new, |content| content.to_bytes().into());
    let authorization = cx.step(|step| {
        if !step.config.federation.enabled {
            return Ok(Err(RemoteError::Disabled));
        }
        if let Some(until) = remote_server::get(step, destination)?.reaching.waits(step.now) {
            return Ok(Err(RemoteError::BackingOff { until }));
        }
        let origin = &step.config.server_name;
        if *origin == *destination && !even_to_this_server {
            return Ok(Err(RemoteError::Unreachable("it is this very server".to_string())));
        }
        let sign = || x_matrix::authorization(step.signing_key, (origin, destination), method, &target, content);
        Ok(Ok((signing == Signing::Signed).then(sign)))
    });
    let authorization = authorization.map_err(RemoteError::Internal)??;
    let request = Prepared { method, target, authorization, body, deadline: started + timeout, max_body };
    let answer = send(cx, destination, &request).await;
    match &answer {
        Ok(_) => remote_server::is_up(cx, destination),
        Err(_) => cx.step(|step| {
            let pauses = (FIRST_FEDERATION_BACKOFF, MAX_FEDERATION_BACKOFF);
            let times = (started, step.now);
            Ok(remote_server::update(step, destination, |row, random| {
                row.reaching.failed(times, pauses, random);
                discovery::doubt(row, times.1);
            })?)
        }),
    }
    .map_err(RemoteError::Internal)?;
    read(&answer.map_err(RemoteError::Unreachable)?)
}

/// A request that is ready to be sent to any place.
struct Prepared {
    method: Method,
    target: String,
    authorization: Option<String>,
    body: Bytes,
    deadline: Timestamp,
    max_body: u32,
}

/// An answer of the server itself, from the first of its places that gives one.
async fn send(cx: &Cx, destination: &ServerName, request: &Prepared) -> Result<Response, String> {
    let mut why = String::new();
    for place in discovery::resolve(cx, destination).await? {
        let Place { host, port, tls_name, host_header } = place;
        let left = Duration::from_millis(request.deadline.since(cx.now()));
        if left.is_zero() {
            return Err(if why.is_empty() { "it took too long to find".to_string() } else { why });
        }
        let fetch = Fetch {
            method: request.method,
            host,
            port,
            tls_name,
            host_header,
            target: request.target.clone(),
            authorization: request.authorization.clone(),
            body: request.body.clone(),
            timeout: left,
            max_body: request.max_body,
        };
        match cx.fetch(fetch).await {
            // Something in front of the server says that the server is not there.
            Outcome::Fetched(response) if matches!(response.status, 502..=504) && errcode(&response).is_none() => {
                why = format!("it answered {}", response.status);
            }
            Outcome::Fetched(response) => return Ok(response),
            Outcome::Failed(error) => why = error,
            other => return Err(format!("the host answered a fetch with {other:?}")),
        }
    }
    Err(why)
}

fn errcode(response: &Response) -> Option<String> {
    let body = canonical_json::parse(&response.body).ok()?;
    Some(body.get("errcode")?.as_str()?.to_string())
}

fn read(response: &Response) -> Result<Value, RemoteError> {
    let body = canonical_json::parse(&response.body);
    if response.status == 200 {
        return body.map_err(|error| RemoteError::BadAnswer(format!("it is not JSON: {error}")));
    }
    let body = body.unwrap_or(Value::Null);
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    Err(RemoteError::Refused { status: response.status, errcode: text("errcode"), error: text("error"), body })
}

/// The `errcode`s that a client is told as another server gave them.
const PASSED_ON: &[ErrCode] = &[
    "M_BAD_JSON",
    "M_BAD_STATE",
    "M_FORBIDDEN",
    "M_GUEST_ACCESS_FORBIDDEN",
    "M_INCOMPATIBLE_ROOM_VERSION",
    "M_INVALID_PARAM",
    "M_INVITE_BLOCKED",
    "M_LIMIT_EXCEEDED",
    "M_MISSING_PARAM",
    "M_NOT_FOUND",
    "M_TOO_LARGE",
    "M_UNABLE_TO_AUTHORISE_JOIN",
    "M_UNABLE_TO_GRANT_JOIN",
    "M_UNSUPPORTED_ROOM_VERSION",
];

/// What a client is told. A refusal is passed on if it is about what the client asked for; anything else, such as a `401`, which
/// would log the client out, is between the servers, and so a `502`.
impl From<RemoteError> for ApiError {
    fn from(error: RemoteError) -> ApiError {
        let bad_gateway = |message: String| ApiError::new(502, "M_UNKNOWN", message);
        match error {
            RemoteError::Disabled => ApiError::forbidden("Federation is disabled on this server"),
            RemoteError::BackingOff { .. } => bad_gateway("The other server did not answer a moment ago".to_string()),
            // Why may name addresses, which are the operator's business.
            RemoteError::Unreachable(_) => bad_gateway("The other server cannot be reached".to_string()),
            RemoteError::BadAnswer(why) => bad_gateway(format!("The other server's answer makes no sense: {why}")),
            RemoteError::Internal(error) => error,
            RemoteError::Refused { status, errcode, error, body } => {
                let known = PASSED_ON.iter().find(|known| **known == errcode);
                match known {
                    Some(errcode) if (400..500).contains(&status) && status != 401 => {
                        let mut passed = ApiError::new(status, errcode, error);
                        // What the errcodes of joins come with.
                        if let Some(version) = body.get("room_version").filter(|version| version.as_str().is_some()) {
                            passed = passed.with("room_version", version.clone());
                        }
                        passed
                    }
                    _ => bad_gateway(format!("The other server refused: {status} {errcode} {error}")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
