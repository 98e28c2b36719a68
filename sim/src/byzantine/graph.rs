//! Well-formed events that are wrong beside others. Each is rightly signed, and most are allowed: what must hold is that those who
//! were told different things come to agree.

use orrery_core::canonical_json::Object;
use orrery_core::event::content::Membership;
use orrery_core::identifiers::UserId;

use super::Strategy;
use super::forge::Branch;
use super::liar::{Blow, Forged, Scene, Stage, some_event};

/// `None` if the strategy is of another family.
pub(super) fn attack(scene: &mut Scene<'_>, strategy: Strategy) -> Option<Vec<Blow>> {
    let make: fn(&mut Scene<'_>, Stage) -> Option<Vec<Blow>> = match strategy {
        Strategy::Equivocation => equivocation,
        Strategy::WithheldPrevEvent => withheld_prev_event,
        Strategy::WithheldAuthEvent => withheld_auth_event,
        Strategy::EndlessChain => endless_chain,
        Strategy::BanEvasion => ban_evasion,
        Strategy::WideFork => wide_fork,
        Strategy::StateFight => state_fight,
        _ => return None,
    };
    Some(scene.stage().and_then(|stage| make(scene, stage)).unwrap_or_default())
}

fn equivocation(scene: &mut Scene<'_>, stage: Stage) -> Option<Vec<Blow>> {
    let peers: Vec<_> = std::iter::once(scene.victim.clone()).chain(scene.others.clone()).collect();
    let mut blows = Vec::new();
    for peer in peers {
        let event = scene.message(&stage)?;
        blows.push(scene.deliver_to(&peer, &stage, vec![Forged::judged(event.to_object())]));
    }
    Some(blows)
}

/// An event on one that the victim does not get from the liar. Somebody else may have been given both.
fn withheld_prev_event(scene: &mut Scene<'_>, mut stage: Stage) -> Option<Vec<Blow>> {
    let withheld = scene.message(&stage)?;
    scene.made.withhold(&withheld);
    let state = stage.branch.state_ids();
    stage.branch.take(&withheld);
    let event = scene.message(&stage)?;
    scene.made.keep_after_gap(&event, state);
    Some(divided(scene, &stage, withheld.to_object(), event.to_object()))
}

/// The same with a membership that authorizes the next event.
fn withheld_auth_event(scene: &mut Scene<'_>, mut stage: Stage) -> Option<Vec<Blow>> {
    let withheld = renamed(scene, &stage)?;
    scene.made.withhold(&withheld);
    let state = stage.branch.state_ids();
    stage.branch.take(&withheld);
    let event = scene.message(&stage)?;
    scene.made.keep_after_gap(&event, state);
    Some(divided(scene, &stage, withheld.to_object(), event.to_object()))
}

/// Both to somebody else, perhaps; to the victim only the second.
fn divided(scene: &mut Scene<'_>, stage: &Stage, withheld: Object, event: Object) -> Vec<Blow> {
    let mut blows = Vec::new();
    if !scene.others.is_empty() && scene.draw.chance(600) {
        let other = scene.draw.pick(&scene.others).clone();
        let both = vec![Forged::judged(withheld), Forged::judged(event.clone())];
        blows.push(scene.deliver_to(&other, stage, both));
    }
    blows.push(scene.deliver(stage, vec![Forged::judged(event)]));
    blows
}

/// The newest of a chain of events, of which each answer gives some more. It begins at the room's events, or nowhere.
fn endless_chain(scene: &mut Scene<'_>, mut stage: Stage) -> Option<Vec<Blow>> {
    let length = *scene.draw.pick(&[30u32, 120, 400]);
    if scene.draw.chance(600) {
        let nowhere = stage.branch.invented_id(&scene.by.name, scene.draw.seed());
        stage.branch.tip = vec![super::liar::event_id(&nowhere)];
    }
    let state = stage.branch.state_ids();
    for _ in 0..length {
        let event = scene.message(&stage)?;
        scene.made.keep_after_gap(&event, state.clone());
        stage.branch.take(&event);
    }
    let last = scene.message(&stage)?;
    scene.made.keep_after_gap(&last, state);
    Some(vec![scene.deliver(&stage, vec![Forged::judged(last.to_object())])])
}

/// Somebody of the liar's server who was in the room goes on from when they were. Who never left, leaves now: some learn of it
/// before the rest, some after, so that what one takes another soft-fails.
fn ban_evasion(scene: &mut Scene<'_>, mut stage: Stage) -> Option<Vec<Blow>> {
    if !stage.inside {
        step_back(scene, &mut stage)?;
    }
    let (before, said) = (stage.branch.clone(), scene.message(&stage)?);
    stage.branch.take(&said);
    let renamed = renamed(scene, &stage)?;
    let mut forged = vec![said, renamed];
    let mut leaves = Vec::new();
    if stage.inside {
        stage.branch = before;
        let content = Object::new().with("membership", "leave");
        let at = ("m.room.member", Some(stage.speaker.as_str()));
        leaves.extend(stage.branch.event(scene.by, scene.now, &stage.speaker, at, content));
    }
    let mut blows = Vec::new();
    for peer in std::iter::once(scene.victim.clone()).chain(scene.others.clone()) {
        let mut events = forged.clone();
        if scene.draw.chance(500) {
            events.splice(0..0, leaves.clone());
        } else {
            events.extend(leaves.clone());
        }
        let events = events.into_iter().map(|event| Forged::judged(event.to_object())).collect();
        blows.push(scene.deliver_to(&peer, &stage, events));
    }
    forged.extend(leaves);
    for event in forged {
        scene.made.keep(&event);
    }
    Some(blows)
}

/// To a place in the room's history at which somebody of the liar's server was in the room.
fn step_back(scene: &mut Scene<'_>, stage: &mut Stage) -> Option<()> {
    (0..24).find_map(|_| {
        let event = some_event(scene.read, &stage.room, &mut scene.draw)?;
        let branch = Branch::after(scene.read, &stage.room, &event).ok()?;
        stage.speaker = member_of(scene, stage, &branch)?;
        stage.branch = branch;
        Some(())
    })
}

fn wide_fork(scene: &mut Scene<'_>, mut stage: Stage) -> Option<Vec<Blow>> {
    if stage.prelude.is_empty() {
        step_back(scene, &mut stage)?;
    }
    let count = scene.draw.between(2, 20);
    let mut forged = Vec::new();
    for _ in 0..count {
        forged.push(Forged::judged(scene.message(&stage)?.to_object()));
    }
    Some(vec![scene.deliver(&stage, forged)])
}

/// One key of the room's state, set differently for each peer.
fn state_fight(scene: &mut Scene<'_>, stage: Stage) -> Option<Vec<Blow>> {
    let levels = stage.room.power_levels(scene.read).ok()?;
    let powerful = stage.inside && levels.user(&stage.speaker) >= levels.event("org.orrery.fight", true);
    let peers: Vec<_> = std::iter::once(scene.victim.clone()).chain(scene.others.clone()).collect();
    let mut blows = Vec::new();
    for peer in peers {
        let event = match powerful {
            true => {
                let content = Object::new().with("side", peer.as_str());
                let at = ("org.orrery.fight", Some(""));
                stage.branch.event(scene.by, scene.now, &stage.speaker, at, content)?
            }
            false => renamed(scene, &stage)?,
        };
        blows.push(scene.deliver_to(&peer, &stage, vec![Forged::judged(event.to_object())]));
    }
    Some(blows)
}

/// The speaker's membership, with another name.
fn renamed(scene: &mut Scene<'_>, stage: &Stage) -> Option<orrery_core::event::Pdu> {
    let name = format!("liar {}", scene.draw.below(1_000));
    let content = Object::new().with("membership", "join").with("displayname", name);
    let state_key = stage.speaker.to_string();
    stage.branch.event(scene.by, scene.now, &stage.speaker, ("m.room.member", Some(&state_key)), content)
}

/// A user of the liar's server who is joined at the end of a branch.
fn member_of(scene: &Scene<'_>, stage: &Stage, branch: &Branch) -> Option<UserId> {
    branch.state.iter().find_map(|((kind, state_key), event_id)| {
        let user = UserId::parse(state_key).ok().filter(|_| kind == "m.room.member")?;
        let event = stage.room.event(scene.read, event_id).ok()??;
        let joined = event.pdu(branch.version).ok()?.membership() == Some(Membership::Join);
        (joined && user.server_str() == scene.by.name.as_str()).then_some(user)
    })
}
