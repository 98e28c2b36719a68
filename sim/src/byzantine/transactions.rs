//! Requests that are wrong around their events.

use orrery_core::canonical_json::{Object, Value};
use orrery_core::http::{Method, Request};
use orrery_core::identifiers::ServerName;

use super::Strategy;
use super::forge::Identity;
use super::liar::{Blow, Forged, Scene, origin_of};
use crate::checkers::refusals::Expect;
use crate::world::{server_name, server_number};

/// `None` if the strategy is of another family.
pub(super) fn attack(scene: &mut Scene<'_>, strategy: Strategy) -> Option<Vec<Blow>> {
    let blows = match strategy {
        Strategy::TooManyPdus => too_many_pdus(scene),
        Strategy::TooManyEdus => Some(too_many_edus(scene)),
        Strategy::WrongOrigin => Some(wrong_origin(scene)),
        Strategy::Impersonation => impersonation(scene),
        Strategy::StolenRequest => stolen_request(scene),
        Strategy::Replay => Some(replay(scene)),
        Strategy::Flood => Some(flood(scene)),
        Strategy::MalformedBody => Some(malformed_body(scene)),
        Strategy::MalformedEdus => Some(malformed_edus(scene)),
        Strategy::ForeignEdus => foreign_edus(scene),
        Strategy::InventedServers => invented_servers(scene),
        _ => return None,
    };
    Some(blows.unwrap_or_default())
}

const TOO_MANY: Expect = Expect::Refused(&["M_BAD_JSON", "M_TOO_LARGE"]);

fn too_many_pdus(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let stage = scene.stage()?;
    let event = scene.message(&stage)?.to_object();
    let count = *scene.draw.pick(&[51u32, 500, 4_000]);
    let pdus = (0..count).map(|_| Value::Object(event.clone())).collect();
    Some(vec![transaction(scene, (pdus, Vec::new()), TOO_MANY)])
}

fn too_many_edus(scene: &mut Scene<'_>) -> Vec<Blow> {
    let count = *scene.draw.pick(&[101u32, 1_000, 20_000]);
    let edu = Object::new().with("edu_type", "m.typing").with("content", Object::new());
    let edus = (0..count).map(|_| Value::Object(edu.clone())).collect();
    vec![transaction(scene, (Vec::new(), edus), TOO_MANY)]
}

fn transaction(scene: &mut Scene<'_>, contents: (Vec<Value>, Vec<Value>), expect: Expect) -> Blow {
    let id = scene.transaction_id();
    let request = scene.by.transaction(&scene.victim, &id, contents, scene.now);
    Blow { to: scene.victim.clone(), request, expect }
}

/// A body for `PUT /send`, signed.
fn put(scene: &mut Scene<'_>, body: Value, expect: Expect) -> Blow {
    let target = format!("/_matrix/federation/v1/send/{}", scene.transaction_id());
    let request = scene.by.request(&scene.victim, Method::Put, &target, Some(body));
    Blow { to: scene.victim.clone(), request, expect }
}

fn wrong_origin(scene: &mut Scene<'_>) -> Vec<Blow> {
    let body = Object::new()
        .with("origin", &scene.victim)
        .with("origin_server_ts", scene.now)
        .with("pdus", Vec::<Value>::new())
        .with("edus", Vec::<Value>::new());
    vec![put(scene, body.into(), Expect::Refused(&["M_FORBIDDEN"]))]
}

/// In the name of another honest server, or of the victim itself.
fn impersonation(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let mut names = scene.others.clone();
    names.push(scene.victim.clone());
    let name = scene.draw.pick(&names).clone();
    let other = Identity { name, key: scene.by.key.clone() };
    let stage = scene.stage()?;
    let event = scene.message(&stage)?.to_object();
    let id = scene.transaction_id();
    let request = other.transaction(&scene.victim, &id, (vec![event.into()], Vec::new()), scene.now);
    Some(vec![Blow { to: scene.victim.clone(), request, expect: Expect::Refused(&["M_UNAUTHORIZED"]) }])
}

/// What an honest server signed for the liar is good for nobody else.
fn stolen_request(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let others: Vec<&Request> =
        scene.stolen.iter().filter(|request| origin_of(request).as_ref() != Some(&scene.victim)).collect();
    if others.is_empty() {
        return None;
    }
    let request = (*scene.draw.pick(&others)).clone();
    Some(vec![Blow { to: scene.victim.clone(), request, expect: Expect::Refused(&["M_UNAUTHORIZED"]) }])
}

/// A server that gets a transaction again gives the same answer, and does nothing again.
fn replay(scene: &mut Scene<'_>) -> Vec<Blow> {
    let number = server_number(&scene.victim);
    let mut blows = Vec::new();
    for (to, request) in scene.sent {
        // To whom it was sent it is good; to others it is not.
        let (to_victim, name) = (Some(*to) == number, ServerName::parse(&server_name(*to)));
        let expect = if to_victim { Expect::NoFault } else { Expect::Refused(&["M_UNAUTHORIZED"]) };
        blows.push(Blow { to: scene.victim.clone(), request: request.clone(), expect });
        // The same events as a new transaction, or as one that was before, with another content.
        if let (true, Ok(to), Ok(content)) = (to_victim, name, orrery_core::canonical_json::parse(&request.body)) {
            let fresh = scene.draw.chance(500);
            let target = match fresh {
                true => format!("/_matrix/federation/v1/send/again{}", scene.draw.u64()),
                false => request.path.clone(),
            };
            let request = scene.by.request(&to, Method::Put, &target, Some(content));
            blows.push(Blow { to, request, expect: Expect::NoFault });
        }
    }
    blows
}

fn flood(scene: &mut Scene<'_>) -> Vec<Blow> {
    let mut blows = Vec::new();
    let stage = scene.stage();
    for _ in 0..scene.draw.between(10, 60) {
        let forged: Vec<Forged> = stage
            .iter()
            .flat_map(|stage| (0..5).filter_map(|_| Some(scene.message(stage)?.to_object())).collect::<Vec<_>>())
            .map(Forged::judged)
            .collect();
        match &stage {
            Some(stage) if scene.draw.chance(300) => blows.push(scene.deliver(stage, forged)),
            _ => blows.push(transaction(scene, (Vec::new(), Vec::new()), Expect::NoFault)),
        }
    }
    blows
}

fn malformed_body(scene: &mut Scene<'_>) -> Vec<Blow> {
    let empty = Value::Object(Object::new());
    let bodies = [
        Value::Null,
        Value::Array(vec![empty.clone()]),
        Value::from("pdus"),
        Object::new().with("pdus", "none").into(),
        Object::new().with("pdus", Object::new()).into(),
        Object::new().with("pdus", Vec::<Value>::new()).with("edus", 7u32).into(),
    ];
    let body = scene.draw.pick(&bodies).clone();
    let mut blow = put(scene, body, Expect::Refused(&["M_BAD_JSON", "M_NOT_JSON", "M_MISSING_PARAM"]));
    let texts: [&[u8]; 6] = [b"{", b"", b"\xff\xfe", b"{\"pdus\":[]}}", b"{\"pdus\":[,]}", b"[[[[[[[[[["];
    if scene.draw.chance(500) {
        // The signature does not fit either, as nothing can be signed that is not JSON.
        blow.request.body = bytes::Bytes::from_static(texts[scene.draw.index(texts.len())]);
        blow.expect = Expect::Refused(&["M_BAD_JSON", "M_NOT_JSON", "M_UNAUTHORIZED"]);
    }
    vec![blow]
}

const EDU_TYPES: [&str; 7] = [
    "m.typing",
    "m.receipt",
    "m.presence",
    "m.direct_to_device",
    "m.device_list_update",
    "m.signing_key_update",
    "org.orrery.none",
];

fn malformed_edus(scene: &mut Scene<'_>) -> Vec<Blow> {
    let own = Value::from(format!("@mallory:{}", scene.by.name));
    let values = [
        Value::Null,
        Value::from(-1i64),
        own,
        Value::from("x".repeat(5_000)),
        Value::Number("1e999".into()),
        Value::Array(vec![Value::Null; 50]),
        Object::new().with("", Object::new()).into(),
        Object::new().with("!a:b", Object::new().with("m.read", Value::Null)).into(),
    ];
    let names = ["user_id", "room_id", "typing", "push", "sender", "type", "message_id", "messages", "device_id"];
    let more = ["stream_id", "prev_id", "keys", "deleted", "master_key", "!a:b"];
    let mut edus = Vec::new();
    for _ in 0..scene.draw.between(1, 60) {
        let mut content = Object::new();
        for name in names.iter().chain(&more) {
            if scene.draw.chance(400) {
                content.insert(*name, scene.draw.pick(&values).clone());
            }
        }
        let content = if scene.draw.chance(100) { Value::Null } else { content.into() };
        let edu = Object::new().with("edu_type", *scene.draw.pick(&EDU_TYPES)).with("content", content);
        edus.push(if scene.draw.chance(100) { Value::from(3u32) } else { edu.into() });
    }
    vec![transaction(scene, (Vec::new(), edus), Expect::NoFault)]
}

/// Users of honest servers type, read, and change their keys.
fn foreign_edus(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let stage = scene.stage()?;
    if stage.members.is_empty() {
        return None;
    }
    let user = scene.draw.pick(&stage.members).to_string();
    let room_id = stage.room.info.room_id.to_string();
    let event_id = stage.branch.tip.first()?.to_string();
    let read = Object::new()
        .with("data", Object::new().with("ts", 9_007_199_254_740_991u64))
        .with("event_ids", vec![event_id]);
    let by_user = Object::new().with(&user, read);
    let contents = [
        (
            "m.typing",
            Object::new().with("room_id", room_id.as_str()).with("user_id", user.as_str()).with("typing", true),
        ),
        ("m.receipt", Object::new().with(&room_id, Object::new().with("m.read", by_user))),
        (
            "m.presence",
            Object::new().with(
                "push",
                vec![
                    Object::new()
                        .with("user_id", user.as_str())
                        .with("presence", "offline")
                        .with("last_active_ago", 5u32),
                ],
            ),
        ),
        (
            "m.device_list_update",
            Object::new()
                .with("user_id", user.as_str())
                .with("device_id", "LIAR")
                .with("stream_id", 1u32)
                .with("prev_id", Vec::<Value>::new())
                .with("keys", Object::new()),
        ),
        ("m.signing_key_update", Object::new().with("user_id", user.as_str()).with("master_key", Object::new())),
        (
            "m.direct_to_device",
            Object::new()
                .with("sender", user.as_str())
                .with("type", "m.dummy")
                .with("message_id", "lie")
                .with("messages", Object::new().with(&user, Object::new().with("*", Object::new()))),
        ),
    ];
    let edus = contents
        .into_iter()
        .map(|(kind, content)| Value::Object(Object::new().with("edu_type", kind).with("content", content)));
    let edus = edus.collect();
    Some(vec![transaction(scene, (Vec::new(), edus), Expect::NoFault)])
}

fn invented_servers(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let stage = scene.stage()?;
    let rules = stage.branch.version.rules();
    let mut forged = Vec::new();
    for at in 0..scene.draw.between(1, 50) {
        let name = ServerName::parse(&format!("nobody{at}-{}.test", scene.draw.below(1_000))).ok()?;
        let mut event = scene.message(&stage)?.to_object();
        let nobody = Identity { name: name.clone(), key: scene.by.key.clone() };
        event.insert("sender", format!("@nobody:{name}"));
        nobody.resign(&mut event, rules);
        forged.push(Forged::refused(event));
    }
    Some(vec![scene.deliver(&stage, forged)])
}
