use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::encryption::inbox;
use crate::http::{Method, percent_encode};
use crate::store::tables::Position;
use crate::testing::network::Net;
use crate::testing::{User, json};

const A: &str = "a.test";
const B: &str = "b.test";

/// Alice of one server and Bob of another in a room of Alice's.
struct World {
    net: Net,
    alice: User,
    bob: User,
    room: String,
}

impl World {
    fn new() -> World {
        let mut net = Net::new(&[A, B]);
        let alice = net.server(A).register("alice");
        let bob = net.server(B).register("bob");
        let body = json!({ "preset": "public_chat" });
        let room = net.ok(A, Method::Post, "/_matrix/client/v3/createRoom", &alice, body);
        let room = room.get("room_id").and_then(Value::as_str).unwrap().to_string();
        let path = alloc::format!("/_matrix/client/v3/join/{}?via={A}", percent_encode(&room));
        net.ok(B, Method::Post, &path, &bob, json!({}));
        World { net, alice, bob, room }
    }

    fn path(&self, rest: &str) -> String {
        alloc::format!("/_matrix/client/v3/rooms/{}{rest}", percent_encode(&self.room))
    }

    fn say(&mut self, words: &str) -> String {
        let path = self.path(&alloc::format!("/send/m.room.message/{words}"));
        let sent = self.net.ok(A, Method::Put, &path, &self.alice, json!({ "body": words }));
        sent.get("event_id").and_then(Value::as_str).unwrap().to_string()
    }

    /// A gets these from B.
    fn take(&mut self, edus: Vec<Value>) {
        self.net.run(A, move |cx| async move {
            handle(&cx, &ServerName::parse(B).unwrap(), &edus).await;
        });
    }

    /// What Alice's sync shows of the room that is not history, by type.
    fn ephemeral(&mut self) -> Vec<Value> {
        let answer = self.net.ok(A, Method::Get, "/_matrix/client/v3/sync", &self.alice, ());
        let room = answer.get("rooms").and_then(|rooms| rooms.get("join")?.get(&self.room)).cloned();
        room.and_then(|room| Some(room.get("ephemeral")?.get("events")?.as_array()?.to_vec())).unwrap_or_default()
    }

    fn typing(&mut self) -> Vec<Value> {
        let events = self.ephemeral();
        let typing = events.iter().find(|event| event.get("type") == Some(&Value::from("m.typing")));
        let users = typing.and_then(|event| event.get("content")?.get("user_ids")?.as_array());
        users.unwrap_or_default().to_vec()
    }

    fn receipts(&mut self) -> Vec<Value> {
        let mut events = self.ephemeral();
        events.retain(|event| event.get("type") == Some(&Value::from("m.receipt")));
        events.into_iter().map(|event| event.get("content").unwrap().clone()).collect()
    }

    fn presence(&mut self, of: &str) -> Option<String> {
        let answer = self.net.ok(A, Method::Get, "/_matrix/client/v3/sync", &self.alice, ());
        let events = answer.get("presence").and_then(|presence| presence.get("events")?.as_array()).unwrap_or_default();
        let event = events.iter().find(|event| event.get("sender") == Some(&Value::from(of)))?;
        Some(event.get("content")?.get("presence")?.as_str()?.to_string())
    }
}

fn edu(kind: &str, content: Value) -> Value {
    json!({ "edu_type": (kind), "content": (content) })
}

#[test]
fn typing_is_shown_while_it_lasts_and_only_of_members_of_the_server() {
    let mut world = World::new();
    let (room, bob) = (world.room.clone(), world.bob.user_id.clone());
    let typing = |room: &str, user: &str, typing: bool| {
        edu("m.typing", json!({ "room_id": (room), "user_id": (user), "typing": (typing) }))
    };
    world.take(alloc::vec![
        typing(&room, "@alice:a.test", true),
        typing(&room, "@carol:b.test", true),
        typing("!other:a.test", &bob, true),
        typing("no room", "nobody", true),
        edu("m.typing", json!({})),
        json!(7),
    ]);
    assert_eq!(world.typing(), Vec::<Value>::new());
    world.take(alloc::vec![json!(null), typing(&room, &bob, true)]);
    assert_eq!(world.typing(), [Value::from(bob.as_str())]);
    world.take(alloc::vec![typing(&room, &bob, false)]);
    assert_eq!(world.typing(), Vec::<Value>::new());
    world.take(alloc::vec![typing(&room, &bob, true)]);
    world.net.advance(61_000);
    assert_eq!(world.typing(), Vec::<Value>::new());
}

#[test]
fn receipts_are_shown() {
    let mut world = World::new();
    let (room, bob, event_id) = (world.room.clone(), world.bob.user_id.clone(), world.say("hello"));
    let receipt = |user: &str, event_id: &str, data: Value| {
        let users = Object::new().with(user, json!({ "event_ids": [(event_id)], "data": (data) }));
        edu("m.receipt", Object::new().with(&room, Object::new().with("m.read", users)).into())
    };
    world.take(alloc::vec![
        receipt("@alice:a.test", &event_id, json!({ "ts": 5 })),
        receipt("@carol:b.test", &event_id, json!({ "ts": 5 })),
        receipt(&bob, "$unknown", json!({ "ts": 5 })),
        receipt(&bob, &event_id, json!({})),
        receipt(&bob, &event_id, json!({ "ts": 5, "thread_id": "" })),
        edu("m.receipt", json!({ "!other:a.test": {} })),
    ]);
    assert_eq!(world.receipts(), Vec::<Value>::new());
    world.take(alloc::vec![
        receipt(&bob, &event_id, json!({ "ts": 5 })),
        receipt(&bob, &event_id, json!({ "ts": 6, "thread_id": "main" })),
    ]);
    let of = |details: Value| {
        let users = Object::new().with(&bob, details);
        Value::from(Object::new().with(&event_id, Object::new().with("m.read", users)))
    };
    assert_eq!(world.receipts(), [of(json!({ "ts": 5 })), of(json!({ "thread_id": "main", "ts": 6 }))]);
}

#[test]
fn a_server_that_the_room_keeps_out_is_not_heard() {
    let mut world = World::new();
    let (room, bob, event_id) = (world.room.clone(), world.bob.user_id.clone(), world.say("hello"));
    let acl = json!({ "allow": ["*"], "deny": [(B)] });
    world.net.ok(A, Method::Put, &world.path("/state/m.room.server_acl/"), &world.alice.clone(), acl);
    let users = Object::new().with(&bob, json!({ "event_ids": [(event_id)], "data": { "ts": 5 } }));
    world.take(alloc::vec![
        edu("m.typing", json!({ "room_id": (room.as_str()), "user_id": (bob.as_str()), "typing": true })),
        edu("m.receipt", Object::new().with(&room, Object::new().with("m.read", users)).into()),
    ]);
    assert_eq!(world.ephemeral(), Vec::<Value>::new());
}

#[test]
fn presence_is_shown_while_it_lasts() {
    let mut world = World::new();
    let bob = world.bob.user_id.clone();
    let update = |user: &str| json!({ "user_id": (user), "presence": "online", "last_active_ago": 3 });
    world.take(alloc::vec![edu(
        "m.presence",
        json!({ "push": [(update("@carol:b.test")), (update("@alice:a.test"))] })
    )]);
    assert_eq!(world.presence("@carol:b.test"), None);
    world.take(alloc::vec![edu("m.presence", json!({ "push": [7, {}, (update(&bob))] }))]);
    assert_eq!(world.presence(&bob).as_deref(), Some("online"));
    let path = alloc::format!("/_matrix/client/v3/presence/{}/status", percent_encode(&bob));
    let status = world.net.ok(A, Method::Get, &path, &world.alice, ());
    assert_eq!(status.get("presence"), Some(&Value::from("online")));
    world.net.server(A).advance(1_900_000);
    assert_eq!(world.presence(&bob), None);
}

/// Who sent a message will not send it again: it waits until the storage can be read. What cannot ever be read holds up nothing else.
#[test]
fn a_message_to_a_device_outlives_a_fault_of_the_storage() {
    const BROKEN: Table<(), ()> = Table::new(tags::SEEN_MESSAGE_NEXT_SLOT);
    let mut world = World::new();
    let (alice, room) = (world.alice.clone(), world.room.clone());
    let messages = Object::new().with(&alice.user_id, json!({ "*": {} }));
    let message = |id: &str| {
        let content =
            json!({ "sender": "@bob:b.test", "type": "m.test", "message_id": (id), "messages": (messages.clone()) });
        edu("m.direct_to_device", content)
    };
    let typing = edu("m.typing", json!({ "room_id": (room), "user_id": "@bob:b.test", "typing": true }));
    let set = |world: &mut World, is_broken: bool| {
        world.net.run(A, move |cx| async move {
            let put = |step: &mut Step<'_>| match is_broken {
                true => BROKEN.put(step, (), &()),
                false => Table::<(), u32>::new(tags::SEEN_MESSAGE_NEXT_SLOT).put(step, (), &0),
            };
            cx.step(|step| {
                put(step);
                Ok(())
            })
            .unwrap();
        });
    };
    let begin = |world: &mut World, edus: Vec<Value>| {
        let origin = ServerName::parse(B).unwrap();
        world.net.server(A).start_flow(|cx| async move { handle(&cx, &origin, &edus).await });
        world.net.settle();
    };
    let waiting = |world: &mut World| {
        let device = (&alice.user_id, &alice.device_id);
        let range = (Position(0), Position(u64::MAX));
        world.net.server(A).inspect(|read| inbox::between(&read, device, range, 10)).unwrap().len()
    };
    set(&mut world, true);
    begin(&mut world, alloc::vec![message("1")]);
    set(&mut world, false);
    assert_eq!(waiting(&mut world), 0);
    world.net.advance(60_000);
    assert_eq!(waiting(&mut world), 1);
    set(&mut world, true);
    begin(&mut world, alloc::vec![message("2"), message("3"), typing]);
    world.net.advance(15_000);
    assert_eq!((waiting(&mut world), world.typing().len()), (1, 1));
}

#[test]
fn a_message_to_a_device_is_laid_down_once() {
    let mut world = World::new();
    let phone = world.net.server(A).login("alice");
    let alice = world.alice.clone();
    let message = |id: &str, device: &str, sender: &str| {
        let content = Object::new().with(device, json!({ "n": 1 }));
        let messages = Object::new().with(&alice.user_id, content).with("@nobody:a.test", json!({ "*": {} }));
        let content = json!({ "sender": (sender), "type": "m.test", "message_id": (id), "messages": (messages) });
        edu("m.direct_to_device", content)
    };
    world.take(alloc::vec![
        message("1", "*", "@bob:b.test"),
        message("1", "*", "@bob:b.test"),
        message("2", &phone.device_id, "@bob:b.test"),
        message("3", "*", "@alice:a.test"),
        message("a much longer ID than the specification allows", "*", "@bob:b.test"),
    ]);
    world.take(alloc::vec![message("2", "*", "@bob:b.test")]);
    let waiting = |world: &mut World, user: &User| {
        let device = (&user.user_id, &user.device_id);
        let range = (Position(0), Position(u64::MAX));
        world.net.server(A).inspect(|read| inbox::between(&read, device, range, 10)).unwrap().len()
    };
    assert_eq!((waiting(&mut world, &alice), waiting(&mut world, &phone)), (1, 2));
    world.net.ok(A, Method::Post, "/_matrix/client/v3/logout", &phone, ());
    assert_eq!((waiting(&mut world, &alice), waiting(&mut world, &phone)), (1, 0));
}
