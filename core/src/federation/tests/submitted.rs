//! Events that other servers submit: joins, knocks and leaves through this one.

use super::*;
use crate::canonical_json::Object;
use crate::event::NewEvent;
use crate::identifiers::{EventId, RoomId, UserId};
use crate::room_version::RoomVersion;

/// What is wrong with a join, if anything.
#[derive(Clone)]
struct Join {
    kind: &'static str,
    room: String,
    sender: &'static str,
    state_key: Option<&'static str>,
    content: Value,
}

/// The join as `b.test` signs it.
fn event(net: &mut Net, template: &Value, join: Join) -> Object {
    let ids = |name: &str| -> Vec<EventId> {
        let items = template.get("event").and_then(|event| event.get(name)).and_then(Value::as_array).unwrap();
        items.iter().map(|item| EventId::parse(item.as_str().unwrap()).unwrap()).collect()
    };
    let (prev_events, auth_events) = (ids("prev_events"), ids("auth_events"));
    let pdu = net.run("b.test", move |cx| async move {
        cx.step(|step| {
            let Value::Object(content) = join.content.clone() else { unreachable!() };
            let event = NewEvent {
                version: RoomVersion::V11,
                room_id: Some(&RoomId::parse(&join.room).unwrap()),
                sender: &UserId::parse(join.sender).unwrap(),
                kind: join.kind,
                state_key: join.state_key,
                content,
                prev_events: &prev_events,
                auth_events: &auth_events,
                depth: 9,
                origin_server_ts: step.now,
                redacts: None,
                reference_hash: &|_| Ok(None),
            };
            Ok(event.build(&step.config.server_name, step.signing_key)?)
        })
    });
    let pdu = pdu.unwrap();
    pdu.to_object().with("id", pdu.event_id.as_str())
}

#[test]
fn what_is_no_join_of_the_sender_is_refused() {
    let mut net = Net::new(&["a.test", "b.test"]);
    let alice = net.server("a.test").register("alice");
    let body = json!({ "preset": "public_chat", "room_version": "11" });
    let room = create(&mut net, "a.test", &alice, body.clone());
    let other = create(&mut net, "a.test", &alice, body);
    let make = alloc::format!("/_matrix/federation/v1/make_join/{}/@bob:b.test?ver=11", percent_encode(&room));
    let (status, template) = ask(&mut net, "b.test", "a.test", Outgoing::get(make));
    assert_eq!(status, 200, "{template}");
    let good = Join {
        kind: "m.room.member",
        room: room.clone(),
        sender: "@bob:b.test",
        state_key: Some("@bob:b.test"),
        content: json!({ "membership": "join" }),
    };
    let send = |net: &mut Net, name: &str, mut event: Object| {
        let Some(Value::String(id)) = event.remove("id") else { unreachable!() };
        let target = alloc::format!("/_matrix/federation/{name}/{}/{}", percent_encode(&room), percent_encode(&id));
        ask(net, "b.test", "a.test", Outgoing::put(target, Value::Object(event)))
    };
    let refused = |answer: &(u16, Value), what: &str| {
        let (status, body) = answer;
        assert_eq!((*status, body.get("errcode")), (400, Some(&Value::from("M_INVALID_PARAM"))), "{what}: {body}");
    };
    let wrong: [(&str, Join); 6] = [
        ("type", Join { kind: "m.room.name", ..good.clone() }),
        ("room", Join { room: other, ..good.clone() }),
        ("sender", Join { sender: "@alice:a.test", state_key: Some("@alice:a.test"), ..good.clone() }),
        ("state key", Join { state_key: Some("@carol:b.test"), ..good.clone() }),
        ("no state key", Join { state_key: None, ..good.clone() }),
        ("membership", Join { content: json!({ "membership": "leave" }), ..good.clone() }),
    ];
    for (what, join) in wrong {
        let event = event(&mut net, &template, join);
        refused(&send(&mut net, "v2/send_join", event), what);
    }
    let honest = event(&mut net, &template, good);
    for name in ["v2/send_leave", "v1/send_knock", "v1/send_leave"] {
        refused(&send(&mut net, name, honest.clone()), name);
    }
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Object));
    let changes: [Change<'_>; 4] = [
        ("ID", &|event| drop(event.insert("id", "$other"))),
        ("hash", &|event| drop(event.insert("content", json!({ "membership": "join", "displayname": "Bob" })))),
        ("signature", &|event| {
            event.insert("signatures", json!({ "b.test": { "ed25519:1": "AAAA" } }));
        }),
        ("nobody's signature", &|event| drop(event.insert("signatures", json!({})))),
    ];
    for (what, change) in changes {
        let mut event = honest.clone();
        change(&mut event);
        refused(&send(&mut net, "v2/send_join", event), what);
    }
    let (status, answer) = send(&mut net, "v2/send_join", Object::new().with("id", "$none"));
    assert_eq!((status, answer.get("errcode")), (400, Some(&Value::from("M_BAD_JSON"))), "{answer}");
    // The same event twice is answered twice.
    for _ in 0..2 {
        let (status, answer) = send(&mut net, "v2/send_join", honest.clone());
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer.get("event").and_then(|event| event.get("sender")), Some(&Value::from("@bob:b.test")));
    }
    let (status, answer) = send(&mut net, "v1/send_join", honest);
    assert_eq!((status, answer.as_array().map(<[Value]>::len)), (200, Some(2)));
}

#[test]
fn templates_are_for_those_who_may() {
    let mut net = Net::new(&["a.test", "b.test", "c.test"]);
    let alice = net.server("a.test").register("alice");
    let room = create(&mut net, "a.test", &alice, json!({ "preset": "public_chat", "room_version": "10" }));
    let check = |net: &mut Net, name: &str, room: &str, rest: &str, status: u16, errcode: &str| {
        let target = alloc::format!("/_matrix/federation/v1/{name}/{}/{rest}", percent_encode(room));
        let (found, answer) = ask(net, "b.test", "a.test", Outgoing::get(target));
        assert_eq!((found, answer.get("errcode")), (status, Some(&Value::from(errcode))), "{name} {rest}: {answer}");
        answer
    };
    let answer = check(&mut net, "make_join", &room, "@bob:b.test?ver=9&ver=11", 400, "M_INCOMPATIBLE_ROOM_VERSION");
    assert_eq!(answer.get("room_version"), Some(&Value::from("10")));
    check(&mut net, "make_join", &room, "@bob:b.test", 400, "M_INCOMPATIBLE_ROOM_VERSION");
    check(&mut net, "make_knock", &room, "@bob:b.test?ver=1", 400, "M_INCOMPATIBLE_ROOM_VERSION");
    check(&mut net, "make_join", &room, "@carol:c.test?ver=10", 403, "M_FORBIDDEN");
    check(&mut net, "make_join", &room, "bob?ver=10", 400, "M_INVALID_PARAM");
    check(&mut net, "make_join", "!nowhere:a.test", "@bob:b.test?ver=10", 404, "M_NOT_FOUND");
    check(&mut net, "make_join", "nowhere", "@bob:b.test?ver=10", 400, "M_INVALID_PARAM");
    check(&mut net, "make_leave", &room, "@bob:b.test", 403, "M_FORBIDDEN");
    check(&mut net, "make_knock", &room, "@bob:b.test?ver=10", 403, "M_FORBIDDEN");
}
