//! Templates of other servers, which are read and never signed.

use super::super::handshake::{Asked, Template};
use super::*;
use crate::canonical_json::Object;
use crate::event::content::Membership;
use crate::identifiers::{RoomId, UserId};
use crate::room_version::RoomVersion;

fn asked() -> Asked {
    Asked {
        room_id: RoomId::parse("!tea:a.test").unwrap(),
        user_id: UserId::parse("@bob:b.test").unwrap(),
        membership: Membership::Join,
        content: Object::new().with("displayname", "Bob"),
    }
}

fn template(version: &str) -> Object {
    let reference = |id: &str| match version {
        "1" | "2" => json!([(id), { "sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }]),
        _ => Value::from(id),
    };
    let Value::Object(answer) = json!({
        "room_version": (version),
        "event": {
            "type": "m.room.member", "room_id": "!tea:a.test", "sender": "@bob:b.test", "state_key": "@bob:b.test",
            "content": { "membership": "join", "evil": true },
            "depth": 7, "prev_events": [(reference("$prev"))], "auth_events": [(reference("$auth"))],
            "origin": "a.test", "origin_server_ts": 1, "evil": true
        }
    }) else {
        unreachable!()
    };
    answer
}

fn read(answer: Object) -> Result<Template, &'static str> {
    Template::read(&Value::Object(answer), &asked(), &ServerName::parse("a.test").unwrap())
}

#[test]
fn nothing_is_signed_but_what_was_asked_for() {
    let mut net = Net::new(&["b.test"]);
    for version in RoomVersion::ALL {
        let template = read(template(version.as_str())).unwrap();
        let event = net.run("b.test", |cx| async move { cx.step(|step| template.event(step, &asked())) });
        let event = event.unwrap().to_object();
        assert!(!event.contains("evil") && !event.contains("origin"), "{event:?}");
        let content = event.object("content").unwrap();
        assert_eq!(*content, Object::new().with("displayname", "Bob").with("membership", "join"));
        assert_eq!(event.integer("depth"), Some(7));
        assert_eq!(event.array("prev_events").unwrap().len(), 1);
        assert_eq!(event.object("signatures").unwrap().len(), 1);
    }
}

#[test]
fn templates_of_something_else_are_refused() {
    let check = |name: &str, value: Value| {
        let mut answer = template("11");
        answer.get_mut("event").and_then(Value::as_object_mut).unwrap().insert(name, value.clone());
        assert!(read(answer).is_err(), "{name}: {value}");
    };
    check("type", json!("m.room.name"));
    check("room_id", json!("!other:a.test"));
    check("sender", json!("@carol:b.test"));
    check("state_key", json!("@carol:b.test"));
    check("state_key", json!(null));
    check("content", json!({ "membership": "ban" }));
    check("content", json!("join"));
    check("depth", json!(-1));
    check("depth", json!("7"));
    check("prev_events", json!([]));
    check("prev_events", json!("$prev"));
    check("prev_events", json!([7]));
    check("prev_events", json!([["$prev", { "sha256": "AAAA" }]]));
    check("prev_events", Value::Array(alloc::vec![Value::from("$prev"); 21]));
    check("auth_events", Value::Array(alloc::vec![Value::from("$auth"); 11]));
    check("auth_events", json!(["no event"]));
    for authoriser in ["@carol:c.test", "carol", "@bob:b.test"] {
        check("content", json!({ "membership": "join", "join_authorised_via_users_server": (authoriser) }));
    }
    for version in ["0", "13", "org.matrix"] {
        let answer = template("11").with("room_version", version);
        assert!(read(answer).is_err());
    }
    assert!(read(template("11").with("event", json!([]))).is_err());
    assert!(read(Object::new()).is_err());
    // Without a version it is 1 or 2, whose references have hashes.
    let mut answer = template("11");
    answer.remove("room_version");
    assert!(read(answer).is_err());
    let mut answer = template("1");
    answer.remove("room_version");
    assert_eq!(read(answer).unwrap().version, RoomVersion::V1);
}

#[test]
fn references_without_hashes_are_cited_without() {
    let mut net = Net::new(&["b.test"]);
    let mut answer = template("1");
    let event = answer.get_mut("event").and_then(Value::as_object_mut).unwrap();
    event.insert("auth_events", json!([["$auth", {}], ["$power", {}]]));
    let template = read(answer.clone()).unwrap();
    let event = net.run("b.test", |cx| async move { cx.step(|step| template.event(step, &asked())) });
    let event = event.unwrap().to_object();
    assert_eq!(event.get("auth_events"), Some(&json!([["$auth", {}], ["$power", {}]])));
    let event = answer.get_mut("event").and_then(Value::as_object_mut).unwrap();
    event.insert("auth_events", json!([["$auth", { "sha256": 7 }]]));
    assert!(read(answer).is_err());
}

#[test]
fn who_authorises_a_join_is_of_the_server_that_was_asked() {
    let mut answer = template("11");
    let content = json!({ "membership": "join", "join_authorised_via_users_server": "@alice:a.test" });
    answer.get_mut("event").and_then(Value::as_object_mut).unwrap().insert("content", content.clone());
    assert_eq!(read(answer).unwrap().authoriser, UserId::parse("@alice:a.test").ok());
    // Versions before 8 know no such thing.
    let mut answer = template("7");
    answer.get_mut("event").and_then(Value::as_object_mut).unwrap().insert("content", content);
    assert_eq!(read(answer).unwrap().authoriser, None);
}
