//! Redactions across branches and orders.

use super::*;

fn is_redacted(world: &mut World, pdu: &Pdu) -> bool {
    world.stored(pdu).header.redacted_by.is_some()
}

#[test]
fn a_redaction_may_come_before_what_it_redacts() {
    for version in ["1", "6", "11", "12"] {
        for (sender, works) in [(EVE, true), (BOB, false), ("@alice:example.org", true)] {
            let (mut world, branch) = World::with_guests(version);
            let (mut ours, mut theirs) = (branch.clone(), branch);
            let target = theirs.message(EVE, "embarrassing");
            let redaction = ours.redact(sender, &target.event_id);
            world.receive(&redaction);
            world.accepts(&target);
            assert_eq!(is_redacted(&mut world, &target), works, "{version} {sender}");
        }
    }
}

#[test]
fn soft_failed_events_are_redacted_and_soft_failed_redactions_do_nothing() {
    let (mut world, branch) = World::with_guests("11");
    let (mut ours, mut theirs) = (branch.clone(), branch);
    let shown = theirs.message(EVE, "shown");
    world.accepts(&shown);
    let hidden = theirs.message(EVE, "hidden");
    let redacts_shown = theirs.redact(EVE, &shown.event_id);
    world.accepts(&ours.member("@alice:example.org", EVE, "ban"));
    world.expect(&hidden, Standing::SoftFailed);
    world.expect(&redacts_shown, Standing::SoftFailed);
    assert!(!is_redacted(&mut world, &shown));
    world.accepts(&ours.redact("@alice:example.org", &hidden.event_id));
    assert!(is_redacted(&mut world, &hidden));
}
