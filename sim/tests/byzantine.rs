//! Worlds with Byzantine servers: some pass, twice alike; what a checker is for, done on purpose, is found; and rooms without a liar
//! move on as fast as if there were none.

use std::collections::BTreeMap;

use orrery_core::http::{Request, Response};
use orrery_core::room::{EventIndex, Room, StoredEvent};
use orrery_sim::byzantine::{Strategy, Way};
use orrery_sim::checkers::pace::Pace;
use orrery_sim::checkers::stored::rooms;
use orrery_sim::failure::{Failure, Kind};
use orrery_sim::network::Tamper;
use orrery_sim::options::Overrides;
use orrery_sim::plan::Plan;
use orrery_sim::runner::{run, run_twice};
use orrery_sim::storage::{Lie, SimStorage};
use orrery_sim::world::{Extras, Outcome};

/// Worlds that pass. Others still find what `sim/README.md` lists under "Open findings".
const SEEDS: std::ops::Range<u64> = 0..12;

const LIARS: Overrides = Overrides {
    servers: Some((3, 5)),
    byzantine: Some((1, 1)),
    crashes: None,
    older_stores: Some(0),
    clients: None,
    steps: None,
    room_version: None,
    lie: None,
};

#[test]
fn worlds_with_liars_pass_and_repeat() {
    let (mut attacks, mut lies) = (0, 0);
    for seed in SEEDS.take(8) {
        let outcome = run_twice(&Plan::draw(seed, LIARS), Extras::default);
        assert_eq!(outcome.failure, None, "seed {seed}");
        attacks += outcome.counts.lies.attacks;
        lies += outcome.counts.lies.lies;
    }
    assert!(attacks > 100 && lies > 30, "{attacks} attacks and {lies} lies are next to nothing");
}

/// A world in which the liar has one strategy, and makes much of it.
fn world_of(seed: u64, strategy: Strategy) -> Outcome {
    let mut plan = Plan::draw(seed, Overrides { steps: Some(60), ..LIARS });
    for liar in &mut plan.options.byzantine {
        liar.strategies = vec![strategy];
        // Nobody asks who misses nothing.
        match strategy {
            Strategy::LyingState | Strategy::LyingHistory => liar.strategies.push(Strategy::EndlessChain),
            Strategy::LyingEvents | Strategy::Withholding => liar.strategies.push(Strategy::WithheldAuthEvent),
            _ => {}
        }
        liar.lies = 1_000;
        liar.attacks = 30;
    }
    run(&Plan::of(plan.options), Extras::default())
}

#[test]
fn every_strategy_strikes() {
    for strategy in Strategy::ALL {
        let strikes = |seed| {
            let counts = world_of(seed, *strategy).counts;
            if strategy.way() == Way::Attack { counts.lies.attacks } else { counts.lies.lies }
        };
        assert!(SEEDS.take(8).map(strikes).any(|count| count > 0), "{strategy:?} does nothing");
    }
}

fn first_failure(overrides: Overrides, mut extras: impl FnMut() -> Extras) -> Failure {
    let failure = SEEDS.into_iter().find_map(|seed| run(&Plan::draw(seed, overrides), extras()).failure);
    failure.expect("a planted fault is found")
}

#[test]
fn a_host_that_believes_every_signature_is_found() {
    let failure = first_failure(Overrides { lie: Some(Lie::BelievesSignatures), ..LIARS }, Extras::default);
    assert_eq!(failure.kind, Kind::Safety, "{failure}");
    assert!(["forgery", "refusals"].contains(&failure.checker), "{failure}");
}

/// Changes what somebody said, but for its length.
fn misquote(event: &mut StoredEvent) -> bool {
    let mut json = event.json.to_vec();
    let member = br#""body":""#;
    let body = json.windows(member.len()).position(|bytes| bytes == member).map(|at| at + member.len());
    let Some(first) = body.and_then(|at| json.get_mut(at)).filter(|first| first.is_ascii_alphanumeric()) else {
        return false;
    };
    *first = b'~';
    event.json = json.into();
    true
}

#[test]
fn an_event_that_is_not_what_was_signed_is_found() {
    let forge = |_, disk: &mut SimStorage| {
        for num in rooms(disk).expect("can read") {
            let next = Room::get(disk, num).expect("can read").map_or(0, |room| room.head.next_index);
            for index in (0..next).map(EventIndex) {
                if let Some(mut event) = StoredEvent::get(disk, num, index).expect("can read")
                    && misquote(&mut event)
                {
                    event.put(disk, num);
                }
            }
        }
    };
    let failure = first_failure(LIARS, || Extras { edit: Some(Box::new(forge)), ..Extras::default() });
    assert_eq!((failure.kind, failure.checker), (Kind::Safety, "forgery"), "{failure}");
}

#[test]
fn a_room_that_is_held_up_is_found() {
    let hold_up = || {
        // So often in each room whoever says something is asked to wait, up to seconds each time.
        let mut left = BTreeMap::new();
        let tamper: Tamper = Box::new(move |request: &Request, response: &mut Response| {
            let Some((room, _)) = request.path.split_once("/send/m.room.message/") else { return };
            let left = left.entry(room.to_owned()).or_insert(200);
            if *left > 0 {
                *left -= 1;
                response.status = 429;
                response.body = br#"{"errcode":"M_LIMIT_EXCEEDED","error":"later"}"#.as_slice().into();
            }
        });
        Extras { tamper: Some(tamper), ..Extras::default() }
    };
    let failure = first_failure(LIARS, hold_up);
    assert_eq!((failure.kind, failure.checker), (Kind::Liveness, "pace"), "{failure}");
}

/// Tampers with the answers to transactions.
fn transactions(change: fn(&mut Response)) -> Extras {
    let tamper: Tamper = Box::new(move |request: &Request, response: &mut Response| {
        if request.path.starts_with("/_matrix/federation/v1/send/") {
            change(response);
        }
    });
    Extras { tamper: Some(tamper), ..Extras::default() }
}

#[test]
fn a_server_that_takes_what_must_be_refused_is_found() {
    let takes_all = |response: &mut Response| {
        let body = String::from_utf8_lossy(&response.body).replace("\"error\":", "\"note\":");
        response.body = body.into_bytes().into();
    };
    let failure = first_failure(LIARS, || transactions(takes_all));
    assert_eq!((failure.kind, failure.checker), (Kind::Safety, "refusals"), "{failure}");
}

#[test]
fn a_server_that_breaks_down_is_found() {
    let failure = first_failure(LIARS, || transactions(|response| response.status = 500));
    assert_eq!((failure.kind, failure.checker), (Kind::Safety, "refusals"), "{failure}");
}

/// The messages to rooms without a liar, and the milliseconds that they took, with the attacks and without them.
#[test]
fn other_rooms_move_on_as_fast_as_ever() {
    let (mut attacked, mut peaceful) = (Pace::default(), Pace::default());
    for seed in SEEDS {
        let plan = Plan::draw(seed, LIARS);
        let mut peace = plan.clone();
        peace.attacks.clear();
        // Attacks change what people meet, so not quite the same things happen.
        for (sum, plan) in [(&mut attacked, plan), (&mut peaceful, peace)] {
            let pace = run(&plan, Extras::default()).counts.pace;
            sum.messages += pace.messages;
            sum.total = sum.total + pace.total;
        }
    }
    let messages = attacked.messages.min(peaceful.messages);
    assert!(messages > 5, "{messages} messages say nothing");
    let (attacked, peaceful) = (attacked.mean().0, peaceful.mean().0);
    assert!(attacked <= peaceful * 3 / 2, "{attacked} us with attacks, {peaceful} us without");
}
