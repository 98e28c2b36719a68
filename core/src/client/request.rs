//! A request after routing and authentication, and the four kinds of handler.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use super::machines::Machines;
use crate::canonical_json::{self, Object, Value};
use crate::config::Config;
use crate::effect::Requester;
use crate::error::ApiError;
use crate::flow::{Cx, Step};
use crate::http::{Request, Response, query_pairs};
use crate::identifiers::{ServerName, UserId};
use crate::input::RequestId;
use crate::store::Read;
use crate::time::Timestamp;

/// A routed request.
#[derive(Clone)]
pub struct ClientRequest {
    pub id: RequestId,
    /// The request as it came.
    pub raw: Request,
    /// The path's parameters, decoded, in order.
    pub params: Vec<String>,
    /// The query's pairs, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The access token as sent, for endpoints that end or change sessions.
    pub access_token: Option<String>,
    /// Who asks; `None` only on endpoints without authentication.
    pub requester: Option<Requester>,
    /// The server that asks, on endpoints of the Server-Server API.
    pub origin: Option<ServerName>,
    /// The body, where it was parsed to check the request's signature.
    pub content: Option<Value>,
}

/// Tokens never appear in logs, and the query may have one.
impl core::fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ClientRequest")
            .field("id", &self.id)
            .field("raw", &self.raw)
            .field("requester", &self.requester)
            .finish_non_exhaustive()
    }
}

impl ClientRequest {
    #[must_use]
    pub fn new(id: RequestId, raw: Request, params: Vec<String>) -> ClientRequest {
        let query = query_pairs(&raw.query);
        ClientRequest { id, raw, params, query, access_token: None, requester: None, origin: None, content: None }
    }

    /// The path's parameter `index`; routes guarantee that it is there.
    #[must_use]
    pub fn param(&self, index: usize) -> &str {
        self.params.get(index).expect("the route has this parameter")
    }

    /// The first query parameter of this name.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// A query parameter that is a non-negative integer.
    pub fn query_integer(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.query(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(ApiError::invalid_param(alloc::format!("The query parameter {name} is not a whole number"))),
        }
    }

    /// A query parameter that is `true` or `false`.
    pub fn query_bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.query(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid_param(alloc::format!("The query parameter {name} is not true or false"))),
        }
    }

    /// Who asks, on endpoints that require authentication.
    #[must_use]
    pub fn requester(&self) -> &Requester {
        self.requester.as_ref().expect("the route requires authentication")
    }

    /// Who asks, on endpoints that some may use without authentication; `401 M_MISSING_TOKEN` otherwise.
    pub fn require_requester(&self) -> Result<&Requester, ApiError> {
        let missing = || ApiError::new(401, "M_MISSING_TOKEN", "This server asks others for its own users only");
        self.requester.as_ref().ok_or_else(missing)
    }

    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.requester().user_id
    }

    /// The server that asks, on endpoints of the Server-Server API that require it.
    #[must_use]
    pub fn origin(&self) -> &ServerName {
        self.origin.as_ref().expect("the route requires a server's signature")
    }

    /// The body as any JSON value.
    pub fn json(&self) -> Result<Value, ApiError> {
        canonical_json::parse(&self.raw.body)
            .map_err(|error| ApiError::not_json(alloc::format!("The body is not JSON: {error}")))
    }

    /// The body as a JSON object.
    pub fn object(&self) -> Result<Object, ApiError> {
        object(self.json()?)
    }

    /// The same, of a body that may be large and was perhaps parsed before.
    pub fn take_object(&mut self) -> Result<Object, ApiError> {
        match self.content.take() {
            Some(content) => object(content),
            None => self.object(),
        }
    }

    /// The body as a JSON object; an absent body is an empty one, as many clients send.
    pub fn object_or_empty(&self) -> Result<Object, ApiError> {
        if self.raw.body.is_empty() { Ok(Object::new()) } else { self.object() }
    }
}

fn object(content: Value) -> Result<Object, ApiError> {
    match content {
        Value::Object(object) => Ok(object),
        _ => Err(ApiError::bad_json("The body is not a JSON object")),
    }
}

/// Typed reads of a body's members: absent or `null` is `None`, another type is `400 M_BAD_JSON`.
pub trait BodyExt {
    fn opt_str(&self, name: &str) -> Result<Option<&str>, ApiError>;
    fn opt_bool(&self, name: &str) -> Result<Option<bool>, ApiError>;
    fn opt_integer(&self, name: &str) -> Result<Option<i64>, ApiError>;
    fn opt_array(&self, name: &str) -> Result<Option<&[Value]>, ApiError>;
    fn opt_object(&self, name: &str) -> Result<Option<&Object>, ApiError>;
    /// An absent member is `400 M_MISSING_PARAM`.
    fn required_str(&self, name: &str) -> Result<&str, ApiError>;
}

fn typed<'a, T>(
    object: &'a Object,
    name: &str,
    what: &str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match read(value) {
            Some(typed) => Ok(Some(typed)),
            None => Err(ApiError::bad_json(alloc::format!("{name} is not {what}"))),
        },
    }
}

impl BodyExt for Object {
    fn opt_str(&self, name: &str) -> Result<Option<&str>, ApiError> {
        typed(self, name, "a string", Value::as_str)
    }
    fn opt_bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        typed(self, name, "a boolean", Value::as_bool)
    }
    fn opt_integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        typed(self, name, "an integer", Value::as_integer)
    }
    fn opt_array(&self, name: &str) -> Result<Option<&[Value]>, ApiError> {
        typed(self, name, "an array", Value::as_array)
    }
    fn opt_object(&self, name: &str) -> Result<Option<&Object>, ApiError> {
        typed(self, name, "an object", Value::as_object)
    }
    fn required_str(&self, name: &str) -> Result<&str, ApiError> {
        self.opt_str(name)?.ok_or_else(|| ApiError::missing_param(alloc::format!("{name} is missing")))
    }
}

/// What a query sees beside its request: never memory, so that any thread can run it.
#[derive(Clone, Copy)]
pub struct QueryContext<'a> {
    pub read: &'a dyn Read,
    pub config: &'a Config,
    pub now: Timestamp,
}

impl core::fmt::Debug for QueryContext<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("QueryContext").field("now", &self.now).finish_non_exhaustive()
    }
}

pub type Answer = Result<Response, ApiError>;
/// What asking others came to: an answer, or nothing more than that the query finds more than it would have.
pub type AskFuture = Pin<Box<dyn Future<Output = Result<Option<Response>, ApiError>>>>;
pub type FlowFuture = Pin<Box<dyn Future<Output = Answer>>>;

/// How an endpoint is answered (`ARCHITECTURE.md`, "Four kinds of code").
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// Reads and writes in one instant.
    Step(fn(&mut Step<'_>, &ClientRequest) -> Answer),
    /// Only reads, and little: run at once, on the core's own view.
    Query(fn(&QueryContext<'_>, &ClientRequest) -> Answer),
    /// Only reads, and possibly much: run by the host on a durable snapshot.
    HeavyQuery(fn(&QueryContext<'_>, &ClientRequest) -> Answer),
    /// Only reads, once other servers have been asked, if that is needed.
    AskFirst(&'static AskFirst),
    /// Waits for others.
    Flow(&'static str, fn(Cx, ClientRequest) -> FlowFuture),
    /// Reads and writes, and tells a machine.
    Machine(fn(&mut Machines, &mut Step<'_>, &ClientRequest) -> Answer),
    /// `/sync`: answered by the sync machine, now or later.
    Sync,
}

/// A query before which other servers may have to be asked.
#[derive(Clone, Copy, Debug)]
pub struct AskFirst {
    /// The flow's name.
    pub name: &'static str,
    /// Whether others are asked: reads little.
    pub needed: fn(&QueryContext<'_>, &ClientRequest) -> Result<bool, ApiError>,
    /// Asks them. What it does not answer itself, the query answers.
    pub ask: fn(Cx, ClientRequest) -> AskFuture,
    /// The query: [`Handler::HeavyQuery`].
    pub query: fn(&QueryContext<'_>, &ClientRequest) -> Answer,
}

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Anyone; a token is not looked at.
    None,
    /// Anyone; a token, if there is one and it is good, says who.
    Optional,
    /// Holders of a good access token, guests excepted.
    Required,
    /// Holders of a good access token, guests included (Client-Server API, "Guest Access").
    Guest,
    /// Other servers, by the signature of the request (Server-Server API, "Request Authentication").
    Server,
    /// The operator's own tools, by the secret in the configuration.
    Admin,
}

/// Which rate limit an endpoint counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Reads and other cheap things: none.
    None,
    /// Sending events and changing rooms, per user.
    Message,
    /// Creating and joining rooms and inviting, per user.
    Membership,
    /// Registration, per address.
    Registration,
    /// Login and everything that checks a password, per address.
    Login,
    /// Anything else that writes, per user.
    Write,
}
