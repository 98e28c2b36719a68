//! Requests and responses as the core sees them: already read from the wire, never with a socket in sight.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

use crate::canonical_json::{Object, Value};

/// The HTTP methods that the specification uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    /// Any other: known to no endpoint.
    Other,
}

impl Method {
    /// The name on the wire; that of [`Method::Other`] is not known here.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "",
        }
    }
}

/// Names a request until it is answered or hung up. Chosen by the host, never used twice in one life of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// One request, with a body of at most [`crate::limits::MAX_REQUEST_BODY`] bytes; a transaction of another server has at most
/// [`crate::limits::MAX_TRANSACTION_BODY`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub method: Method,
    /// The path as sent: percent-encoded, beginning with `/`, without the query.
    pub path: String,
    /// The query as sent, without the `?`; empty when there is none.
    pub query: String,
    /// The value of the `Authorization` header.
    pub authorization: Option<String>,
    pub user_agent: Option<String>,
    /// The client's address, after trusted proxies.
    pub remote: Option<IpAddr>,
    pub body: Bytes,
}

/// Tokens and passwords never appear in logs: what may hold one is told by its length.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query.len())
            .field("body", &self.body.len())
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

/// One response. The host adds `Content-Length`, `Date` and the connection's headers, nothing else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    pub status: u16,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Answers hold new tokens, so a body is told by its length.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).field("body", &self.body.len()).finish_non_exhaustive()
    }
}

impl Response {
    /// A JSON answer with `status`.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Response {
        Response::json_bytes(status, Bytes::from(body.to_bytes()))
    }

    /// A JSON answer whose body is already encoded.
    #[must_use]
    pub fn json_bytes(status: u16, body: Bytes) -> Response {
        Response { status, headers: alloc::vec![("content-type".to_string(), "application/json".to_string())], body }
    }

    /// `200 {}`.
    #[must_use]
    pub fn empty() -> Response {
        Response::json(200, &Value::Object(Object::new()))
    }
}

/// Decodes `%XX` and, when `plus_is_space` (queries), `+`. `None` if the result is not UTF-8 or an escape is cut short.
#[must_use]
pub fn percent_decode(text: &str, plus_is_space: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'%' => {
                let high = char::from(*bytes.get(i + 1)?).to_digit(16)?;
                let low = char::from(*bytes.get(i + 2)?).to_digit(16)?;
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            b'+' if plus_is_space => {
                out.push(b' ');
                i += 1;
            }
            byte => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// The decoded pairs of a query string, in order. Pairs that do not decode are dropped.
#[must_use]
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((percent_decode(name, true)?, percent_decode(value, true)?))
        })
        .collect()
}

/// Encodes `text` as one segment of a path, or one value of a query.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}
