//! One call of the Client-Server API, from a virtual device: sent, lost, sent again, until there is an answer.

use bytes::Bytes;
use orrery_core::canonical_json::{self, Object, Value};
use orrery_core::http::{Method, Request, Response};

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
}

/// The segments of a path, each anything that becomes a `String`.
#[macro_export]
macro_rules! path {
    ($($segment:expr),* $(,)?) => { vec![$(String::from($segment)),*] };
}

impl Call {
    #[must_use]
    pub fn get(path: Vec<String>) -> Call {
        Call { method: Method::Get, path, query: Vec::new(), body: None, authenticated: true }
    }
    #[must_use]
    pub fn put(path: Vec<String>, body: Object) -> Call {
        Call { method: Method::Put, path, query: Vec::new(), body: Some(body), authenticated: true }
    }
    #[must_use]
    pub fn post(path: Vec<String>, body: Object) -> Call {
        Call { method: Method::Post, path, query: Vec::new(), body: Some(body), authenticated: true }
    }
    #[must_use]
    pub fn delete(path: Vec<String>) -> Call {
        Call { method: Method::Delete, path, query: Vec::new(), body: None, authenticated: true }
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

    fn request(&self, device: &Device) -> Request {
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
        let token = if self.authenticated { device.token() } else { None };
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
            out.push_str(&format!("%{byte:02X}"));
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
            let patience = self.patience(PATIENCE);
            match self.attempt(&call, patience).await {
                Ok(response) => {
                    if response.status == 429 {
                        self.pause(attempts).await;
                        continue;
                    }
                    let body = object(&response);
                    return Reply { status: response.status, body, sent, came: self.hub.now(), attempts, lingering };
                }
                Err(lost) => {
                    lingering |= lost == Lost::Patience;
                    self.pause(attempts).await;
                }
            }
        }
    }

    /// Sends once.
    pub async fn attempt(&self, call: &Call, patience: Span) -> Result<Response, Lost> {
        let request = call.request(self);
        let generation = self.generation();
        let answer = self.hub.exchange(self.server, request, patience).await;
        if let Ok(response) = &answer {
            self.work.borrow_mut().answers += 1;
            let still_valid = call.authenticated && self.holds(generation);
            self.hub.check(answers::check(call, response, still_valid));
        } else {
            self.work.borrow_mut().lost += 1;
        }
        answer
    }

    async fn pause(&self, attempts: u32) {
        let longest = Span::millis(20).times(1 << attempts.min(7));
        let span = self.draw.borrow_mut().span(Span::millis(1), longest);
        self.hub.sleep(span).await;
    }
}

/// The body of an answer if it is a JSON object, else an empty one.
#[must_use]
pub fn object(response: &Response) -> Object {
    match canonical_json::parse(&response.body) {
        Ok(Value::Object(object)) => object,
        _ => Object::new(),
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
