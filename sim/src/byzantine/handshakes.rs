//! Invites, memberships and questions that the specification has refused.

use orrery_core::canonical_json::{Object, Value};
use orrery_core::http::{Method, percent_encode};

use super::Strategy;
use super::liar::{Blow, Scene, Stage};
use crate::checkers::refusals::Expect;

/// `None` if the strategy is of another family.
pub(super) fn attack(scene: &mut Scene<'_>, strategy: Strategy) -> Option<Vec<Blow>> {
    let blows = match strategy {
        Strategy::ForgedInvite => forged_invite(scene),
        Strategy::ForgedMembership => forged_membership(scene),
        Strategy::Probing => probing(scene),
        Strategy::GreedyQuestions => greedy_questions(scene),
        _ => return None,
    };
    Some(blows.unwrap_or_default())
}

const BAD_EVENT: Expect =
    Expect::Refused(&["M_INVALID_PARAM", "M_BAD_JSON", "M_FORBIDDEN", "M_MISSING_PARAM", "M_NOT_FOUND", "M_TOO_LARGE"]);
const NOT_THERE: Expect = Expect::Refused(&["M_FORBIDDEN", "M_NOT_FOUND", "M_INVALID_PARAM"]);

fn put(scene: &Scene<'_>, target: &str, body: Value, expect: Expect) -> Blow {
    let request = scene.by.request(&scene.victim, Method::Put, target, Some(body));
    Blow { to: scene.victim.clone(), request, expect }
}

fn get(scene: &Scene<'_>, target: &str, expect: Expect) -> Blow {
    let request = scene.by.request(&scene.victim, Method::Get, target, None);
    Blow { to: scene.victim.clone(), request, expect }
}

fn member(scene: &Scene<'_>, stage: &Stage, target: &str, membership: &str) -> Option<(String, Object)> {
    let content = Object::new().with("membership", membership);
    let at = ("m.room.member", Some(target));
    let event = stage.branch.event(scene.by, scene.now, &stage.speaker, at, content)?;
    Some((event.event_id.to_string(), event.to_object()))
}

/// Invites of a user of the victim.
fn forged_invite(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let stage = scene.stage()?;
    let rules = stage.branch.version.rules();
    let invitee = format!("@u0:{}", scene.victim);
    let (mut event_id, mut event) = member(scene, &stage, &invitee, "invite")?;
    let mut path_room = stage.room.info.room_id.to_string();
    match scene.draw.below(7) {
        0 => {
            event.insert("signatures", Object::new());
        }
        1 => path_room = format!("!other:{}", scene.victim),
        2 => event_id = stage.branch.invented_id(&scene.by.name, scene.draw.seed()),
        3 => {
            // Somebody else's name under it.
            event.insert("sender", stage.members.first()?);
            scene.by.sign(&mut event, rules);
        }
        4 => {
            event.insert("content", Object::new().with("membership", "ban"));
            scene.by.sign(&mut event, rules);
        }
        5 => {
            event.insert("state_key", format!("@u0:{}", scene.by.name));
            scene.by.sign(&mut event, rules);
        }
        _ => {
            event.insert("hashes", Object::new().with("sha256", "AAAA"));
        }
    }
    let body = Object::new()
        .with("room_version", stage.branch.version.as_str())
        .with("event", event)
        .with("invite_room_state", Vec::<Value>::new());
    let target = format!("/_matrix/federation/v2/invite/{}/{}", percent_encode(&path_room), percent_encode(&event_id));
    Some(vec![put(scene, &target, body.into(), BAD_EVENT)])
}

/// Events that are not what `send_join`, `send_leave` and `send_knock` are for.
fn forged_membership(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let stage = scene.stage()?;
    let rules = stage.branch.version.rules();
    let (verb, membership) = *scene.draw.pick(&[("join", "join"), ("leave", "leave"), ("knock", "knock")]);
    let own = stage.speaker.to_string();
    let (mut event_id, mut event) = member(scene, &stage, &own, membership)?;
    match scene.draw.below(7) {
        0 => {
            let other = stage.members.first()?;
            event.insert("sender", other);
            event.insert("state_key", other);
            scene.by.sign(&mut event, rules);
        }
        1 => event_id = stage.branch.invented_id(&scene.by.name, scene.draw.seed()),
        2 => {
            event.insert("signatures", Object::new());
        }
        3 => {
            event.insert("type", "m.room.message");
            scene.by.sign(&mut event, rules);
        }
        4 => {
            event.insert("content", Object::new().with("membership", "ban"));
            scene.by.sign(&mut event, rules);
        }
        5 => {
            event.insert("room_id", format!("!other:{}", scene.by.name));
            scene.by.sign(&mut event, rules);
        }
        _ => {
            event.insert("auth_events", Vec::<Value>::new());
            event.insert("prev_events", Value::Null);
        }
    }
    let version = if verb == "knock" { 1 } else { 2 };
    let (room, id) = (percent_encode(&stage.room.info.room_id), percent_encode(&event_id));
    let target = format!("/_matrix/federation/v{version}/send_{verb}/{room}/{id}");
    Some(vec![put(scene, &target, event.into(), BAD_EVENT)])
}

/// What is asked about a room is answered to servers in it.
fn probing(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let stage = scene.stage_outside()?;
    let event_id = stage.branch.tip.first()?.to_string();
    let (room, event) = (percent_encode(&stage.room.info.room_id), percent_encode(&event_id));
    let stranger = percent_encode(&format!("@u0:{}", scene.victim));
    let v1 = "/_matrix/federation/v1";
    let targets = [
        // A server that was in the room may see what was while it was.
        (format!("{v1}/event/{event}"), Expect::NoFault),
        (format!("{v1}/state_ids/{room}?event_id={event}"), Expect::NoFault),
        (format!("{v1}/state/{room}?event_id={event}"), Expect::NoFault),
        (format!("{v1}/event_auth/{room}/{event}"), Expect::NoFault),
        (format!("{v1}/backfill/{room}?v={event}&limit=100000"), Expect::NoFault),
        // In another server's user's name nobody gets a template.
        (format!("{v1}/make_join/{room}/{stranger}?ver={}", stage.branch.version.as_str()), NOT_THERE),
        (format!("{v1}/make_leave/{room}/{stranger}"), NOT_THERE),
        (format!("{v1}/state/%21nowhere%3Anowhere?event_id={event}"), NOT_THERE),
        (format!("{v1}/make_join/%21nowhere%3Anowhere/{stranger}?ver=11"), NOT_THERE),
    ];
    Some(targets.into_iter().map(|(target, expect)| get(scene, &target, expect)).collect())
}

fn greedy_questions(scene: &mut Scene<'_>) -> Option<Vec<Blow>> {
    let stage = scene.stage()?;
    let room = percent_encode(&stage.room.info.room_id);
    let ids: Vec<Value> =
        (0..5_000).map(|_| Value::from(stage.branch.invented_id(&scene.by.name, scene.draw.seed()))).collect();
    let mut latest = ids.clone();
    latest.extend(stage.branch.tip.iter().map(|id| Value::from(id.as_str())));
    let missing = Object::new()
        .with("earliest_events", ids.clone())
        .with("latest_events", latest)
        .with("limit", 9_007_199_254_740_991i64)
        .with("min_depth", -9_007_199_254_740_991i64);
    let users: Object =
        (0..5_000u32).map(|at| (format!("@u{at}:{}", scene.victim), Value::Array(Vec::new()))).collect();
    let servers: Object = (0..1_000u32).map(|at| (format!("nobody{at}.test"), Object::new())).collect();
    let post = |target: String, body: Object, expect: Expect| {
        let request = scene.by.request(&scene.victim, Method::Post, &target, Some(body.into()));
        Blow { to: scene.victim.clone(), request, expect }
    };
    let tip = stage.branch.tip.first()?;
    let many = (0..500).map(|_| format!("v={}", percent_encode(tip))).collect::<Vec<_>>().join("&");
    Some(vec![
        post(format!("/_matrix/federation/v1/get_missing_events/{room}"), missing, Expect::NoFault),
        post(
            "/_matrix/federation/v1/user/keys/query".to_owned(),
            Object::new().with("device_keys", users),
            Expect::NoFault,
        ),
        post("/_matrix/key/v2/query".to_owned(), Object::new().with("server_keys", servers), Expect::NoFault),
        get(scene, &format!("/_matrix/federation/v1/backfill/{room}?{many}&limit=-1"), Expect::NoFault),
        get(scene, &format!("/_matrix/federation/v1/backfill/{room}?{many}&limit=9999999999999"), Expect::NoFault),
        get(scene, &format!("/_matrix/federation/v1/timestamp_to_event/{room}?ts=-1&dir=x"), Expect::NoFault),
    ])
}
