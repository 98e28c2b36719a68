//! `orrery user`: accounts, managed through the core's own administration while no server runs on the data.

mod password;

use clap::{Args, Subcommand};
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

const USERS: &str = "/_orrery/admin/v1/users";

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create a user
    Create {
        #[command(flatten)]
        user: Name,
        /// Let the user administer the server
        #[arg(long)]
        admin: bool,
    },
    /// Give a user another password, and log them out everywhere
    ResetPassword {
        #[command(flatten)]
        user: Name,
        /// Leave their sessions logged in
        #[arg(long)]
        keep_sessions: bool,
    },
    /// Close an account for ever: the user leaves all rooms, and the name stays taken
    Deactivate {
        #[command(flatten)]
        user: Name,
        /// Hide their messages from people who join their rooms later
        #[arg(long)]
        erase: bool,
    },
    /// List the users
    List {
        /// Guests too
        #[arg(long)]
        guests: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Name {
    /// alice, or @alice:example.org
    user: String,
}

/// Starts the server's data without its sockets, and carries the command out.
pub(super) fn run(settings: &Settings, command: &UserCommand) -> Result<(), Failure> {
    // Before the data is locked: a person may take their time.
    let password = match command {
        UserCommand::Create { .. } | UserCommand::ResetPassword { .. } => Some(password::read()?),
        UserCommand::Deactivate { .. } | UserCommand::List { .. } => None,
    };
    logging::start(logging::LogSettings { requests: logging::Requests::None, ..settings.logging });
    let server = Server::start(settings)?;
    let result = carry_out(&Administration { server: &server }, settings, command, password);
    let stopped = server.stop();
    result.and(stopped)
}

fn carry_out(
    core: &Administration<'_>,
    settings: &Settings,
    command: &UserCommand,
    password: Option<String>,
) -> Result<(), Failure> {
    let password = password.unwrap_or_default();
    match command {
        UserCommand::Create { user, admin } => {
            let localpart = localpart(&user.user, settings);
            let body = Object::new().with("username", localpart).with("password", password).with("admin", *admin);
            let created = core.call(Method::Post, "", "", body)?;
            println!("created {}", text(&created, "user_id"));
        }
        UserCommand::ResetPassword { user, keep_sessions } => {
            let body = Object::new().with("new_password", password).with("logout_devices", !keep_sessions);
            core.call(Method::Post, &format!("/{}/password", encoded(&user.user)), "", body)?;
            println!("{} has a new password", user.user);
        }
        UserCommand::Deactivate { user, erase } => {
            let body = Object::new().with("erase", *erase);
            core.call(Method::Post, &format!("/{}/deactivate", encoded(&user.user)), "", body)?;
            println!("{} is deactivated", user.user);
        }
        UserCommand::List { guests, json } => list(core, *guests, *json)?,
    }
    Ok(())
}

fn list(core: &Administration<'_>, guests: bool, json: bool) -> Result<(), Failure> {
    let mut from = String::new();
    loop {
        let query = format!("guests={guests}&from={}", encoded(&from));
        let page = core.call(Method::Get, "", &query, Object::new())?;
        for user in page.get("users").and_then(Value::as_array).unwrap_or_default() {
            println!("{}", if json { user.to_string() } else { described(user) });
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => from = next.to_owned(),
            None => return Ok(()),
        }
    }
}

/// A user for people: the name, then what is out of the ordinary.
fn described(user: &Value) -> String {
    let mut line = text(user, "user_id").to_owned();
    for flag in ["admin", "guest", "deactivated"] {
        if user.get(flag) == Some(&Value::Bool(true)) {
            line.push(' ');
            line.push_str(flag);
        }
    }
    line
}

/// The core's administration of users, in this process.
struct Administration<'s> {
    server: &'s Server,
}

impl Administration<'_> {
    fn call(&self, method: Method, path: &str, query: &str, body: Object) -> Result<Value, Failure> {
        let request = Request {
            method,
            path: format!("{USERS}{path}"),
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

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or("no answer")
}

/// `alice` for both `alice` and `@alice:example.org` on `example.org`.
fn localpart<'u>(user: &'u str, settings: &Settings) -> &'u str {
    let full = user.strip_prefix('@').and_then(|rest| rest.split_once(':'));
    full.filter(|(_, server)| *server == settings.server_name.as_str()).map_or(user, |(localpart, _)| localpart)
}

/// For a path or a query: everything but letters and digits escaped.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
