//! Events on several branches.

use super::*;
use crate::room::receive::{Told, store_history};

const ALICE: &str = "@alice:example.org";

#[test]
fn remote_users_join_and_talk() {
    for version in ["1", "2", "3", "6", "9", "10", "11", "12"] {
        let (mut world, mut branch) = World::with_guests(version);
        let hello = branch.message(EVE, "hello");
        world.accepts(&hello);
        assert_eq!(world.extremities(), [hello.event_id.to_string()], "{version}");
        assert_eq!(world.servers(), ["example.org", "other.test", "remote.test"], "{version}");
        let room = world.room();
        assert_eq!((room.head.joined, room.head.local_joined), (3, 1), "{version}");
        let leave = branch.member(EVE, EVE, "leave");
        world.accepts(&leave);
        assert_eq!(world.servers(), ["example.org", "other.test"], "{version}");
        world.expect(&branch.message(EVE, "still here?"), Standing::Rejected);
        // A second time it is what it was.
        world.accepts(&hello);
        assert_eq!(world.extremities(), [leave.event_id.to_string()], "{version}");
    }
}

#[test]
fn branches_meet_in_the_next_local_event() {
    let (mut world, branch) = World::with_guests("11");
    let (mut ours, mut theirs) = (branch.clone(), branch);
    let (a, b) = (ours.message(EVE, "a"), theirs.message(BOB, "b"));
    world.accepts(&a);
    world.accepts(&b);
    assert_eq!(world.extremities(), [a.event_id.to_string(), b.event_id.to_string()]);
    let c = world.say("c");
    assert_eq!(world.extremities().join(" "), c);
    let room = world.room();
    let pdu = world.server.inspect(|read| room.event(read, &c).unwrap().unwrap().pdu(room.info.version).unwrap());
    assert_eq!(pdu.prev_events, [a.event_id, b.event_id]);
}

#[test]
fn resolutions_are_counted() {
    let (mut world, branch) = World::with_guests("11");
    let (mut ours, mut theirs) = (branch.clone(), branch);
    world.accepts(&ours.send(EVE, "m.room.member", Some(EVE), json!({ "membership": "join", "displayname": "a" })));
    assert_eq!(world.server.resolutions().count, 0);
    world.accepts(&theirs.send(BOB, "m.room.member", Some(BOB), json!({ "membership": "join", "displayname": "b" })));
    let resolutions = world.server.resolutions();
    assert_eq!((resolutions.count, resolutions.conflicts), (1, 2), "what Eve and what Bob is");
    assert!(resolutions.judged >= 2, "{resolutions:?}");
}

#[test]
fn many_branches_are_merged_a_few_at_a_time() {
    let (mut world, branch) = World::with_guests("11");
    for i in 0..50 {
        let pdu = branch.clone().send(EVE, "m.test", None, json!({ "i": i }));
        world.accepts(&pdu);
    }
    assert_eq!(world.extremities().len(), 50);
    for left in [31, 12, 1] {
        world.say(&left.to_string());
        assert_eq!(world.extremities().len(), left);
    }
}

#[test]
fn conflicting_state_is_resolved_whatever_comes_first() {
    for version in ["1", "2", "6", "11", "12"] {
        let mut results = Vec::new();
        for swap in [false, true] {
            let (mut world, mut branch) = World::with_guests(version);
            let content = match version {
                "12" => json!({ "users": { "@eve:remote.test": 50, "@bob:other.test": 50 } }),
                _ => json!({ "users": { "@alice:example.org": 100, "@eve:remote.test": 50, "@bob:other.test": 50 } }),
            };
            let levels = branch.send(ALICE, "m.room.power_levels", Some(""), content);
            world.accepts(&levels);
            let (mut one, mut two) = (branch.clone(), branch);
            two.now += 1000;
            let a = one.send(EVE, "m.room.topic", Some(""), json!({ "topic": "a" }));
            let b = two.send(BOB, "m.room.topic", Some(""), json!({ "topic": "b" }));
            let order = if swap { [&b, &a] } else { [&a, &b] };
            order.into_iter().for_each(|pdu| world.accepts(pdu));
            let winner = world.state("m.room.topic", "").unwrap();
            results.push(if winner == a.event_id.to_string() { "a" } else { "b" });
            // Where the branches meet, everything is as it was.
            one.tip = alloc::vec![a.event_id.clone(), b.event_id.clone()];
            world.accepts(&one.message(EVE, "merged"));
            assert_eq!(world.state("m.room.topic", "").unwrap(), winner);
            assert_eq!(world.extremities().len(), 1);
        }
        // Version 1 goes by depth and then by a hash, which is another one in each of the two worlds.
        assert!(version == "1" || results[0] == results[1], "{version}: {results:?}");
    }
}

#[test]
fn a_message_that_a_ban_overtakes_is_soft_failed() {
    let (mut world, branch) = World::with_guests("11");
    let (mut ours, mut theirs) = (branch.clone(), branch);
    let ban = ours.member(ALICE, EVE, "ban");
    let late = theirs.message(EVE, "nobody stops me");
    world.accepts(&ban);
    world.expect(&late, Standing::SoftFailed);
    let reason = world.reason(&late).unwrap();
    assert!(reason.contains("the sender is not in the room, on the current state"), "{reason}");
    assert_eq!(world.extremities(), [ban.event_id.to_string()]);
    assert!(!world.stored(&late).is_in_timeline());
    // What follows it is judged as ever: Eve's own is soft-failed, somebody else's is not.
    world.expect(&theirs.message(EVE, "again"), Standing::SoftFailed);
    let bob = theirs.message(BOB, "what Eve says");
    world.accepts(&bob);
    assert_eq!(world.extremities(), [ban.event_id.to_string(), bob.event_id.to_string()]);
    assert_eq!(world.servers(), ["example.org", "other.test"]);
    assert_eq!(world.state("m.room.member", EVE), Some(ban.event_id.to_string()));
}

#[test]
fn what_a_soft_failed_event_follows_is_covered_by_what_follows_it() {
    let (mut world, branch) = World::with_guests("11");
    let (mut ours, mut theirs) = (branch.clone(), branch);
    let ban = ours.member(ALICE, EVE, "ban");
    let before = theirs.message(BOB, "before");
    let late = theirs.message(EVE, "late");
    let after = theirs.message(BOB, "after");
    for pdu in [&before, &ban] {
        world.accepts(pdu);
    }
    world.expect(&late, Standing::SoftFailed);
    assert_eq!(world.extremities(), [before.event_id.to_string(), ban.event_id.to_string()]);
    world.accepts(&after);
    assert_eq!(world.extremities(), [ban.event_id.to_string(), after.event_id.to_string()]);
}

#[test]
fn a_resolution_changes_memberships_without_an_event_of_their_own() {
    // Eve bans Bob; on another branch she had lost her power before that.
    let (mut world, mut branch) = World::with_guests("11");
    let users = json!({ "users": { "@alice:example.org": 100, "@eve:remote.test": 50 } });
    world.accepts(&branch.send(ALICE, "m.room.power_levels", Some(""), users));
    let (mut ours, mut theirs) = (branch.clone(), branch);
    let ban = theirs.member(EVE, BOB, "ban");
    world.accepts(&ban);
    assert_eq!(world.servers(), ["example.org", "remote.test"]);
    let alone = json!({ "users": { "@alice:example.org": 100 } });
    let demoted = ours.send(ALICE, "m.room.power_levels", Some(""), alone);
    world.accepts(&demoted);
    assert_ne!(world.state("m.room.member", BOB), Some(ban.event_id.to_string()));
    assert_eq!(world.servers(), ["example.org", "other.test", "remote.test"]);
    assert_eq!(world.room().head.joined, 3);
    let stored = world.stored(&demoted);
    let current = stored.header.current.expect("the state is not that after the event");
    assert_eq!(current.after, world.room().head.state);
    assert_ne!(current.before, stored.header.state_before);
}

#[test]
fn rejected_stays_rejected_and_authorizes_nothing() {
    let (mut world, mut branch) = World::with_guests("11");
    let fork = branch.clone();
    let levels = branch.send(EVE, "m.room.power_levels", Some(""), json!({ "users": { "@eve:remote.test": 100 } }));
    world.expect(&levels, Standing::Rejected);
    let reason = world.reason(&levels).unwrap();
    assert!(reason.starts_with("v11 rule"), "{reason}");
    let ban = branch.member(EVE, BOB, "ban");
    world.expect(&ban, Standing::Rejected);
    assert!(world.reason(&ban).unwrap().contains("an auth event was rejected"));
    // After both of them the state is what it was before.
    let mut after = fork.clone();
    after.tip = branch.tip.clone();
    let hello = after.message(BOB, "hello");
    world.accepts(&hello);
    assert_eq!(world.extremities(), [hello.event_id.to_string()]);
    // Nothing brings it back: not again, not as an outlier.
    world.expect(&levels, Standing::Rejected);
    let again = levels.clone();
    world.step(move |step, room| store_outliers(step, room, &[again])).unwrap();
    world.expect(&levels, Standing::Rejected);
    assert!(!world.stored(&levels).is_in_timeline());
}

#[test]
fn what_is_missing_is_said_and_nothing_is_stored() {
    let (mut world, mut branch) = World::with_guests("11");
    let first = branch.message(EVE, "first");
    let second = branch.message(EVE, "second");
    assert_eq!(world.receive(&second), Outcome::MissingPrevEvents(alloc::vec![first.event_id.clone()]));
    let name = branch.send(EVE, "m.room.member", Some(EVE), json!({ "membership": "join", "displayname": "E" }));
    let third = branch.message(EVE, "third");
    assert_eq!(world.receive(&third), Outcome::MissingAuthEvents(alloc::vec![name.event_id.clone()]));
    for pdu in [&first, &second, &name, &third] {
        world.accepts(pdu);
    }
}

#[test]
fn an_event_after_a_gap_takes_the_state_that_was_fetched() {
    let (mut world, mut branch) = World::with_guests("11");
    let room = world.room();
    let missing = branch.message(EVE, "missing");
    let after = branch.message(EVE, "after");
    let pdu = after.clone();
    let outcome = world.step(move |step, room| {
        let state = room.head.state;
        receive(step, room, &pdu, &[state])
    });
    assert!(matches!(outcome.unwrap(), Outcome::Stored { standing: Standing::Accepted, .. }));
    let stored = world.stored(&after);
    assert!(stored.header.after_gap);
    assert!(stored.header.order > room.head.last.order() + 1, "there is a place for what is missing");
    let backward = |world: &mut World| {
        let room = world.room();
        world.server.inspect(|read| crate::room::extremities::missing(read, &room, 10).unwrap())
    };
    assert!(backward(&mut world).contains(&missing.event_id));
    // What was missing comes after all: it is no end of the graph.
    assert_eq!(world.extremities().len(), 2);
    world.accepts(&missing);
    assert_eq!(world.extremities(), [after.event_id.to_string()]);
    assert!(backward(&mut world).is_empty());
}

/// History that cites what is here as well is judged on the state after that too, whatever else was told.
#[test]
fn nobody_takes_away_state_from_history_by_an_invented_event() {
    for version in ["1", "2", "11", "12"] {
        let (mut world, mut branch) = World::with_guests(version);
        let alice = world.alice.user_id.to_string();
        let topic = branch.send(&alice, "m.room.topic", Some(""), json!({ "topic": "to stay" }));
        world.accepts(&topic);
        let invented = branch.clone().message(EVE, "invented");
        branch.tip.push(invented.event_id.clone());
        let old = branch.message(EVE, "old");
        let after = branch.message(EVE, "after");
        let (first, second) = (old.clone(), after.clone());
        let stored = world.step(move |step, room| {
            let current = room.head.state;
            receive(step, room, &second, &[current])?;
            let place = room.event(step, &second.event_id)?.unwrap().header.order;
            let topic = room.state_index(step, current, "m.room.topic", "")?;
            let known = room.state_events(step, current, None)?.into_iter().map(|event| event.index);
            let state = room.state_of(step, &known.filter(|index| Some(*index) != topic).collect::<Vec<_>>())?;
            let told = |after: &Pdu| Told { after: alloc::vec![after.event_id.clone()], states: alloc::vec![state] };
            // What was told of another event says nothing of this one.
            let elsewhere = store_history(step, room, place, &[(first.clone(), told(&second))])?;
            Ok((elsewhere, store_history(step, room, place, &[(first, told(&invented))])?))
        });
        assert_eq!(stored.unwrap(), (0, 1), "version {version}");
        let (room, before) = (world.room(), world.stored(&old).header.state_before);
        let kept = world.server.inspect(|read| room.state_index(read, before, "m.room.topic", "").unwrap());
        assert_eq!(kept, Some(world.stored(&topic).index), "version {version}");
    }
}

#[test]
fn hostile_events() {
    let (mut world, mut branch) = World::with_guests("1");
    // The greatest depth there is: what comes after has it too.
    let mut deep = branch.clone();
    deep.depth = i64::MAX - 1;
    let pdu = deep.message(EVE, "deep");
    assert_eq!(pdu.depth, i64::MAX);
    world.accepts(&pdu);
    world.say("after");
    assert_eq!(world.room().head.depth, i64::MAX);

    // Without previous events, an event would stand beside the room.
    branch.tip.clear();
    let aliases = branch.draft(EVE, "m.room.aliases", Some("remote.test"), json!({ "aliases": [] }), None);
    world.expect(&aliases, Standing::Rejected);
    assert!(world.reason(&aliases).unwrap().contains("no previous events"));

    // A room has one create event.
    branch.state.clear();
    let content = json!({ "creator": "@mallory:example.org" });
    let create = branch.draft("@mallory:example.org", "m.room.create", Some(""), content, None);
    world.expect(&create, Standing::Rejected);
    assert!(world.reason(&create).unwrap().contains("another create event"));

    let mut elsewhere = world.branch();
    elsewhere.room_id = crate::identifiers::RoomId::parse("!elsewhere:remote.test").unwrap();
    let pdu = elsewhere.message(EVE, "elsewhere");
    assert!(world.step(move |step, room| receive(step, room, &pdu, &[])).is_err());
}

#[test]
fn auth_events_that_are_duplicated_or_of_no_use_are_a_reason_to_reject() {
    let (mut world, branch) = World::with_guests("11");
    let mut newer = branch.clone();
    let name = newer.send(EVE, "m.room.member", Some(EVE), json!({ "membership": "join", "displayname": "E" }));
    world.accepts(&name);
    let member = |user: &str| branch.state[&("m.room.member".to_string(), user.to_string())].clone();
    // Two member events of Eve's are among the auth events.
    let mut twice = newer.clone();
    twice.state.insert(("m.room.join_rules".to_string(), String::new()), member(EVE));
    let content = json!({ "membership": "join", "displayname": "F" });
    let pdu = twice.send(EVE, "m.room.member", Some(EVE), content);
    world.expect(&pdu, Standing::Rejected);
    let reason = world.reason(&pdu).unwrap();
    assert!(reason.contains("two auth events are for one type"), "{reason}");
    let mut useless = newer.clone();
    useless.state.insert(("m.room.member".to_string(), EVE.to_string()), member(BOB));
    let pdu = useless.message(EVE, "hi");
    world.expect(&pdu, Standing::Rejected);
    let reason = world.reason(&pdu).unwrap();
    assert!(reason.contains("an auth event is of no use"), "{reason}");
}
