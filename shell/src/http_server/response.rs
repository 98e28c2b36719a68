//! Answers as they go out: the core's, with CORS headers and `Content-Length`.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue,
};
use orrery_core::http::Response;

/// Headers beside the core's own.
const OUR_HEADERS: usize = 8;

/// The core's answer for hyper.
pub(super) fn encode(answer: Response) -> hyper::Response<Full<Bytes>> {
    let mut headers = HeaderMap::with_capacity(answer.headers.len() + OUR_HEADERS);
    add_cors(&mut headers);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
    for (name, value) in answer.headers {
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::try_from(value).ok());
        match header {
            Some((name, value)) => drop(headers.append(name, value)),
            None => tracing::error!(name, "the core made a header that HTTP does not allow"),
        }
    }
    if matches!(answer.status, 408 | 413) {
        // The rest of the request's body is of no use to anyone.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let mut response = hyper::Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// The answer to `OPTIONS`, for which no endpoint's logic may run (Client-Server API, "Web Browser Clients").
pub(super) fn preflight() -> hyper::Response<Full<Bytes>> {
    let mut response = encode(Response::empty());
    // How long a browser need not ask again.
    response.headers_mut().insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// Client-Server API, "Web Browser Clients".
fn add_cors(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let names = HeaderValue::from_static("X-Requested-With, Content-Type, Authorization");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
}
