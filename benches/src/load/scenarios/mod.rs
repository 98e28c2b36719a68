//! The scenarios: one per row of the table in `benches/README.md`.

mod auth;
mod catch_up;
mod fanout;
mod federate;
mod messages;
mod rooms;
mod send;
mod start;
mod sync;

use super::arguments::Arguments;
use super::error::{LoadError, Result};
use super::report::Report;

/// One way to load a server.
type Scenario = fn(&mut Arguments) -> Result<Report>;

const SCENARIOS: &[(&str, Scenario, &str)] = &[
    ("send", send::send, "[--clients 32] [--rooms 32] [--members 1]: messages as fast as each client can"),
    ("send-one", send::send_one, "[--pause-ms 2]: one client on an idle server"),
    ("fanout", fanout::fanout, "[--clients 50] [--rounds 50]: one message until the last of the long-polling has it"),
    ("initial-sync", sync::initial, "[--rooms 200] [--messages 10] [--rounds 20]: a new device"),
    ("empty-sync", sync::empty, "[--rooms 2000]: incremental, with nothing new"),
    ("messages", messages::messages, "[--clients 8] [--events 2000] [--page 100]: pages of history"),
    ("create-rooms", rooms::create, "[--clients 8]: rooms created"),
    ("joins", rooms::joins, "[--clients 8] [--users 1000]: users joining one room"),
    ("disk", send::disk, "[--members 1000] [--events 20000] [--clients 8]: bytes per message; wants --data-dir"),
    ("idle", start::idle, "memory and processor time without requests; wants --server-pid"),
    ("start", start::start, "[--rounds 10] [--events 0] -- COMMAND…: from start to the first answer"),
    (
        "auth",
        auth::auth,
        "[--users 50] [--orrery-hash | --hash-ms MS]: register and login, and without the password hash",
    ),
    ("federate-join", federate::join, "[--members 1000] [--rounds 5] SERVERS: joins of a room of another server"),
    (
        "federate-send-one",
        federate::send_one,
        "[--messages 300] [--pause-ms 10] SERVERS: from a send on one until /sync on the other",
    ),
    ("federate-send", federate::send, "[--rooms 16] [--messages 2000] SERVERS: messages to another server"),
    (
        "federate-catch-up",
        catch_up::catch_up,
        "[--rooms 100] [--events 100000] [--away-seconds 0] -- ORRERY: a server that was away",
    ),
];

/// # Errors
/// When the arguments do not fit or the scenario cannot be prepared. Errors while it is measured are in the report.
pub fn run(arguments: &mut Arguments) -> Result<Report> {
    let name = arguments.scenario.clone();
    match SCENARIOS.iter().find(|(known, ..)| *known == name) {
        Some((_, scenario, _)) => scenario(arguments),
        None => Err(LoadError::Usage(format!("there is no scenario {name:?}"))),
    }
}

/// How to call the program.
#[must_use]
pub fn help() -> String {
    let mut out = "usage: load SCENARIO [OPTIONS] [-- COMMAND…]\n\n\
        every scenario: [--base-url http://127.0.0.1:8008] [--server-pid PID] [--data-dir DIR] [--json]\n\
        timed ones:     [--seconds 10] [--warm-up 2]\n\
        SERVERS:        -- ORRERY (the binary, which is started twice), or --base-url URL --other-url URL\n\n"
        .to_owned();
    for (name, _, what) in SCENARIOS {
        out.push_str(&format!("  {name:<17} {what}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_scenarios_are_refused_and_all_are_in_the_help() {
        let mut arguments = Arguments::parse(["nothing".to_owned()]).unwrap();
        assert!(matches!(run(&mut arguments), Err(LoadError::Usage(_))));
        for (name, ..) in SCENARIOS {
            assert!(help().contains(name));
        }
    }
}
