//! Events that are stored because others cite them.

use super::*;
use crate::room::receive::{Given, KnownEvents, receive_next, sort_by_auth_events};

#[test]
fn outliers_are_judged_on_their_auth_events_and_shown_to_nobody() {
    for version in ["1", "6", "11", "12"] {
        let (mut world, mut branch) = World::with_guests(version);
        let name = branch.send(EVE, "m.room.member", Some(EVE), json!({ "membership": "join", "displayname": "E" }));
        let topic = branch.clone().send(EVE, "m.room.topic", Some(""), json!({ "topic": "mine" }));
        let leave = branch.member(EVE, EVE, "leave");
        let sorted = sort_by_auth_events(alloc::vec![leave.clone(), topic.clone(), name.clone(), name.clone()]);
        assert_eq!(sorted.len(), 3);
        let ends = world.extremities();
        world.step(move |step, room| store_outliers(step, room, &sorted)).unwrap();
        for (pdu, standing) in [(&name, Standing::Accepted), (&leave, Standing::Accepted), (&topic, Standing::Rejected)]
        {
            let stored = world.stored(pdu);
            assert!(stored.header.outlier && !stored.is_in_timeline());
            assert_eq!(stored.header.standing, standing, "{version} {:?}", world.reason(pdu));
            let path = alloc::format!("/_matrix/client/v3/rooms/{}/event/{}", world.room_id, pdu.event_id);
            world.server.fails(Method::Get, &path, &world.alice, (), 404, "M_NOT_FOUND");
        }
        assert_eq!(world.extremities(), ends);
        // One becomes part of the room when its time comes; the rejected one does not.
        let index = world.stored(&name).index;
        world.accepts(&name);
        let stored = world.stored(&name);
        assert!(!stored.header.outlier && stored.is_in_timeline() && stored.index == index, "{version}");
        world.expect(&topic, Standing::Rejected);
        assert!(world.stored(&topic).header.outlier);
    }
}

/// In versions 1 and 2 a server can make two events with one ID. What the second says must not come under what was judged of the
/// first, nor the other way round.
#[test]
fn an_outlier_is_no_other_event_with_its_id() {
    for version in ["1", "2"] {
        let (mut world, mut branch) = World::with_guests(version);
        let said = branch.clone().message(EVE, "hi");
        let name = branch.send(EVE, "m.room.member", Some(EVE), json!({ "membership": "join", "displayname": "E" }));
        let mut twin = said.to_object();
        twin.insert("event_id", &name.event_id);
        let twin = Pdu::parse(twin, branch.version).unwrap();
        let outlier = name.clone();
        world.step(move |step, room| store_outliers(step, room, &[outlier])).unwrap();
        assert!(world.step(move |step, room| receive(step, room, &twin, &[])).is_err());
        assert!(world.stored(&name).header.outlier);
        world.accepts(&name);
        assert_eq!(world.state("m.room.member", EVE), Some(name.event_id.to_string()));
    }
}

#[test]
fn an_outlier_needs_its_auth_events() {
    let (mut world, mut branch) = World::with_guests("11");
    let name = branch.send(EVE, "m.room.member", Some(EVE), json!({ "membership": "join", "displayname": "E" }));
    let leave = branch.member(EVE, EVE, "leave");
    let missing = leave.clone();
    assert!(world.step(move |step, room| store_outliers(step, room, &[missing])).is_err());
    world.step(move |step, room| store_outliers(step, room, &[name, leave])).unwrap();
}

/// An outlier is accepted as long as it is one, and rejected where it stands in the graph: what cites it is judged on that, in the
/// same step too.
#[test]
fn what_is_known_of_an_event_is_what_has_become_of_it() {
    let reasons = |in_one_step: bool| {
        let (mut world, mut branch) = World::with_guests("11");
        let alice = world.alice.user_id.to_string();
        let mut late = branch.clone();
        let ban = branch.member(&alice, EVE, "ban");
        world.accepts(&ban);
        (late.tip, late.depth) = (branch.tip.clone(), branch.depth);
        let name = late.send(EVE, "m.room.member", Some(EVE), json!({ "membership": "join", "displayname": "E" }));
        let after = late.message(EVE, "after");
        let outlier = name.clone();
        world.step(move |step, room| store_outliers(step, room, &[outlier])).unwrap();
        if in_one_step {
            let (name, after) = (name.clone(), after.clone());
            let outcomes = world.step(move |step, room| {
                let mut known = KnownEvents::default();
                let mut next = |pdu: &Pdu| receive_next(step, room, pdu, Given::default(), &mut known);
                Ok([next(&after)?, next(&name)?, next(&after)?])
            });
            assert!(matches!(outcomes.unwrap()[0], Outcome::MissingPrevEvents(_)));
        } else {
            world.receive(&name);
            world.receive(&after);
        }
        [name, after].map(|pdu| (world.stored(&pdu).header.standing, world.reason(&pdu)))
    };
    let one_by_one = reasons(false);
    assert!(one_by_one.iter().all(|(standing, _)| *standing == Standing::Rejected));
    assert_eq!(reasons(true), one_by_one);
}
