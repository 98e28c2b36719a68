//! What a client is told when its request fails (Client-Server API, "Standard error response").

use alloc::string::{String, ToString};
use core::fmt;

use crate::canonical_json::{Object, Value};
use crate::http::Response;

/// An `errcode` of the specification.
pub type ErrCode = &'static str;

/// A standard error response: HTTP status, `errcode`, a message for people, and further members (`retry_after_ms`, …).
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    pub status: u16,
    pub errcode: ErrCode,
    pub message: String,
    pub members: Object,
}

impl ApiError {
    pub fn new(status: u16, errcode: ErrCode, message: impl Into<String>) -> ApiError {
        ApiError { status, errcode, message: message.into(), members: Object::new() }
    }

    /// Adds a member to the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> ApiError {
        self.members.insert(name, value);
        self
    }

    pub fn bad_json(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "M_BAD_JSON", message)
    }
    pub fn not_json(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "M_NOT_JSON", message)
    }
    pub fn invalid_param(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "M_INVALID_PARAM", message)
    }
    pub fn missing_param(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "M_MISSING_PARAM", message)
    }
    pub fn forbidden(message: impl Into<String>) -> ApiError {
        ApiError::new(403, "M_FORBIDDEN", message)
    }
    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::new(404, "M_NOT_FOUND", message)
    }
    pub fn unrecognized(status: u16) -> ApiError {
        ApiError::new(status, "M_UNRECOGNIZED", "Unrecognized request")
    }
    /// A fault of ours: the message says nothing that a client could misuse.
    pub fn internal(message: impl Into<String>) -> ApiError {
        ApiError::new(500, "M_UNKNOWN", message)
    }

    /// The body as JSON.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = self.members.clone();
        body.insert("errcode", self.errcode);
        body.insert("error", self.message.as_str());
        Value::Object(body)
    }

    #[must_use]
    pub fn response(&self) -> Response {
        let mut response = Response::json(self.status, &self.body());
        if let Some(Value::Integer(millis)) = self.members.get("retry_after_ms") {
            // Client-Server API, "Rate limiting": the header is in whole seconds.
            response.headers.push(("retry-after".to_string(), ((millis + 999) / 1000).to_string()));
        }
        response
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.errcode, self.message)
    }
}

impl core::error::Error for ApiError {}
