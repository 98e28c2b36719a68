//! What happened when: lives of servers, faults, operations of people, and every message with the events that it carried.

use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::event::ReceivedPdu;
use orrery_core::http::Request;

use super::rooms::Rooms;
use super::text::{cut, decoded};
use crate::clock::Span;
use crate::network::Caller;
use crate::plan::Fault;
use crate::recording::{Message, Op, Recording, Struck};
use crate::tasks::Lost;

/// To how many characters bodies between servers are cut.
const BODY: usize = 1_200;
/// And those between people and servers.
const CLIENT_BODY: usize = 400;
/// How many characters of bodies a page holds; beyond that there are none.
const ALL_BODIES: usize = 8_000_000;
/// How many messages a page holds.
const MOST_MESSAGES: usize = 20_000;
/// How many events are named of one message.
const MOST_CARRIED: usize = 60;

/// What is left out first, if there are too many messages.
const LEAST_TELLING: [&str; 4] = ["sync", "client", "questions", "keys"];

/// Lives, faults, marks and operations.
#[must_use]
pub fn happenings(recording: &Recording) -> Object {
    let mut lives = Vec::new();
    for life in &recording.lives {
        let mut object =
            Object::new().with("s", life.place.server).with("life", life.place.life).with("from", life.from.0);
        if let Some(to) = life.to {
            object.insert("to", to.0);
        }
        lives.push(object);
    }
    let notes: Vec<Object> = recording
        .notes
        .iter()
        .map(|note| Object::new().with("s", note.place.server).with("at", note.at.0).with("text", note.what.as_str()))
        .collect();
    let faults: Vec<Object> = recording.faults.iter().map(|struck| fault(struck, recording)).collect();
    let ops: Vec<Object> = recording.ops.iter().map(operation).collect();
    Object::new().with("lives", lives).with("notes", notes).with("faults", faults).with("ops", ops)
}

fn fault(struck: &Struck, recording: &Recording) -> Object {
    let planned = &struck.planned;
    let text = format!("{:?}", planned.fault);
    let kind = text.split([' ', '(']).next().unwrap_or_default().to_owned();
    let mut object =
        Object::new().with("s", planned.server).with("at", struck.at.0).with("kind", kind).with("text", text);
    // How long a server is down is the length between two of its lives.
    let lasts = planned.fault.lasts();
    if lasts > Span(0) && !matches!(planned.fault, Fault::Crash { .. } | Fault::OlderStore { .. }) {
        let until = struck.at + lasts;
        let until = recording.healed.map_or(until, |healed| healed.min(until));
        object.insert("to", until.0);
    }
    if let Fault::Partition { from, one_way, .. } | Fault::Flapping { from, one_way, .. } = planned.fault {
        object.insert("from", from);
        object.insert("oneWay", one_way);
    }
    if let Fault::Split { islands, stride, one_way, .. } = planned.fault {
        object.insert("islands", islands);
        object.insert("stride", stride);
        object.insert("oneWay", one_way);
    }
    object
}

fn operation(op: &Op) -> Object {
    let planned = &op.planned;
    let mut object = Object::new()
        .with("n", planned.number)
        .with("s", op.server)
        .with("user", op.user)
        .with("task", format!("device {} lane {}", planned.device, planned.lane))
        .with("kind", format!("{:?}", planned.kind))
        .with("picks", format!("{:?}", planned.picks))
        .with("planned", planned.at.0)
        .with("from", op.from.0);
    if let Some((to, done)) = op.end {
        object.insert("to", to.0);
        object.insert("done", format!("{done:?}"));
    }
    object
}

/// Every message. `is_named` says whether a text has something that the evidence names. Adds to `left_out` what was.
#[must_use]
pub fn messages(
    recording: &Recording,
    rooms: &Rooms,
    is_named: impl Fn(&str) -> bool,
    left_out: &mut Vec<String>,
) -> Value {
    let mut messages: Vec<(&Message, &str)> =
        recording.messages.values().map(|message| (message, kind(message))).collect();
    for least in LEAST_TELLING {
        let before = messages.len();
        if before > MOST_MESSAGES {
            messages.retain(|(_, kind)| *kind != least);
            left_out.push(format!("all {} messages of the kind “{least}”", before - messages.len()));
        }
    }
    if messages.len() > MOST_MESSAGES {
        left_out.push(format!("all messages after the first {MOST_MESSAGES}"));
        messages.truncate(MOST_MESSAGES);
    }
    let (mut budget, mut bodiless) = (ALL_BODIES, 0);
    let mut out = Vec::with_capacity(messages.len());
    for (message, kind) in messages {
        let is_client = matches!(message.caller, Caller::Client(_));
        let mut width = if is_client { CLIENT_BODY } else { BODY };
        if budget == 0 {
            width = 0;
            bodiless += 1;
        }
        let mut object = told(message, kind, width);
        let texts =
            [Some(message.request.body.as_ref()), message.answer.as_ref().map(|(_, answer)| answer.body.as_ref())];
        let length: usize = texts.iter().flatten().map(|text| text.len().min(width)).sum();
        budget = budget.saturating_sub(length);
        let mut hot = is_named(&decoded(&message.request.path));
        hot |= texts.iter().flatten().any(|text| is_named(&String::from_utf8_lossy(text)));
        if !is_client {
            let carried = [
                carried(&message.request.body, rooms),
                message.answer.as_ref().map(|(_, answer)| carried(&answer.body, rooms)).unwrap_or_default(),
            ];
            for (name, ids) in ["carries", "brings"].into_iter().zip(carried) {
                hot |= ids.iter().any(|id| is_named(id));
                if ids.len() > MOST_CARRIED {
                    object.insert(format!("{name}More"), (ids.len() - MOST_CARRIED) as u64);
                }
                if !ids.is_empty() {
                    object.insert(name, ids.into_iter().take(MOST_CARRIED).collect::<Vec<_>>());
                }
            }
        }
        if hot {
            object.insert("hot", true);
        }
        out.push(object);
    }
    if bodiless > 0 {
        left_out.push(format!("the bodies of {bodiless} messages"));
    }
    out.into()
}

fn told(message: &Message, kind: &str, width: usize) -> Object {
    let request = &message.request;
    let mut path = decoded(&request.path);
    if !request.query.is_empty() {
        path += &format!("?{}", decoded(&request.query));
    }
    let mut object = Object::new()
        .with("kind", kind)
        .with("to", message.to)
        .with("sent", message.sent.0)
        .with("method", format!("{:?}", request.method).to_uppercase())
        .with("path", path)
        .with("size", request.body.len() as u64);
    if !request.body.is_empty() {
        object.insert("body", cut(&request.body, width));
    }
    match message.caller {
        Caller::Client(_) => object.insert("task", message.task.as_str()),
        Caller::Server { number, .. } => object.insert("from", number),
        Caller::Liar { server, .. } => object.insert("from", server),
        Caller::Nobody => None,
    };
    if let Some(arrived) = message.arrived {
        object.insert("arrived", arrived.0);
    }
    if let Some(refused) = message.refused {
        object.insert("refused", refused.0);
    }
    if let Some((left, answer)) = &message.answer {
        object.insert("answered", left.0);
        object.insert("status", u32::from(answer.status));
        object.insert("answer", cut(&answer.body, width));
        object.insert("answerSize", answer.body.len() as u64);
    }
    if let Some((end, how)) = message.end {
        object.insert("end", end.0);
        let lost = match how {
            Ok(()) => None,
            Err(Lost::Connection) => Some("the connection broke"),
            Err(Lost::Patience) => Some("who asked waited no longer"),
        };
        if let Some(lost) = lost {
            object.insert("lost", lost);
        }
    }
    object
}

/// What a message is about, by its path.
fn kind(message: &Message) -> &'static str {
    let Request { path, body, .. } = &message.request;
    let says = |words: &[&str]| words.iter().any(|word| path.contains(word));
    match message.caller {
        Caller::Liar { .. } => "attack",
        Caller::Nobody => "repeat",
        Caller::Client(_) if path.ends_with("/sync") => "sync",
        Caller::Client(_) => "client",
        Caller::Server { .. } if says(&["/federation/v1/send/"]) => match parse(body) {
            Ok(Value::Object(transaction)) if transaction.array("pdus").is_some_and(|pdus| !pdus.is_empty()) => {
                "events"
            }
            _ => "edus",
        },
        Caller::Server { .. } if says(&["/make_", "/send_", "/invite/", "/exchange_third_party_invite/"]) => {
            "handshake"
        }
        Caller::Server { .. } if says(&["/_matrix/key/"]) => "keys",
        Caller::Server { .. } if says(&["/state", "/event", "/backfill/", "/get_missing_events/"]) => "history",
        Caller::Server { .. } => "questions",
    }
}

/// The IDs of the events in a body: whole ones, wherever events stand in bodies of the Server-Server API, and IDs alone.
fn carried(body: &[u8], rooms: &Rooms) -> Vec<String> {
    let Ok(Value::Object(body)) = parse(body) else { return Vec::new() };
    let mut ids = Vec::new();
    for name in ["pdus", "events", "event"] {
        match body.get(name) {
            Some(Value::Array(events)) => ids.extend(events.iter().filter_map(|event| event_id(event, rooms))),
            Some(event) => ids.extend(event_id(event, rooms)),
            None => {}
        }
    }
    let lists = ["pdu_ids", "earliest_events", "latest_events"];
    let listed = lists.iter().filter_map(|name| body.array(name)).flatten();
    ids.extend(listed.filter_map(Value::as_str).map(str::to_owned));
    ids
}

/// The ID of a whole event, if a server knows the room.
fn event_id(event: &Value, rooms: &Rooms) -> Option<String> {
    let event = event.as_object()?;
    let room = rooms.get(event.str("room_id")?)?;
    let received = ReceivedPdu::parse_history(event.clone(), room.version).ok()?;
    Some(received.pdu.event_id.to_string())
}
