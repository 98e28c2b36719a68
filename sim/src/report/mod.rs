//! The report of a world: one HTML file that shows what happened, what each server has of each room, and where they differ. It needs
//! nothing but itself.
//!
//! | file | what |
//! |---|---|
//! | `timeline` | lives, faults, operations, messages |
//! | `rooms` | the event graph of each room, with each server's verdicts |
//! | `states` | each server's state, and the explanation of each difference |
//! | `text` | bodies that are cut, IDs in evidence |
//! | `page/` | the page's own code, put together in [`page`] |

mod rooms;
mod states;
mod text;
mod timeline;

use std::collections::BTreeSet;

use orrery_core::canonical_json::{Object, Value};

use crate::plan::Plan;
use crate::recording::{Recording, Watch};
use crate::runner;
use crate::trace::hex;
use crate::world::{Extras, Outcome, server_name};

/// A world that has been run with a recording.
#[derive(Debug)]
pub struct Story {
    pub plan: Plan,
    pub outcome: Outcome,
    pub recording: Recording,
    /// The command that runs the world again.
    pub command: String,
    /// The commit of the simulator.
    pub commit: String,
}

impl Story {
    /// Runs a plan and records it; `twice`: and compares it with a second run.
    #[must_use]
    pub fn of(plan: Plan, command: String, commit: String, twice: bool) -> Story {
        let watch = Watch::recording();
        let mut first = Some(watch.clone());
        let mut extras = || Extras { watch: first.take().unwrap_or_default(), ..Extras::default() };
        let outcome = if twice { runner::run_twice(&plan, extras) } else { runner::run(&plan, extras()) };
        Story { plan, outcome, recording: watch.take(), command, commit }
    }
}

/// The page.
#[must_use]
pub fn page(story: &Story) -> String {
    let data = Value::from(data(story)).to_bytes();
    // Nothing in a string ends the element that it stands in.
    let data = String::from_utf8_lossy(&data).replace('<', "\\u003c");
    let title = format!("Orrery: {}", story.command.replace('&', "&amp;").replace('<', "&lt;"));
    let mut page = format!("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n");
    page += &format!("<style>\n{}</style>\n", include_str!("page/page.css"));
    page += include_str!("page/body.html");
    page += &format!("<script type=\"application/json\" id=\"data\">{data}</script>\n<script>\n'use strict';\n");
    for script in SCRIPTS {
        page += script;
    }
    page + "</script>\n</html>\n"
}

/// In the order in which they need each other.
const SCRIPTS: [&str; 8] = [
    include_str!("page/model.js"),
    include_str!("page/details.js"),
    include_str!("page/timeline.js"),
    include_str!("page/paint.js"),
    include_str!("page/graph.js"),
    include_str!("page/state.js"),
    include_str!("page/log.js"),
    include_str!("page/main.js"),
];

/// Everything that the page shows.
fn data(story: &Story) -> Object {
    let Story { plan, outcome, recording, .. } = story;
    let mut cut = Vec::new();
    let evidence = outcome.failure.as_ref().map(|failure| failure.evidence.as_str()).unwrap_or_default();
    // The first line says what is wrong, the others what led to it.
    let first = text::named(evidence.lines().next().unwrap_or_default());
    let named = if first.is_empty() { text::named(evidence) } else { first };
    // The most telling of what is named: everything that happens has a user, most has a room.
    let of = |sign: char| named.iter().filter(|id| id.starts_with(sign)).cloned().collect::<Vec<_>>();
    let telling = ['$', '!', '@'].into_iter().map(of).find(|ids| !ids.is_empty()).unwrap_or_default();
    let is_named = |text: &str| telling.iter().any(|id| text.contains(id.as_str()));
    let rooms = rooms::read(&recording.disks).unwrap_or_else(|error| {
        cut.push(format!("the rooms: {error}"));
        rooms::Rooms::new()
    });
    let honest: BTreeSet<u32> = plan.options.honest().collect();
    let states = states::states(&rooms, &recording.disks, &honest, &mut cut).unwrap_or_else(|error| {
        cut.push(format!("the states: {error}"));
        Vec::<Value>::new().into()
    });
    let messages = timeline::messages(recording, &rooms, is_named, &mut cut);
    let mut data = timeline::happenings(recording)
        .with("command", story.command.as_str())
        .with("commit", story.commit.as_str())
        .with("seed", plan.options.seed.to_string())
        .with("hash", hex(&outcome.hash))
        .with("end", recording.now.0)
        .with("horizon", plan.options.horizon.0)
        .with("counts", counts(outcome))
        .with("servers", servers(plan))
        .with("named", named.into_iter().collect::<Vec<_>>())
        .with("plan", plan.to_toml())
        .with("messages", messages)
        .with("rooms", rooms::graphs(&rooms))
        .with("states", states)
        .with("waiting", waiting(recording))
        .with("cut", cut);
    if let Some(healed) = recording.healed {
        data.insert("healed", healed.0);
    }
    if let Some(failure) = &outcome.failure {
        let failure = Object::new()
            .with("kind", failure.kind.to_string())
            .with("checker", failure.checker)
            .with("evidence", failure.evidence.as_str());
        data.insert("failure", failure);
    }
    data
}

fn servers(plan: &Plan) -> Vec<Object> {
    let told = |number| {
        let object = Object::new().with("name", server_name(number));
        match plan.options.byzantine.iter().find(|liar| liar.server == number) {
            Some(liar) => object.with("liar", format!("{:?}", liar.strategies)),
            None => object,
        }
    };
    (0..plan.options.servers).map(told).collect()
}

fn counts(outcome: &Outcome) -> Object {
    let counts = &outcome.counts;
    let work = &counts.work;
    let numbers = [
        ("inputs", counts.inputs),
        ("effects", counts.effects),
        ("crashes", counts.crashes),
        ("operations done", work.acknowledged),
        ("refused", work.refused),
        ("skipped", work.skipped),
        ("answers", work.answers),
        ("requests lost", work.lost),
        ("syncs", work.syncs),
        ("attacks", counts.lies.attacks),
        ("lies", counts.lies.lies),
    ];
    numbers.into_iter().fold(Object::new(), |object, (name, number)| object.with(name, number))
}

fn waiting(recording: &Recording) -> Vec<Object> {
    let told = |waiting: &crate::recording::Waiting| {
        let object = Object::new().with("what", waiting.what.as_str());
        match waiting.server {
            Some(server) => object.with("s", server),
            None => object,
        }
    };
    recording.waiting.iter().map(told).collect()
}
