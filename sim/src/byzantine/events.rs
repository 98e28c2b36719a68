//! Events that are wrong by themselves, each in a transaction.

use orrery_core::canonical_json::{Object, Value};
use orrery_core::event::Pdu;
use orrery_core::room_version::EventIdFormat;

use super::Strategy;
use super::forge::Identity;
use super::liar::{Blow, Forged, Scene, Stage, some_event};

/// `None` if the strategy is of another family.
pub(super) fn attack(scene: &mut Scene<'_>, strategy: Strategy) -> Option<Vec<Blow>> {
    let make: fn(&mut Scene<'_>, &Stage) -> Option<Vec<Forged>> = match strategy {
        Strategy::Unsigned => unsigned,
        Strategy::ForgedSignature => forged_signature,
        Strategy::ForeignSender => foreign_sender,
        Strategy::WrongHash => wrong_hash,
        Strategy::OtherRoom => return Some(other_room(scene).unwrap_or_default()),
        Strategy::HugeDepth => huge_depth,
        Strategy::ManyPrevEvents => |scene, stage| too_many(scene, stage, "prev_events", &[21, 100, 5_000]),
        Strategy::ManyAuthEvents => |scene, stage| too_many(scene, stage, "auth_events", &[11, 100, 5_000]),
        Strategy::DuplicateAuthEvents => duplicate_auth_events,
        Strategy::UnexpectedAuthEvents => unexpected_auth_events,
        Strategy::Cycle => cycle,
        Strategy::NoPrevEvents => no_prev_events,
        Strategy::SecondCreate => second_create,
        Strategy::BackDated => back_dated,
        Strategy::WrongTypes => wrong_types,
        Strategy::HugeNumbers => huge_numbers,
        Strategy::DeepJson => deep_json,
        Strategy::OversizedEvent => oversized,
        Strategy::PowerGrab => power_grab,
        Strategy::ForeignRedaction => foreign_redaction,
        _ => return None,
    };
    let blow = |scene: &mut Scene<'_>| {
        let stage = scene.stage()?;
        let mut forged = make(scene, &stage)?;
        // One bad event fails alone: a good one comes with it now and then.
        if scene.draw.chance(300)
            && let Some(good) = scene.message(&stage)
        {
            forged.push(Forged::judged(good.to_object()));
        }
        Some(scene.deliver(&stage, forged))
    };
    Some(blow(scene).into_iter().collect())
}

fn unsigned(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let mut event = scene.message(stage)?.to_object();
    event.insert("signatures", Object::new());
    if scene.draw.chance(500) {
        let other = scene.victim.clone();
        scene.by.add_signature(&mut event, &other, stage.branch.version.rules());
    }
    Some(vec![Forged::refused(event)])
}

fn forged_signature(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let mut event = scene.message(stage)?.to_object();
    let other = orrery_core::signing::SigningKey::from_seed(scene.by.key.version(), &scene.draw.seed()).ok()?;
    let forger = Identity { name: scene.by.name.clone(), key: other };
    forger.sign(&mut event, stage.branch.version.rules());
    Some(vec![Forged::refused(event)])
}

fn foreign_sender(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    if stage.members.is_empty() {
        return None;
    }
    let sender = scene.draw.pick(&stage.members).clone();
    let content = Object::new().with("msgtype", "m.text").with("body", "I never said this");
    let event = stage.branch.event(scene.by, scene.now, &sender, ("m.room.message", None), content)?;
    let mut event = event.to_object();
    if scene.draw.chance(500) {
        scene.by.add_signature(&mut event, &sender.server_name(), stage.branch.version.rules());
    }
    Some(vec![Forged::refused(event)])
}

/// It is taken, without its content.
fn wrong_hash(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let mut event = scene.message(stage)?.to_object();
    event.insert("content", Object::new().with("msgtype", "m.text").with("body", "nobody has hashed this"));
    Some(vec![Forged::judged(event)])
}

fn other_room(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let mut stage = match scene.stage_outside() {
        Some(stage) => stage,
        None => scene.stage()?,
    };
    if scene.draw.chance(300) {
        let id = format!("!nowhere{}:{}", scene.draw.u64(), scene.by.name);
        stage.branch.room_id = orrery_core::identifiers::RoomId::parse(&id).ok()?;
    }
    let forged = match stage.inside && stage.branch.room_id == stage.room.info.room_id {
        // An event of one room in the name of another.
        true => {
            let mut event = scene.message(&stage)?.to_object();
            event.insert("room_id", format!("!elsewhere:{}", scene.victim));
            scene.by.resign(&mut event, stage.branch.version.rules());
            event
        }
        false => scene.message(&stage)?.to_object(),
    };
    Some(vec![scene.deliver(&stage, vec![Forged::refused(forged)])])
}

fn huge_depth(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let depths = ["9007199254740991", "9007199254740992", "9223372036854775807", "9223372036854775808", "-1", "1.5"];
    let depth = *scene.draw.pick(&depths);
    changed(scene, stage, |event| {
        event.insert("depth", Value::Number(depth.into()));
    })
    .map(|event| vec![Forged::judged(event)])
}

fn too_many(scene: &mut Scene<'_>, stage: &Stage, member: &str, counts: &[u64]) -> Option<Vec<Forged>> {
    let count = *scene.draw.pick(counts);
    let invent = |_| stage.branch.reference(&stage.branch.invented_id(&scene.by.name, scene.draw.seed()));
    let mut ids: Vec<Value> = (0..count).map(invent).collect();
    // Real ones among them.
    ids.extend(stage.branch.state.values().take(3).map(|id| stage.branch.reference(id)));
    changed(scene, stage, |event| {
        event.insert(member, ids);
    })
    .map(|event| vec![Forged::refused(event)])
}

fn duplicate_auth_events(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    changed(scene, stage, |event| {
        let mut auth = event.array("auth_events").unwrap_or_default().to_vec();
        auth.extend(auth.last().cloned());
        event.insert("auth_events", auth);
    })
    .map(|event| vec![Forged::refused(event)])
}

fn unexpected_auth_events(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let needless: Vec<_> = stage
        .branch
        .state
        .iter()
        .filter(|((kind, _), _)| !matches!(kind.as_str(), "m.room.create" | "m.room.power_levels" | "m.room.member"))
        .map(|(_, event_id)| event_id.clone())
        .collect();
    if needless.is_empty() {
        return None;
    }
    let needless = stage.branch.reference(&needless[scene.draw.index(needless.len())]);
    changed(scene, stage, |event| {
        let mut auth = event.array("auth_events").unwrap_or_default().to_vec();
        auth.push(needless);
        event.insert("auth_events", auth);
    })
    .map(|event| vec![Forged::refused(event)])
}

/// Only where events state their IDs somebody can cite what is not made yet.
fn cycle(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let rules = stage.branch.version.rules();
    let ids = [0, 1].map(|_| stage.branch.invented_id(&scene.by.name, scene.draw.seed()));
    let own = scene.draw.chance(400);
    let member = if scene.draw.chance(500) { "prev_events" } else { "auth_events" };
    let mut forged = Vec::new();
    for at in 0..2 {
        let mut event = scene.message(stage)?.to_object();
        let cited = if own { at } else { 1 - at };
        let mut references = event.array(member).unwrap_or_default().to_vec();
        references.push(stage.branch.reference(&ids[cited]));
        event.insert(member, references);
        if rules.event_ids == EventIdFormat::Stated {
            event.insert("event_id", ids[at].as_str());
            scene.by.sign(&mut event, rules);
        } else {
            scene.by.resign(&mut event, rules);
        }
        // Where the previous events cannot be had, somebody may be told what the state was.
        forged.push(Forged { event, is_refused: member == "auth_events" });
    }
    Some(forged)
}

fn no_prev_events(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    changed(scene, stage, |event| {
        event.insert("prev_events", Vec::<Value>::new());
    })
    .map(|event| vec![Forged::refused(event)])
}

fn second_create(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let rules = stage.branch.version.rules();
    let linked = scene.draw.chance(500);
    let mut event = scene.message(stage)?.to_object();
    event.insert("type", "m.room.create");
    event.insert("state_key", "");
    let content = Object::new().with("creator", &stage.speaker).with("room_version", stage.branch.version.as_str());
    event.insert("content", content);
    event.insert("auth_events", Vec::<Value>::new());
    if !linked {
        event.insert("prev_events", Vec::<Value>::new());
    }
    scene.by.resign(&mut event, rules);
    Some(vec![Forged::refused(event)])
}

fn back_dated(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let times = ["0", "1", "-1", "-9007199254740991", "9007199254740991", "4102444800000", "1000000000000"];
    let time = match scene.draw.chance(300) {
        // As long ago as keys may have been others.
        true => scene.now.0.saturating_sub(scene.draw.below(10_000_000_000)).to_string(),
        false => (*scene.draw.pick(&times)).to_owned(),
    };
    changed(scene, stage, |event| {
        event.insert("origin_server_ts", Value::Number(time.into()));
    })
    .map(|event| vec![Forged::judged(event)])
}

fn wrong_types(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    const MEMBERS: [&str; 11] = [
        "auth_events",
        "content",
        "depth",
        "hashes",
        "origin_server_ts",
        "prev_events",
        "room_id",
        "sender",
        "signatures",
        "type",
        "state_key",
    ];
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::from(7u32),
        Value::from("text"),
        Value::Array(vec![Value::Null]),
        Value::Array(vec![Value::Array(vec![Value::from("$a"), Value::Null])]),
        Object::new().with("sha256", Value::Null).into(),
        Value::from("x".repeat(256)),
        Value::from("ä\u{0}\u{7f}\u{feff}"),
    ];
    let mut forged = Vec::new();
    for _ in 0..scene.draw.between(1, 12) {
        let (member, value) = (*scene.draw.pick(&MEMBERS), scene.draw.pick(&values).clone());
        let (signed, removed) = (scene.draw.chance(500), scene.draw.chance(200));
        let mut event = scene.message(stage)?.to_object();
        let _ = if removed { event.remove(member) } else { event.insert(member, value) };
        if signed && !matches!(member, "hashes" | "signatures") {
            scene.by.resign(&mut event, stage.branch.version.rules());
        }
        forged.push(Forged::judged(event));
    }
    Some(forged)
}

fn huge_numbers(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let numbers =
        ["1.5", "1e400", "-0", "9007199254740992", "-9007199254740993", "123456789012345678901234567890", "1E-7"];
    let number = *scene.draw.pick(&numbers);
    changed(scene, stage, |event| {
        let content = Object::new().with("msgtype", "m.text").with("body", "numbers");
        event.insert("content", content.with("org.orrery.number", Value::Number(number.into())));
    })
    .map(|event| vec![Forged::judged(event)])
}

fn deep_json(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let depth = *scene.draw.pick(&[90u32, 110, 125, 200, 2_000]);
    let deep = (0..depth).fold(Value::Null, |inner, at| match at % 2 {
        0 => Value::Array(vec![inner]),
        _ => Object::new().with("a", inner).into(),
    });
    changed(scene, stage, |event| {
        event.insert("content", Object::new().with("body", "deep").with("org.orrery.deep", deep));
    })
    .map(|event| vec![Forged::judged(event)])
}

fn oversized(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let size = usize::try_from(*scene.draw.pick(&[65_536u32, 70_000, 300_000])).ok()?;
    let count = scene.draw.between(1, 5);
    let event = changed(scene, stage, |event| {
        event.insert("content", Object::new().with("msgtype", "m.text").with("body", "x".repeat(size)));
    })?;
    Some((0..count).map(|_| Forged::refused(event.clone())).collect())
}

/// By the state that it cites, the speaker may not.
fn power_grab(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let levels = stage.room.power_levels(scene.read).ok()?;
    let power = levels.user(&stage.speaker);
    let needed = [levels.event("m.room.power_levels", true), levels.ban(), levels.kick()];
    if stage.inside && needed.iter().any(|needed| power >= *needed) {
        return None;
    }
    let target = stage.members.first()?.to_string();
    let (kind, state_key, content) = match scene.draw.below(3) {
        0 => {
            let users = Object::new().with(&stage.speaker, 100i64);
            ("m.room.power_levels", String::new(), Object::new().with("users", users))
        }
        1 => ("m.room.member", target, Object::new().with("membership", "ban")),
        _ => ("m.room.member", target, Object::new().with("membership", "leave")),
    };
    let at = (kind, Some(state_key.as_str()));
    let event = stage.branch.event(scene.by, scene.now, &stage.speaker, at, content)?;
    Some(vec![Forged::refused(event.to_object())])
}

/// The event may be taken, its effect may not: what honest people said stays, and the checker of redactions sees to it.
fn foreign_redaction(scene: &mut Scene<'_>, stage: &Stage) -> Option<Vec<Forged>> {
    let levels = stage.room.power_levels(scene.read).ok()?;
    if stage.inside && levels.user(&stage.speaker) >= levels.redact() {
        return None;
    }
    let target = (0..32).find_map(|_| {
        let event = some_event(scene.read, &stage.room, &mut scene.draw)?;
        let foreign = event.header.sender.server_str() != scene.by.name.as_str();
        (foreign && event.header.kind == "m.room.message").then_some(event.header.event_id)
    })?;
    let rules = stage.branch.version.rules();
    let mut event = scene.message(stage)?.to_object();
    event.insert("type", "m.room.redaction");
    let content = Object::new().with("reason", "because I say so");
    if rules.redacts_in_content {
        event.insert("content", content.with("redacts", &target));
    } else {
        event.insert("content", content);
        event.insert("redacts", &target);
    }
    scene.by.resign(&mut event, rules);
    Some(vec![Forged::judged(event)])
}

/// A message with some change, rightly hashed and signed after it.
fn changed(scene: &mut Scene<'_>, stage: &Stage, change: impl FnOnce(&mut Object)) -> Option<Object> {
    let event: Pdu = scene.message(stage)?;
    let mut event = event.to_object();
    change(&mut event);
    scene.by.resign(&mut event, stage.branch.version.rules());
    Some(event)
}
