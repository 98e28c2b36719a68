//! What clients learn of a room whose history has branches.

use alloc::collections::BTreeMap;

use super::*;
use crate::random::Random;

const CAROL: &str = "@carol:third.test";
const ALICE: &str = "@alice:example.org";

/// A client that folds the answers of `/sync` into a state.
#[derive(Default)]
struct Client {
    since: Option<String>,
    state: BTreeMap<(String, String), String>,
    state_after: bool,
}

impl Client {
    /// Takes one sync. The IDs of the timeline's events, and whether it is limited.
    fn sync(&mut self, world: &mut World, limit: usize) -> (Vec<String>, bool) {
        let mut target = alloc::format!(
            "/_matrix/client/v3/sync?filter=%7B%22room%22:%7B%22timeline%22:%7B%22limit%22:{limit}%7D%7D%7D"
        );
        if let Some(since) = &self.since {
            target.push_str(&alloc::format!("&since={since}"));
        }
        if self.state_after {
            target.push_str("&use_state_after=true");
        }
        let answer = world.server.ok(Method::Get, &target, &world.alice, ());
        self.since = Some(answer.get("next_batch").and_then(Value::as_str).unwrap().to_string());
        let room = answer.get("rooms").and_then(|rooms| rooms.get("join")?.get(&world.room_id));
        let Some(room) = room else { return (Vec::new(), false) };
        let timeline = room.get("timeline").unwrap();
        let sections = if self.state_after { &["state_after"][..] } else { &["state", "timeline"] };
        let mut timeline_ids = Vec::new();
        for event in timeline.get("events").and_then(Value::as_array).unwrap() {
            timeline_ids.push(event.get("event_id").and_then(Value::as_str).unwrap().to_string());
        }
        for section in sections {
            let Some(section) = room.get(section) else { continue };
            for event in section.get("events").and_then(Value::as_array).unwrap() {
                let text = |name: &str| event.get(name).and_then(Value::as_str).map(ToString::to_string);
                if let Some(state_key) = text("state_key") {
                    self.state.insert((text("type").unwrap(), state_key), text("event_id").unwrap());
                }
            }
        }
        (timeline_ids, timeline.get("limited") == Some(&Value::Bool(true)))
    }

    #[track_caller]
    fn assert_up_to_date(&self, world: &mut World, note: &str) {
        let path = alloc::format!("/_matrix/client/v3/rooms/{}/state", world.room_id);
        let answer = world.server.ok(Method::Get, &path, &world.alice, ());
        let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap().to_string();
        let state: BTreeMap<(String, String), String> = answer
            .as_array()
            .unwrap()
            .iter()
            .map(|event| ((text(event, "type"), text(event, "state_key")), text(event, "event_id")))
            .collect();
        assert_eq!(self.state, state, "{note}");
    }
}

#[test]
fn state_that_loses_does_not_win_with_clients() {
    for state_after in [false, true] {
        let (mut world, mut branch) = World::with_guests("11");
        let users = json!({ "users": { "@alice:example.org": 100, "@eve:remote.test": 50, "@bob:other.test": 50 } });
        world.accepts(&branch.send(ALICE, "m.room.power_levels", Some(""), users));
        let mut client = Client { state_after, ..Client::default() };
        client.sync(&mut world, 10);
        let (mut one, mut two) = (branch.clone(), branch);
        two.now += 1000;
        // The later of the two wins, and comes first.
        let winner = two.send(BOB, "m.room.topic", Some(""), json!({ "topic": "wins" }));
        let loser = one.send(EVE, "m.room.topic", Some(""), json!({ "topic": "loses" }));
        let hello = one.message(EVE, "hello");
        for pdu in [&winner, &loser, &hello] {
            world.accepts(pdu);
        }
        assert_eq!(world.state("m.room.topic", ""), Some(winner.event_id.to_string()));
        let (timeline, limited) = client.sync(&mut world, 10);
        client.assert_up_to_date(&mut world, "");
        if state_after {
            assert_eq!((timeline.len(), limited), (3, false));
        } else {
            // By the timeline alone the client would take the last topic for the topic.
            assert_eq!((timeline, limited), (alloc::vec![hello.event_id.to_string()], true));
        }
    }
}

#[test]
fn clients_that_fold_what_they_are_told_have_the_rooms_state() {
    for seed in 0..40u8 {
        let (mut world, mut branch) = World::with_guests(["6", "11", "12"][usize::from(seed) % 3]);
        let mut random = Random::new(&[seed; 32], "branches");
        let content = match branch.version.rules().auth.create_is_auth_event {
            true => json!({ "users": { "@alice:example.org": 100, "@eve:remote.test": 50, "@bob:other.test": 50 } }),
            false => json!({ "users": { "@eve:remote.test": 50, "@bob:other.test": 50 } }),
        };
        world.accepts(&branch.send(ALICE, "m.room.power_levels", Some(""), content));
        world.accepts(&branch.member(CAROL, CAROL, "join"));
        let mut branches = alloc::vec![branch];
        let mut clients = [Client::default(), Client { state_after: true, ..Client::default() }];
        for turn in 0..60 {
            let mut below = |bound: u64| random.below(bound);
            let at = usize::try_from(below(branches.len() as u64)).unwrap();
            let who = [EVE, BOB, CAROL, ALICE][usize::try_from(below(4)).unwrap()];
            let limit = usize::try_from(1 + below(6)).unwrap();
            match below(12) {
                0 | 1 if branches.len() < 5 => branches.push(branches[at].clone()),
                2 if branches.len() > 1 => {
                    let other = branches.remove(at);
                    let into = &mut branches[0];
                    into.tip.extend(other.tip);
                    into.tip.dedup();
                    into.depth = into.depth.max(other.depth);
                }
                3 => branches[0] = Branch { seeds: branches[0].seeds.clone(), ..world.branch() },
                4..=6 => {
                    let text = turn.to_string();
                    let pdu = branches[at].send(who, "m.room.topic", Some(""), json!({ "topic": (text) }));
                    world.receive(&pdu);
                }
                7 => {
                    let pdu = branches[at].member(who, CAROL, if below(2) == 0 { "ban" } else { "leave" });
                    world.receive(&pdu);
                }
                8 => {
                    let pdu = branches[at].member(CAROL, CAROL, "join");
                    world.receive(&pdu);
                }
                9 => {
                    let pdu = branches[at].send(who, "m.room.name", Some(""), json!({ "name": "n" }));
                    world.receive(&pdu);
                }
                _ => {
                    let pdu = branches[at].message(who, "hello");
                    world.receive(&pdu);
                }
            }
            if below(3) == 0 {
                for client in &mut clients {
                    client.sync(&mut world, limit);
                    let note = alloc::format!("seed {seed}, turn {turn}, state_after {}", client.state_after);
                    client.assert_up_to_date(&mut world, &note);
                }
            }
        }
    }
}

#[test]
fn a_member_whom_another_branch_takes_away_is_not_counted() {
    let mut world = World::new("11");
    world.server.ok(
        Method::Put,
        &alloc::format!("/_matrix/client/v3/rooms/{}/state/m.room.join_rules/", world.room_id),
        &world.alice,
        json!({ "join_rule": "public" }),
    );
    let mut joins = world.branch();
    let mut closes = joins.clone();
    let join = joins.member(CAROL, CAROL, "join");
    world.accepts(&join);
    let hello = joins.message(CAROL, "hello");
    world.accepts(&hello);
    let first = world.server.ok(Method::Get, "/_matrix/client/v3/sync", &world.alice, ());
    let count = |answer: &Value, room: &str| {
        let summary = answer.get("rooms")?.get("join")?.get(room)?.get("summary")?;
        summary.get("m.joined_member_count")?.as_integer()
    };
    assert_eq!(count(&first, &world.room_id), Some(2));
    // Nobody can join any more, and that comes before the join.
    let rules = closes.send(ALICE, "m.room.join_rules", Some(""), json!({ "join_rule": "invite" }));
    world.accepts(&rules);
    let since = first.get("next_batch").and_then(Value::as_str).unwrap().to_string();
    let target = alloc::format!("/_matrix/client/v3/sync?since={since}");
    let then = world.server.ok(Method::Get, &target, &world.alice, ());
    assert_eq!(count(&then, &world.room_id), Some(1), "{then}");
    // Whoever begins where she still was a member, and anew, is not told of her: nothing says that she no longer is one.
    let mut anew = Client::default();
    assert_eq!(anew.sync(&mut world, 1), (alloc::vec![rules.event_id.to_string()], true));
    anew.assert_up_to_date(&mut world, "");
    // Not even as one who has said something there.
    let target = "/_matrix/client/v3/sync?filter=%7B%22room%22:%7B%22timeline%22:%7B%22limit%22:2%7D,\
                  %22state%22:%7B%22lazy_load_members%22:true%7D%7D%7D";
    let lazily = world.server.ok(Method::Get, target, &world.alice, ());
    let shown = lazily.to_string();
    assert!(shown.contains(hello.event_id.as_str()) && !shown.contains(join.event_id.as_str()), "{lazily}");
}
