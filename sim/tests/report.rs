//! Reports: recording changes nothing, and a page holds what happened and needs nothing but itself.

use orrery_sim::options::Overrides;
use orrery_sim::plan::Plan;
use orrery_sim::report::{Story, page};
use orrery_sim::runner::run;
use orrery_sim::storage::Lie;
use orrery_sim::world::Extras;

const FEDERATED: Overrides = Overrides {
    servers: Some((3, 4)),
    byzantine: Some((0, 1)),
    crashes: None,
    older_stores: None,
    clients: None,
    steps: Some(60),
    lie: None,
    room_version: None,
};

fn story(seed: u64, overrides: Overrides) -> Story {
    Story::of(Plan::draw(seed, overrides), format!("orrery-sim run --seed {seed}"), "unknown".to_owned(), false)
}

#[test]
fn a_recorded_world_is_the_same_world() {
    for seed in 0..4 {
        assert_eq!(story(seed, FEDERATED).outcome, run(&Plan::draw(seed, FEDERATED), Extras::default()), "seed {seed}");
    }
}

#[test]
fn a_recording_has_everything_that_happened() {
    let story = story(1, FEDERATED);
    let recording = &story.recording;
    let is_done = |op: &orrery_sim::recording::Op| op.end.is_some();
    assert_eq!(recording.ops.iter().filter(|op| is_done(op)).count(), story.plan.ops.len());
    assert!(recording.lives.iter().filter(|life| life.to.is_some()).count() as u64 == story.outcome.counts.crashes);
    let answers = recording.messages.values().filter(|message| message.answer.is_some()).count() as u64;
    assert!(answers >= story.outcome.counts.work.answers);
    assert!(recording.healed.is_some());
}

#[test]
fn a_page_names_the_failure_and_needs_nothing_else() {
    let overrides = Overrides { lie: Some(Lie::LosesAcknowledged), crashes: Some(8), ..Overrides::default() };
    let story = (0..40).map(|seed| story(seed, overrides)).find(|story| story.outcome.failure.is_some());
    let story = story.expect("a planted fault is found");
    let page = page(&story);
    let failure = story.outcome.failure.expect("it was found");
    assert!(page.contains(&format!("\"checker\":\"{}\"", failure.checker)));
    assert!(page.contains(&story.command));
    for outside in ["src=", "@import", "url(", "<link"] {
        let head = page.split("<script type=\"application/json\"").next().unwrap();
        assert!(!head.contains(outside), "{outside}");
    }
    // Nothing that happened in the world ends the element that the data stands in.
    assert_eq!(page.matches("</script>").count(), 2);
}
