//! Lies in answers. What others ask about events that only the liar has is answered here, too: its server does not have them.

use std::ops::ControlFlow;

use bytes::Bytes;
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::http::{Request, Response, percent_decode, query_pairs};
use orrery_core::room::tables::ROOM_BY_ID;
use orrery_core::room::{EventIndex, Room, StoredEvent};
use orrery_core::signing::{self, base64};
use orrery_core::store::{Order, StorageError};

use super::Strategy;
use super::liar::Liar;
use crate::draw::Draw;
use crate::storage::SimStorage;

/// How many events of a chain one answer gives.
const CHAIN_AT_ONCE: usize = 20;

/// A question, by the parts of its path.
struct Question {
    kind: String,
    /// What stands after the kind, decoded.
    parameters: Vec<String>,
}

impl Question {
    fn of(request: &Request) -> Option<Question> {
        if request.path.starts_with("/_matrix/key/") {
            return Some(Question { kind: "key".to_owned(), parameters: Vec::new() });
        }
        let mut segments = request.path.strip_prefix("/_matrix/federation/")?.split('/').skip(1);
        let kind = segments.next()?.to_owned();
        Some(Question { kind, parameters: segments.filter_map(|segment| percent_decode(segment, false)).collect() })
    }

    fn room(&self) -> &str {
        self.parameters.first().map_or("", String::as_str)
    }
}

/// Changes what the server answers, if the liar has something else to say.
pub(super) fn change(liar: &mut Liar, request: &Request, response: &mut Response, own: &SimStorage) {
    let Some(question) = Question::of(request) else { return };
    give_made(liar, &question, request, response);
    let lies: &[Strategy] = match question.kind.as_str() {
        "send_join" => &[Strategy::LyingJoin, Strategy::Garbage],
        "make_join" | "make_leave" | "make_knock" => &[Strategy::LyingTemplate, Strategy::Garbage],
        "state" | "state_ids" => &[Strategy::LyingState, Strategy::Withholding, Strategy::Garbage],
        "event" | "event_auth" => &[Strategy::LyingEvents, Strategy::Withholding, Strategy::Garbage],
        "get_missing_events" | "backfill" => &[Strategy::LyingHistory, Strategy::Withholding, Strategy::Garbage],
        "key" => &[Strategy::LyingKeys, Strategy::Garbage],
        _ => &[Strategy::Garbage],
    };
    let Some(lie) = liar.lies(lies) else { return };
    liar.tally.lies += 1;
    match lie {
        Strategy::Garbage => garbage(&mut liar.draw, response),
        Strategy::Withholding => withhold(&question, response),
        Strategy::LyingKeys => keys(liar, response),
        _ => {
            if lie == Strategy::LyingEvents && response.status != 200 {
                return other_event(liar, question.room(), response, own);
            }
            let Ok(Value::Object(mut body)) = unwrapped(&response.body) else { return };
            if response.status != 200 {
                return;
            }
            let wrapped = matches!(parse(&response.body), Ok(Value::Array(_)));
            match lie {
                Strategy::LyingTemplate => template(liar, &mut body),
                Strategy::LyingJoin => {
                    liar.lied_about(question.room());
                    join(liar, question.room(), &mut body, own);
                }
                Strategy::LyingState if question.kind == "state_ids" => {
                    liar.lied_about(question.room());
                    state_ids(liar, question.room(), &mut body, own);
                }
                Strategy::LyingState => {
                    liar.lied_about(question.room());
                    lists(liar, &["pdus", "auth_chain"], question.room(), &mut body, own);
                }
                Strategy::LyingEvents => lists(liar, &["pdus", "auth_chain"], question.room(), &mut body, own),
                _ => lists(liar, &["pdus", "events"], question.room(), &mut body, own),
            }
            let body = Value::Object(body);
            let body = if wrapped { Value::Array(vec![Value::from(200u32), body]) } else { body };
            response.body = body.to_bytes().into();
        }
    }
}

/// The object of an answer; first versions of endpoints have it in `[200, …]`.
fn unwrapped(body: &Bytes) -> Result<Value, ()> {
    match parse(body).map_err(|_| ())? {
        Value::Array(items) => items.into_iter().nth(1).ok_or(()),
        other => Ok(other),
    }
}

/// Gives those of its own events that it does not withhold.
fn give_made(liar: &Liar, question: &Question, request: &Request, response: &mut Response) {
    let events = match question.kind.as_str() {
        "event" => liar.made.get(question.room()).map(|event| ("pdus", vec![Value::Object(event.clone())])),
        "get_missing_events" => chain_before(liar, request).map(|events| ("events", events)),
        "state_ids" => return give_state(liar, question, request, response),
        _ => None,
    };
    if let Some((name, events)) = events {
        let body = Object::new().with("origin", &liar.identity.name).with("origin_server_ts", 0u32).with(name, events);
        *response = Response::json(200, &body.into());
    }
}

/// What the liar says of the state before an event that it made. Its victims have all of that state.
fn give_state(liar: &Liar, question: &Question, request: &Request, response: &mut Response) {
    let pairs = query_pairs(&request.query);
    let event_id = pairs.iter().find(|(name, _)| name == "event_id").map(|(_, value)| value.as_str());
    let Some(state) = event_id.and_then(|event_id| liar.made.state_before(event_id)) else { return };
    if !liar.tells_states() {
        return;
    }
    liar.lied_about(question.room());
    let state: Vec<Value> = state.iter().map(Value::from).collect();
    let body = Object::new().with("pdu_ids", state).with("auth_chain_ids", Vec::<Value>::new());
    *response = Response::json(200, &body.into());
}

/// The events before the latest of a chain that the liar made, some of them. `None` if the question is not about such a chain.
fn chain_before(liar: &Liar, request: &Request) -> Option<Vec<Value>> {
    let body = parse(&request.body).ok()?;
    let latest = body.get("latest_events")?.as_array()?;
    let mut pending: Vec<String> =
        latest.iter().filter_map(|id| id.as_str()).filter(|id| liar.made.has(id)).map(str::to_owned).collect();
    if pending.is_empty() {
        return None;
    }
    let (mut events, mut first) = (Vec::new(), pending.len());
    while let Some(id) = pending.pop() {
        let Some(event) = liar.made.get(&id) else { continue };
        // The latest are there already.
        if first > 0 {
            first -= 1;
        } else {
            events.push(Value::Object(event.clone()));
        }
        if events.len() >= CHAIN_AT_ONCE {
            break;
        }
        let previous = event.array("prev_events").unwrap_or_default();
        let id_of = |reference: &Value| match reference {
            Value::Array(pair) => pair.first().and_then(Value::as_str).map(str::to_owned),
            other => other.as_str().map(str::to_owned),
        };
        pending.extend(previous.iter().filter_map(id_of));
    }
    events.reverse();
    Some(events)
}

fn garbage(draw: &mut Draw, response: &mut Response) {
    let deep = "[".repeat(100_000);
    let spaces = " ".repeat(1_000_000);
    let texts = [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "[200]",
        "[200,[]]",
        "{\"errcode\":7}",
        "{\"errcode\":\"M_UNKNOWN_TOKEN\",\"error\":\"\"}",
        "{\"event\":null,\"pdus\":null,\"events\":{},\"state\":0,\"auth_chain\":\"\",\"room_version\":1}",
        "{\"pdus\":[null,1,\"\",[],{}],\"events\":[null,1,\"\",[],{}],\"auth_chain\":[null],\"pdu_ids\":[{}]}",
        &deep,
        &spaces,
    ];
    response.body = Bytes::copy_from_slice(draw.pick(&texts).as_bytes());
    response.status = *draw.pick(&[200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 502, 999]);
}

fn withhold(question: &Question, response: &mut Response) {
    let nothing = Vec::<Value>::new();
    *response = match question.kind.as_str() {
        "get_missing_events" => Response::json(200, &Object::new().with("events", nothing).into()),
        "backfill" => {
            let body = Object::new().with("origin", "").with("origin_server_ts", 0u32).with("pdus", nothing);
            Response::json(200, &body.into())
        }
        _ => {
            let body = Object::new().with("errcode", "M_NOT_FOUND").with("error", "I do not know what you mean");
            Response::json(404, &body.into())
        }
    };
}

/// Lists of keys that nobody may take. Another key under a known ID, well signed, is not among them: whoever takes that first
/// can never check the server's signatures, and no server can know better.
fn keys(liar: &mut Liar, response: &mut Response) {
    let Ok(Value::Object(mut body)) = parse(&response.body) else { return };
    let name = liar.identity.name.clone();
    match liar.draw.below(5) {
        0 => {
            body.insert("server_name", "s0.test");
        }
        1 => {
            body.insert("valid_until_ts", 1u32);
            resign_keys(liar, &mut body);
        }
        2 => {
            let nothing = base64::encode_unpadded(&[0; 64]);
            let of_server = Object::new().with(liar.identity.key.key_id(), nothing);
            body.insert("signatures", Object::new().with(&name, of_server));
        }
        3 => {
            let keys: Object = (0..5_000u32)
                .map(|at| (format!("ed25519:k{at}"), Object::new().with("key", base64::encode_unpadded(&[7; 32]))))
                .collect();
            body.insert("verify_keys", keys);
            resign_keys(liar, &mut body);
        }
        _ => {
            body.insert("verify_keys", Object::new());
            resign_keys(liar, &mut body);
        }
    }
    response.body = Value::Object(body).to_bytes().into();
}

fn resign_keys(liar: &Liar, body: &mut Object) {
    body.remove("signatures");
    signing::sign_json(body, &liar.identity.name, &liar.identity.key).expect("it has no signatures");
}

fn template(liar: &mut Liar, body: &mut Object) {
    let invented = format!("${}", base64::encode_url_safe_unpadded(&liar.draw.seed()));
    let which = liar.draw.below(10);
    if which == 0 {
        body.insert("room_version", *liar.draw.pick(&["1", "11", "12", "99"]));
        return;
    }
    let Some(event) = body.get_mut("event").and_then(Value::as_object_mut) else { return };
    match which {
        1 => event.insert("sender", "@u0:s0.test"),
        2 => event.insert("room_id", "!other:s0.test"),
        3 => event.insert("type", "m.room.power_levels"),
        4 => event.insert("content", Object::new().with("membership", "ban")),
        5 => event.insert("depth", Value::Number("9223372036854775807".into())),
        6 => event.insert("prev_events", vec![invented]),
        7 => event.insert("auth_events", (0..11).map(|_| invented.clone()).collect::<Vec<_>>()),
        8 => event.insert("state_key", "@u1:s1.test"),
        _ => event.insert(
            "content",
            Object::new().with("membership", "join").with("join_authorised_via_users_server", "@u1:s1.test"),
        ),
    };
}

fn join(liar: &mut Liar, room: &str, body: &mut Object, own: &SimStorage) {
    match liar.draw.below(8) {
        0 => {
            body.insert("members_omitted", true);
        }
        1 => {
            // Who may do what, and who is banned, is left out.
            let gone = *liar.draw.pick(&["m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.member"]);
            if let Some(Value::Array(state)) = body.get_mut("state") {
                state.retain(|event| event.get("type").and_then(Value::as_str) != Some(gone));
            }
        }
        2 => {
            body.insert("event", Value::Null);
        }
        _ => lists(liar, &["state", "auth_chain"], room, body, own),
    }
}

fn state_ids(liar: &mut Liar, room: &str, body: &mut Object, own: &SimStorage) {
    let draw = &mut liar.draw;
    let name = if draw.chance(700) { "pdu_ids" } else { "auth_chain_ids" };
    let foreign = foreign_event(own, room, draw).map(|event| event.header.event_id.to_string());
    let Some(Value::Array(ids)) = body.get_mut(name) else { return };
    match draw.below(5) {
        0 => ids.clear(),
        1 if !ids.is_empty() => {
            for _ in 0..draw.between(1, 4).min(ids.len() as u64) {
                let at = draw.index(ids.len());
                ids.remove(at);
            }
        }
        2 => ids.extend(foreign.map(Value::from)),
        3 => {
            ids.extend((0..5_000).map(|_| Value::from(format!("${}", base64::encode_url_safe_unpadded(&draw.seed())))))
        }
        _ => ids.extend([Value::Null, Value::from("no event"), Value::from("$")]),
    }
}

/// Something else in the place of an event that the liar's server does not have.
fn other_event(liar: &mut Liar, room: &str, response: &mut Response, own: &SimStorage) {
    let event = foreign_event(own, room, &mut liar.draw).and_then(|event| parse(&event.json).ok());
    let events = vec![event.unwrap_or_default()];
    let body = Object::new()
        .with("origin", &liar.identity.name)
        .with("origin_server_ts", 0u32)
        .with("pdus", events.clone())
        .with("auth_chain", events);
    *response = Response::json(200, &body.into());
}

/// Does something to one of the answer's lists of events.
fn lists(liar: &mut Liar, names: &[&str], room: &str, body: &mut Object, own: &SimStorage) {
    let foreign = foreign_event(own, room, &mut liar.draw);
    let names: Vec<&&str> = names.iter().filter(|name| body.array(name).is_some()).collect();
    if names.is_empty() {
        return;
    }
    let name = **liar.draw.pick(&names);
    let Some(Value::Array(events)) = body.get_mut(name) else { return };
    let draw = &mut liar.draw;
    if events.is_empty() || draw.chance(150) {
        events.extend(foreign.and_then(|event| parse(&event.json).ok()));
        return;
    }
    let at = draw.index(events.len());
    match draw.below(8) {
        0 => events.clear(),
        1 => {
            events.remove(at);
        }
        2 => {
            let again = events[at].clone();
            events.extend(std::iter::repeat_n(again, usize::try_from(draw.between(1, 200)).unwrap_or(1)));
        }
        3 => events.reverse(),
        4 => {
            if let Some(event) = events[at].as_object_mut() {
                event.insert("content", Object::new().with("forged", true));
            }
        }
        5 => {
            if let Some(event) = events[at].as_object_mut() {
                event.insert("signatures", Object::new());
            }
        }
        6 => {
            // In its sender's name, whoever that is, with the liar's key.
            if let Some(event) = events[at].as_object_mut() {
                event.insert("content", Object::new().with("membership", "ban"));
                signing::set_content_hash(event);
                let _ = signing::sign_json(event, &liar.identity.name, &liar.identity.key);
            }
        }
        _ => events.push(Value::from("no event")),
    }
}

/// An event of another room that the liar's server knows.
fn foreign_event(own: &SimStorage, room: &str, draw: &mut Draw) -> Option<StoredEvent> {
    let mut rooms = Vec::new();
    ROOM_BY_ID
        .scan::<StorageError>(own, (), Order::Ascending, |id, num| {
            if id.as_str() != room {
                rooms.push(num);
            }
            Ok(ControlFlow::Continue(()))
        })
        .ok()?;
    if rooms.is_empty() {
        return None;
    }
    let room = Room::get(own, *draw.pick(&rooms)).ok()??;
    let at = draw.below(u64::from(room.head.next_index.max(1)));
    StoredEvent::get(own, room.num, EventIndex(u32::try_from(at).ok()?)).ok()?
}
