//! `GET https://<hostname>/.well-known/matrix/server` (Server-Server API, "Resolving server names", step 3).

use alloc::string::{String, ToString};
use bytes::Bytes;
use core::time::Duration;

use super::caching;
use super::remote_server::WellKnown;
use crate::canonical_json;
use crate::effect::Fetch;
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::identifiers::ServerName;
use crate::input::Outcome;
use crate::limits::{
    FIRST_WELL_KNOWN_ERROR_LIFETIME, MAX_WELL_KNOWN, MAX_WELL_KNOWN_ERROR_LIFETIME, MAX_WELL_KNOWN_LIFETIME,
    MAX_WELL_KNOWN_REDIRECTS, WELL_KNOWN_TIMEOUT,
};

/// The path of the file.
pub const PATH: &str = "/.well-known/matrix/server";

/// Asks whom `server` delegates to. While nobody answers, what was answered `before` stays good for as long as any answer may be
/// kept.
pub async fn ask(cx: &Cx, server: &ServerName, before: Option<WellKnown>) -> WellKnown {
    let answer = follow(cx, server).await;
    let now = cx.now();
    match answer {
        Some(response) if response.status == 200 => match delegate(&response) {
            Some(delegate) => {
                let expires = now + caching::lifetime(&response, now);
                WellKnown { delegate: Some(delegate), fetched: now, expires, failures: 0 }
            }
            None => there_is_none(now, MAX_WELL_KNOWN_ERROR_LIFETIME),
        },
        // The server is there, and has no such file.
        Some(response) if response.status < 500 && response.status != 429 => {
            there_is_none(now, MAX_WELL_KNOWN_ERROR_LIFETIME)
        }
        _ => {
            let before = before.unwrap_or_default();
            let doublings = before.failures.min(20);
            let pause = FIRST_WELL_KNOWN_ERROR_LIFETIME.saturating_mul(1 << doublings);
            let expires = now + pause.min(MAX_WELL_KNOWN_ERROR_LIFETIME);
            let failures = before.failures.saturating_add(1);
            let is_kept = before.delegate.is_some() && now < before.fetched + MAX_WELL_KNOWN_LIFETIME;
            let (delegate, fetched) = if is_kept { (before.delegate, before.fetched) } else { (None, now) };
            WellKnown { delegate, fetched, expires, failures }
        }
    }
}

fn there_is_none(now: crate::time::Timestamp, lifetime: Duration) -> WellKnown {
    WellKnown { delegate: None, fetched: now, expires: now + lifetime, failures: 0 }
}

fn delegate(response: &Response) -> Option<ServerName> {
    let body = canonical_json::parse(&response.body).ok()?;
    ServerName::parse(body.get("m.server")?.as_str()?).ok()
}

/// The answer at the end of the redirects, or `None` if there is no end to them, or nobody there.
async fn follow(cx: &Cx, server: &ServerName) -> Option<Response> {
    let deadline = cx.now() + WELL_KNOWN_TIMEOUT;
    let mut url = Url { host: server.clone(), target: PATH.to_string() };
    for _ in 0..=MAX_WELL_KNOWN_REDIRECTS {
        let timeout = Duration::from_millis(deadline.since(cx.now()));
        if timeout.is_zero() {
            return None;
        }
        let host = url.host.ip_address().map_or_else(|| url.host.host().to_string(), |address| address.to_string());
        let fetch = Fetch {
            method: Method::Get,
            tls_name: host.clone(),
            host,
            port: url.host.port().unwrap_or(443),
            host_header: url.host.to_string(),
            target: url.target.clone(),
            authorization: None,
            body: Bytes::new(),
            timeout,
            max_body: MAX_WELL_KNOWN,
        };
        let Outcome::Fetched(response) = cx.fetch(fetch).await else { return None };
        if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
            return Some(response);
        }
        let location = response.headers.iter().find(|header| header.0 == "location")?;
        url = url.join(&location.1)?;
    }
    None
}

/// An `https` URL, without what is never sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    host: ServerName,
    /// Path and query.
    target: String,
}

impl Url {
    /// Where a redirect from here leads (RFC 3986, section 5.2, but for `.` and `..`, which no server sends); `None` if it is not
    /// to be followed.
    fn join(&self, location: &str) -> Option<Url> {
        let location = location.split('#').next().unwrap_or_default();
        if !location.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let scheme = location.split_once(':').filter(|(scheme, _)| !scheme.contains(['/', '?']));
        let rest = match scheme {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some(_) => return None,
            None => location,
        };
        if let Some(rest) = rest.strip_prefix("//") {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (host, target) = rest.split_at(end);
            let slash = if target.starts_with('/') { "" } else { "/" };
            let host = ServerName::parse(host).ok()?;
            return Some(Url { host, target: alloc::format!("{slash}{target}") });
        }
        if scheme.is_some() || rest.is_empty() {
            return None;
        }
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match rest.as_bytes()[0] {
            b'/' => rest.to_string(),
            b'?' => alloc::format!("{path}{rest}"),
            _ => {
                let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
                alloc::format!("{folder}{rest}")
            }
        };
        Some(Url { host: self.host.clone(), target })
    }
}

#[cfg(test)]
mod tests;
