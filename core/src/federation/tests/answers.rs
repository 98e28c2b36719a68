//! What servers answer to `send_join`, true or not.

use super::super::join_answer::JoinAnswer;
use super::*;
use crate::canonical_json::Object;
use crate::identifiers::RoomId;
use crate::room::install::RoomState;
use crate::room_version::RoomVersion;

/// A room on `a.test`, and the answer that `c.test` got when it joined.
fn joined(version: &str) -> (Net, String, Object) {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    let alice = net.server("a.test").register("alice");
    let body = json!({ "preset": "public_chat", "name": "Tea", "room_version": (version) });
    let room = create(&mut net, "a.test", &alice, body);
    for (kind, content) in [("m.tea", json!({ "milk": true })), ("m.room.topic", json!({ "topic": "tea" }))] {
        net.ok("a.test", Method::Put, &room_path(&room, &alloc::format!("/state/{kind}")), &alice, content);
    }
    let (status, answer) = send_join(&mut net, "c.test", "@carol:c.test", &room, "");
    assert_eq!(status, 200, "{answer}");
    let Value::Object(answer) = answer else { panic!("{answer}") };
    (net, room, answer)
}

fn check(net: &mut Net, room: &str, version: &str, answer: Object) -> Result<RoomState, String> {
    let room_id = RoomId::parse(room).unwrap();
    let version = RoomVersion::parse(version).unwrap();
    net.run("b.test", |cx| async move {
        JoinAnswer::read(answer, version).map_err(String::from)?.check(&cx, &room_id).await
    })
}

fn is_of(event: &Value, kind: &str) -> bool {
    event.get("type").and_then(Value::as_str) == Some(kind)
}

/// Changes the events of a type, wherever they are.
fn change(answer: &mut Object, kind: &str, change: impl Fn(&mut Object)) {
    for part in ["state", "auth_chain"] {
        let Some(Value::Array(events)) = answer.get_mut(part) else { panic!("no {part}") };
        for event in events.iter_mut().filter(|event| is_of(event, kind)) {
            change(event.as_object_mut().unwrap());
        }
    }
}

fn remove(answer: &mut Object, parts: &[&str], kind: &str) {
    for part in parts {
        let Some(Value::Array(events)) = answer.get_mut(part) else { panic!("no {part}") };
        events.retain(|event| !is_of(event, kind));
    }
}

fn state_of(answer: &Object) -> Vec<Value> {
    answer.array("state").unwrap().to_vec()
}

#[test]
fn an_honest_answer_is_taken_whole() {
    for version in ["1", "5", "10", "12"] {
        let (mut net, room, answer) = joined(version);
        let told = state_of(&answer).len();
        let state = check(&mut net, &room, version, answer).unwrap();
        assert_eq!(state.state.len(), told, "{version}");
    }
}

#[test]
fn lies_are_found() {
    for version in ["1", "10", "12"] {
        let (mut net, room, honest) = joined(version);
        let alice = net.server("a.test").login("alice");
        let other = create(&mut net, "a.test", &alice, everyone());
        let (_, elsewhere) = send_join(&mut net, "c.test", "@carol:c.test", &other, "");
        let elsewhere = elsewhere.get("state").and_then(Value::as_array).unwrap().to_vec();
        let duplicate = state_of(&honest).into_iter().find(|event| is_of(event, "m.room.name")).unwrap();
        let forge = |event: &mut Object| {
            event.insert("origin_server_ts", 1u32);
        };
        type Lie<'a> = (&'a str, &'a dyn Fn(&mut Object));
        let lies: [Lie<'_>; 14] = [
            ("no state", &|answer| drop(answer.remove("state"))),
            ("no chain", &|answer| drop(answer.remove("auth_chain"))),
            ("no events", &|answer| drop(answer.insert("state", json!([1])))),
            ("members left out", &|answer| drop(answer.insert("members_omitted", true))),
            ("another room's state", &|answer| drop(answer.insert("state", elsewhere.clone()))),
            ("two names", &|answer| {
                let state = [state_of(answer), alloc::vec![duplicate.clone()]].concat();
                answer.insert("state", state);
            }),
            ("no create event", &|answer| remove(answer, &["state", "auth_chain"], "m.room.create")),
            ("a state without it", &|answer| remove(answer, &["state"], "m.room.create")),
            ("no power levels", &|answer| remove(answer, &["state", "auth_chain"], "m.room.power_levels")),
            ("forged power levels", &|answer| change(answer, "m.room.power_levels", forge)),
            ("forged join rules", &|answer| change(answer, "m.room.join_rules", forge)),
            ("a forged create event", &|answer| change(answer, "m.room.create", forge)),
            ("unsigned join rules", &|answer| {
                change(answer, "m.room.join_rules", |event| drop(event.insert("signatures", json!({}))));
            }),
            ("a message in the state", &|answer| {
                change(answer, "m.room.create", |event| drop(event.remove("state_key")));
            }),
        ];
        for (what, lie) in lies {
            let mut answer = honest.clone();
            lie(&mut answer);
            let result = check(&mut net, &room, version, answer);
            assert!(result.is_err(), "{version}: {what}");
        }
    }
}

#[test]
fn one_bad_event_is_left_out() {
    let (mut net, room, honest) = joined("11");
    for kind in ["m.tea", "m.room.name"] {
        let mut answer = honest.clone();
        change(&mut answer, kind, |event| {
            drop(event.insert("signatures", json!({ "a.test": { "ed25519:1": "AAAA" } })))
        });
        let state = check(&mut net, &room, "11", answer).unwrap();
        assert_eq!(state.state.len() + 1, state_of(&honest).len());
        assert!(!state.state.iter().any(|(other, ..)| other == kind));
    }
    // What a server changes in the content is lost, and the rest of the event stays.
    let mut answer = honest.clone();
    change(&mut answer, "m.tea", |event| drop(event.insert("content", json!({ "milk": false }))));
    let state = check(&mut net, &room, "11", answer).unwrap();
    let tea = state.events.iter().find(|event| event.kind == "m.tea").unwrap();
    assert_eq!(tea.content, Object::new());
}

#[test]
fn members_are_left_out_if_that_is_asked_for() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    let alice = net.server("a.test").register("alice");
    let count = |answer: &Value| {
        let state = answer.get("state").and_then(Value::as_array).unwrap();
        state.iter().filter(|event| is_of(event, "m.room.member")).count()
    };
    for (body, members) in [(json!({ "preset": "public_chat", "name": "Tea" }), 0), (everyone(), 1)] {
        let room = create(&mut net, "a.test", &alice, body);
        let (status, answer) = send_join(&mut net, "c.test", "@carol:c.test", &room, "?omit_members=true");
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer.get("members_omitted"), Some(&json!(true)));
        assert_eq!(answer.get("servers_in_room"), Some(&json!(["a.test"])));
        assert_eq!(count(&answer), members);
        let (_, answer) = send_join(&mut net, "b.test", "@bob:b.test", &room, "");
        assert_eq!(answer.get("members_omitted"), Some(&json!(false)));
        assert_eq!(count(&answer), 2);
    }
}
