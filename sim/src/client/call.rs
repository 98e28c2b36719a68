//! One call of the Client-Server API, from a virtual device: sent, lost, sent again, until there is an answer.

use bytes::Bytes;
use orrery_core::canonical_json::{self, Object, Value};
use orrery_core::http::{Method, Request};

use super::Device;
use crate::checkers::answers;
use crate::clock::{Span, Time};
use crate::tasks::Lost;

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: Method,
    /// The segments after `/_matrix/client/v3/`, not encoded.
    pub path: Vec<String>,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Object>,
    /// Whether the access token goes with it.
    pub authenticated: bool,
    /// The client waits as long as clients do, in any world.
    pub patient: bool,
}

/// The segments of a path, each anything that becomes a `String`.
#[macro_export]
macro_rules! path {
    ($($segment:expr),* $(,)?) => { vec![$(String::from($segment)),*] };
}

impl Call {
    #[must_use]
    pub fn get(path: Vec<String>) -> Call {
        Call { method: Method::Get, path, query: Vec::new(), body: None, authenticated: true, patient: false }
    }
    #[must_use]
    pub fn put(path: Vec<String>, body: Object) -> Call {
        Call { method: Method::Put, path, query: Vec::new(), body: Some(body), authenticated: true, patient: false }
    }
    #[must_use]
    pub fn post(path: Vec<String>, body: Object) -> Call {
        Call { method: Method::Post, path, query: Vec::new(), body: Some(body), authenticated: true, patient: false }
    }
    #[must_use]
    pub fn delete(path: Vec<String>) -> Call {
        Call { method: Method::Delete, path, query: Vec::new(), body: None, authenticated: true, patient: false }
    }
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.query.push((name, value.into()));
        self
    }
    #[must_use]
    pub fn anonymous(mut self) -> Call {
        self.authenticated = false;
        self
    }

    #[must_use]
    pub fn with_body(mut self, body: Object) -> Call {
        self.body = Some(body);
        self
    }

    /// For calls that must not come to a second effect later on.
    #[must_use]
    pub fn patiently(mut self) -> Call {
        self.patient = true;
        self
    }

    fn request(&self, device: &Device, token: Option<&str>) -> Request {
        let mut path = String::from("/_matrix/client/v3");
        for segment in &self.path {
            path.push('/');
            encode(segment, device.encodes_all, &mut path);
        }
        let mut query = String::new();
        for (name, value) in &self.query {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            encode(value, true, &mut query);
        }
        Request {
            method: self.method,
            path,
            query,
            authorization: token.map(|token| format!("Bearer {token}")),
            user_agent: None,
            remote: Some(device.address),
            body: self.body.clone().map_or_else(Bytes::new, |body| Value::Object(body).to_bytes().into()),
        }
    }
}

/// Percent-encodes a segment: everything but unreserved characters, or only what cannot stand in a path.
fn encode(segment: &str, all: bool, out: &mut String) {
    for byte in segment.bytes() {
        let plain =
            byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (!all && b"!$&'()*+,;=:@".contains(&byte));
        if plain {
            out.push(char::from(byte));
        } else {
            let digit = |four: u8| char::from(b"0123456789ABCDEF"[usize::from(four)]);
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Empty if the answer was no JSON object.
    pub body: Object,
    /// When it was first sent.
    pub sent: Time,
    /// When the answer came.
    pub came: Time,
    /// How often it was sent.
    pub attempts: u32,
    /// Some attempt was given up while it was still under way: it may take effect later.
    pub lingering: bool,
}

impl Reply {
    #[must_use]
    pub fn ok(&self) -> bool {
        self.status == 200
    }

    /// It failed, and nothing that was sent can have had an effect.
    #[must_use]
    pub fn refused(&self) -> bool {
        !self.ok() && self.attempts == 1
    }

    #[must_use]
    pub fn errcode(&self) -> &str {
        self.body.str("errcode").unwrap_or_default()
    }

    /// The server does not have this endpoint.
    #[must_use]
    pub fn unrecognized(&self) -> bool {
        self.errcode() == "M_UNRECOGNIZED"
    }
}

/// How often clients ask for what another server has to do, while it cannot be reached.
const ATTEMPTS: u32 = 4;

/// How long clients wait when nothing makes them impatient.
pub const PATIENCE: Span = Span::secs(60);

impl Device {
    /// Calls until there is an answer.
    pub async fn call(&self, call: Call) -> Reply {
        let sent = self.hub.now();
        let mut attempts = 0;
        let mut lingering = false;
        loop {
            attempts += 1;
            let since = self.token_since();
            let patience = if call.patient { PATIENCE } else { self.patience(PATIENCE) };
            match self.attempt(&call, patience).await {
                Ok((status, body)) => {
                    // Of a fault nobody knows what was done before it.
                    let elsewhere = self.federated && matches!(status, 502 | 504);
                    if (status == 429 || status >= 500) && !(elsewhere && attempts >= ATTEMPTS) {
                        self.pause(attempts).await;
                        continue;
                    }
                    let is_unknown = status == 401 && call.authenticated && !body.contains("flows");
                    if is_unknown && self.is_lost(since) && Box::pin(self.renew(since)).await {
                        continue;
                    }
                    if self.is_outdated(&call, status, &body).await {
                        continue;
                    }
                    return Reply { status, body, sent, came: self.hub.now(), attempts, lingering };
                }
                Err(lost) => {
                    lingering |= lost == Lost::Patience;
                    self.pause(attempts).await;
                }
            }
        }
    }

    /// Whether an answer only says that the token was not fresh any more; then there is a fresh one.
    async fn is_outdated(&self, call: &Call, status: u16, body: &Object) -> bool {
        if status != 401 || !call.authenticated || body.contains("flows") || self.session.borrow().is_ending() {
            return false;
        }
        if body.bool("soft_logout") == Some(true) && self.refreshes {
            Box::pin(self.refresh()).await;
            return true;
        }
        // Another lane has refreshed meanwhile.
        self.refreshes && body.str("errcode") == Some("M_UNKNOWN_TOKEN")
    }

    /// Sends once. The status and the body, empty if it is no JSON object.
    pub async fn attempt(&self, call: &Call, patience: Span) -> Result<(u16, Object), Lost> {
        let token = if call.authenticated { self.token() } else { None };
        let request = call.request(self, token.as_deref());
        let answer = self.hub.exchange(self.server, request, patience).await;
        let response = answer.inspect_err(|_| self.work.borrow_mut().lost += 1)?;
        self.work.borrow_mut().answers += 1;
        let body = match canonical_json::parse(&response.body) {
            Ok(Value::Object(body)) => Some(body),
            _ => None,
        };
        let valid = token.as_deref().is_some_and(|token| self.holds(token));
        let excused = response.status >= 500 && self.hub.faults_are_excused();
        if !excused {
            let expected = answers::Expected { valid, expires: self.refreshes, federated: self.federated };
            self.hub.check(answers::check(call, &response, body.as_ref(), expected));
        }
        Ok((response.status, body.unwrap_or_default()))
    }

    async fn pause(&self, attempts: u32) {
        let longest = Span::millis(20).times(1 << attempts.min(7));
        let span = self.draw.borrow_mut().span(Span::millis(1), longest);
        self.hub.sleep(span).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded_in_either_way() {
        let check = |segment, all, expected| {
            let mut out = String::new();
            encode(segment, all, &mut out);
            assert_eq!(out, expected);
        };
        check("!a:b", true, "%21a%3Ab");
        check("!a:b", false, "!a:b");
        check("a/b?c#d%", false, "a%2Fb%3Fc%23d%25");
        check("ü", true, "%C3%BC");
    }
}
