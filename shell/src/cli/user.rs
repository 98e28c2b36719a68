//! `orrery user`: accounts, managed through the core's own administration while no server runs on the data.

mod password;

use clap::{Args, Subcommand};
use orrery_core::canonical_json::{Object, Value};
use orrery_core::http::Method;

use super::administration::{self, Administration, encoded, text};
use crate::config::Settings;
use crate::exit::Failure;

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
    administration::with(settings, |core| carry_out(core, settings, command, password))
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
            let created = core.call(Method::Post, "/users", "", body)?;
            println!("created {}", text(&created, "user_id"));
        }
        UserCommand::ResetPassword { user, keep_sessions } => {
            let body = Object::new().with("new_password", password).with("logout_devices", !keep_sessions);
            core.call(Method::Post, &format!("/users/{}/password", encoded(&user.user)), "", body)?;
            println!("{} has a new password", user.user);
        }
        UserCommand::Deactivate { user, erase } => {
            let body = Object::new().with("erase", *erase);
            core.call(Method::Post, &format!("/users/{}/deactivate", encoded(&user.user)), "", body)?;
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
        let page = core.call(Method::Get, "/users", &query, Object::new())?;
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

/// `alice` for both `alice` and `@alice:example.org` on `example.org`.
fn localpart<'u>(user: &'u str, settings: &Settings) -> &'u str {
    let full = user.strip_prefix('@').and_then(|rest| rest.split_once(':'));
    full.filter(|(_, server)| *server == settings.server_name.as_str()).map_or(user, |(localpart, _)| localpart)
}
