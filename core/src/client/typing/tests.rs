use alloc::format;
use alloc::string::String;

use super::*;
use crate::http::Method::{Post, Put};
use crate::testing::{Server, User, json};

fn user(name: &str) -> UserId {
    UserId::parse(&format!("@{name}:example.org")).unwrap()
}

#[test]
fn a_list_changes_when_somebody_begins_or_stops() {
    let mut typing = Typing::default();
    let (room, other) = (RoomNum(1), RoomNum(2));
    let (alice, bob) = (user("alice"), user("bob"));
    assert!(!typing.set(room, &alice, None));
    assert!(typing.set(room, &alice, Some(Timestamp(100))));
    assert!(!typing.set(room, &alice, Some(Timestamp(200))), "going on changes nothing");
    assert!(typing.set(room, &bob, Some(Timestamp(150))));
    assert!(typing.set(other, &bob, Some(Timestamp(150))));
    let serial = typing.serial();
    assert_eq!(typing.changed_since(room, 0), Some(alloc::vec![alice.clone(), bob.clone()]));
    assert_eq!(typing.changed_since(room, serial), None);
    assert_eq!(typing.next_deadline(), Some(Timestamp(150)));
    assert!(typing.expire(Timestamp(149)).is_empty());
    assert_eq!(typing.expire(Timestamp(150)), BTreeSet::from([room, other]));
    assert_eq!(typing.changed_since(room, serial), Some(alloc::vec![alice.clone()]));
    assert_eq!(typing.changed_since(other, serial), Some(Vec::new()));
    assert!(typing.set(room, &alice, None));
    assert_eq!(typing.next_deadline(), None);
    assert_eq!(typing.rooms_since(serial).collect::<Vec<_>>(), [other, room]);
}

#[test]
fn rooms_are_bounded() {
    let mut typing = Typing::default();
    for room in 0..MAX_TYPING_ROOMS as u32 + 10 {
        typing.set(RoomNum(room), &user("alice"), Some(Timestamp(u64::from(room))));
    }
    assert_eq!(typing.rooms.len(), MAX_TYPING_ROOMS);
    assert_eq!((typing.by_serial.len(), typing.deadlines.len()), (MAX_TYPING_ROOMS, MAX_TYPING_ROOMS));
    assert_eq!(typing.changed_since(RoomNum(0), 0), None);
}

fn path(room: &str, user: &User) -> String {
    format!("/_matrix/client/v3/rooms/{room}/typing/{}", user.user_id)
}

#[test]
fn only_members_type_and_only_for_themselves() {
    let mut server = Server::new();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let answer = server.ok(Post, "/_matrix/client/v3/createRoom", &alice, json!({}));
    let room = answer.get("room_id").unwrap().as_str().unwrap();
    let path = |user: &User| path(room, user);
    server.ok(Put, &path(&alice), &alice, json!({ "typing": true, "timeout": 1000 }));
    server.ok(Put, &path(&alice), &alice, json!({ "typing": false }));
    server.fails(Put, &path(&alice), &bob, json!({ "typing": true }), 403, "M_FORBIDDEN");
    server.fails(Put, &path(&bob), &bob, json!({ "typing": true }), 403, "M_FORBIDDEN");
    server.fails(Put, &path(&alice), &alice, json!({}), 400, "M_MISSING_PARAM");
    server.fails(Put, &path(&alice), &alice, json!({ "typing": "yes" }), 400, "M_BAD_JSON");
    server.fails(Put, &path(&alice), &alice, json!({ "typing": true, "timeout": "long" }), 400, "M_BAD_JSON");
    server.ok(Put, &path(&alice), &alice, json!({ "typing": true, "timeout": (-1) }));
}
