//! One request and its answer.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use orrery_core::effect::Fetch;
use orrery_core::http::{Method, Response as CoreResponse};

use super::Client;
use super::connect::{Connection, describe};
use super::pool::Key;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("Orrery/", env!("CARGO_PKG_VERSION")));

/// Sends `fetch` on a connection that is there, or on a new one. A connection that was idle may have been closed by the other
/// side at that very moment: then a request that may be repeated is sent once more.
pub async fn run(client: &Client, fetch: &Fetch) -> Result<CoreResponse, String> {
    let key = Key::of(fetch);
    if let Some(connection) = client.pool.take(&key) {
        match send(client, &key, connection, fetch).await {
            Err(Failed { why: _, may_repeat: true }) => {}
            result => return result.map_err(|failed| failed.why),
        }
    }
    let connection = connect(client, &key).await?;
    send(client, &key, connection, fetch).await.map_err(|failed| failed.why)
}

/// A connection that answers, most likely; other requests to the same new server wait for the first one's.
async fn connect(client: &Client, key: &Key) -> Result<Connection, String> {
    let Some(connecting) = client.pool.connecting(key) else { return client.connector.connect(key).await };
    let _alone = connecting.lock().await;
    if let Some(connection) = client.pool.take(key) {
        return Ok(connection);
    }
    let connection = client.connector.connect(key).await?;
    client.pool.made(key, &connection);
    Ok(connection)
}

/// No answer came.
struct Failed {
    why: String,
    may_repeat: bool,
}

async fn send(client: &Client, key: &Key, connection: Connection, fetch: &Fetch) -> Result<CoreResponse, Failed> {
    let final_failure = |why: String| Failed { why, may_repeat: false };
    match connection {
        Connection::Http2(mut sender) => {
            let request = request(fetch, true).map_err(final_failure)?;
            let response = sender.try_send_request(request).await.map_err(|mut error| unanswered(&mut error, fetch))?;
            read(response, fetch).await.map_err(final_failure)
        }
        Connection::Http1(mut sender) => {
            let request = request(fetch, false).map_err(final_failure)?;
            if sender.ready().await.is_err() {
                return Err(Failed { why: "the connection was closed".to_owned(), may_repeat: true });
            }
            let response = sender.try_send_request(request).await.map_err(|mut error| unanswered(&mut error, fetch))?;
            let response = read(response, fetch).await.map_err(final_failure)?;
            client.pool.give_back(key, sender);
            Ok(response)
        }
    }
}

fn unanswered(error: &mut hyper::client::conn::TrySendError<Request<Full<Bytes>>>, fetch: &Fetch) -> Failed {
    let was_not_sent = error.take_message().is_some();
    let error = error.error();
    let was_closed = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    let is_idempotent = matches!(fetch.method, Method::Get | Method::Head | Method::Put | Method::Delete);
    Failed { why: describe(error), may_repeat: was_not_sent || (was_closed && is_idempotent) }
}

fn request(fetch: &Fetch, is_http2: bool) -> Result<Request<Full<Bytes>>, String> {
    let bad = |what: &str| format!("the {what} cannot be sent");
    let mut uri = Uri::builder().path_and_query(fetch.target.as_str());
    if is_http2 {
        uri = uri.scheme("https").authority(fetch.host_header.as_str());
    }
    let uri = uri.build().map_err(|_| bad("path"))?;
    let mut request = Request::new(Full::new(fetch.body.clone()));
    *request.method_mut() = hyper::Method::from_bytes(fetch.method.as_str().as_bytes()).map_err(|_| bad("method"))?;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    let mut add = |name: HeaderName, value: &str| match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
            Ok(())
        }
        Err(_) => Err(bad("header")),
    };
    if !is_http2 {
        add(HOST, &fetch.host_header)?;
    }
    if let Some(authorization) = &fetch.authorization {
        add(AUTHORIZATION, authorization)?;
    }
    if !fetch.body.is_empty() {
        add(CONTENT_TYPE, "application/json")?;
    }
    headers.insert(USER_AGENT, AGENT);
    Ok(request)
}

/// Reads the answer whole, unless its body is too long.
async fn read(response: Response<Incoming>, fetch: &Fetch) -> Result<CoreResponse, String> {
    let most = fetch.max_body as usize;
    let too_long = || format!("the answer is longer than {most} bytes");
    let (head, mut incoming) = response.into_parts();
    let announced = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > most {
        return Err(too_long());
    }
    let mut body = BytesMut::with_capacity(announced.min(65_536));
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| describe(&error))?;
        if let Ok(data) = frame.into_data() {
            if body.len() + data.len() > most {
                return Err(too_long());
            }
            body.extend_from_slice(&data);
        }
    }
    let header = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    let headers = head.headers.iter().filter_map(header).collect();
    Ok(CoreResponse { status: head.status.as_u16(), headers, body: body.freeze() })
}
