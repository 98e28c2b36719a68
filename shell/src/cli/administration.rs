//! The core's own administration, called in this process: its data without its sockets.

use orrery_core::canonical_json::{self, Object, Value};
use orrery_core::http::{Method, Request, Response};
use orrery_core::input::RequestId;
use tokio::sync::oneshot;

use crate::config::Settings;
use crate::core_loop::Message;
use crate::exit::{self, Failure};
use crate::logging;
use crate::server::Server;
use crate::time::Stopwatch;

/// A server that does not listen.
pub(super) struct Administration<'s> {
    server: &'s Server,
}

/// Starts the server's data without its sockets, does something with it, and stops it.
pub(super) fn with(
    settings: &Settings,
    run: impl FnOnce(&Administration<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    logging::start(logging::LogSettings { requests: logging::Requests::None, ..settings.logging });
    let server = Server::start(settings)?;
    let result = run(&Administration { server: &server });
    let stopped = server.stop();
    result.and(stopped)
}

impl Administration<'_> {
    /// Calls an endpoint: `path` is what follows `/_orrery/admin/v1`.
    pub(super) fn call(&self, method: Method, path: &str, query: &str, body: Object) -> Result<Value, Failure> {
        let request = Request {
            method,
            path: format!("/_orrery/admin/v1{path}"),
            query: query.to_owned(),
            authorization: Some(format!("Bearer {}", self.server.admin_secret())),
            user_agent: None,
            remote: None,
            body: Value::Object(body).to_bytes().into(),
        };
        let (reply, answer) = oneshot::channel();
        // One at a time: the number of the one before is free again.
        let id = RequestId(1);
        self.server.core().send(Message::Request { id, request, reply, arrived: Stopwatch::start() });
        let answer = answer.blocking_recv().map_err(|_| Failure::new(exit::SOFTWARE, "the core did not answer"))?;
        let Response { status, body, .. } = answer.response;
        let body = canonical_json::parse(&body).map_err(|error| Failure::new(exit::SOFTWARE, error))?;
        if status == 200 { Ok(body) } else { Err(Failure::new(exit::REFUSED, text(&body, "error"))) }
    }
}

/// The member of an answer that is a text.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or("no answer")
}

/// For a path or a query: everything but letters and digits escaped.
pub(super) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
