//! `orrery explain`: why a room is as it is here, while no server runs on the data.

use clap::Args;
use orrery_core::canonical_json::{Object, Value};
use orrery_core::http::Method;

use super::administration::{self, encoded};
use crate::config::Settings;
use crate::exit::{self, Failure};

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The room's ID
    room: String,
    /// An event's ID, or an event type and a state key; nothing for the room as a whole
    #[arg(num_args = 0..=2, value_name = "EVENT | TYPE STATE_KEY")]
    what: Vec<String>,
    /// The state before this event, and not the current one
    #[arg(long, value_name = "EVENT")]
    at: Option<String>,
}

pub(super) fn run(settings: &Settings, explain: &Explain) -> Result<(), Failure> {
    let mut query = match &explain.what[..] {
        [] => String::new(),
        [event_id] if event_id.starts_with('$') => format!("event_id={}", encoded(event_id)),
        [kind] => format!("type={}&state_key=", encoded(kind)),
        [kind, state_key, ..] => format!("type={}&state_key={}", encoded(kind), encoded(state_key)),
    };
    if let Some(at) = &explain.at {
        if !query.starts_with("type=") {
            return Err(Failure::new(exit::USAGE, "--at is for the state under an event type and a state key"));
        }
        query += &format!("&at={}", encoded(at));
    }
    administration::with(settings, |core| {
        let path = format!("/rooms/{}/explain", encoded(&explain.room));
        let answer = core.call(Method::Get, &path, &query, Object::new())?;
        for line in answer.get("lines").and_then(Value::as_array).unwrap_or_default() {
            println!("{}", line.as_str().unwrap_or_default());
        }
        Ok(())
    })
}
