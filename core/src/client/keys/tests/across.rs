use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::testing::{device_keys, one_time_keys};
use crate::canonical_json::{Object, Value};
use crate::encryption::device_lists;
use crate::federation::outgoing::{Outgoing, RemoteError, call};
use crate::http::Method::{Get, Post, Put};
use crate::http::percent_encode;
use crate::identifiers::{DeviceId, ServerName};
use crate::signing::base64;
use crate::store::tables::Position;
use crate::testing::network::Net;
use crate::testing::{User, json};

const A: &str = "a.test";
const B: &str = "b.test";
const UPLOAD: &str = "/_matrix/client/v3/keys/upload";
const QUERY: &str = "/_matrix/client/v3/keys/query";
const CLAIM: &str = "/_matrix/client/v3/keys/claim";

/// Alice of one server and Bob of another.
struct World {
    net: Net,
    alice: User,
    bob: User,
}

impl World {
    fn new() -> World {
        let mut net = Net::new(&[A, B]);
        let alice = net.server(A).register("alice");
        let bob = net.server(B).register("bob");
        net.ok(B, Post, UPLOAD, &bob, json!({ "device_keys": (device_keys(&bob)) }));
        World { net, alice, bob }
    }

    /// Lets the two share a room.
    fn share_a_room(&mut self) -> String {
        let body = json!({ "preset": "public_chat" });
        let room = self.net.ok(A, Post, "/_matrix/client/v3/createRoom", &self.alice, body);
        let room = room.get("room_id").and_then(Value::as_str).unwrap().to_string();
        let path = format!("/_matrix/client/v3/join/{}?via={A}", percent_encode(&room));
        self.net.ok(B, Post, &path, &self.bob, json!({}));
        room
    }

    /// What Alice is told of Bob's devices.
    fn query(&mut self) -> Value {
        let asked = Object::new().with(&self.bob.user_id, json!([]));
        self.net.ok(A, Post, QUERY, &self.alice, json!({ "device_keys": (asked), "timeout": 5000 }))
    }

    /// The devices in that.
    fn devices(&mut self) -> Vec<String> {
        let answer = self.query();
        let devices = answer.get("device_keys").and_then(|keys| keys.get(&self.bob.user_id)?.as_object());
        devices.into_iter().flat_map(Object::iter).map(|(device, _)| device.to_string()).collect()
    }

    /// How often A has asked B for keys since the last look.
    fn requests(&mut self) -> usize {
        let count = self.net.log.iter().filter(|line| line.starts_with("a.test") && line.contains("/user/")).count();
        self.net.log.clear();
        count
    }

    fn claims(&self) -> Value {
        let claims = Object::new().with(&self.bob.device_id, "signed_curve25519");
        json!({ "one_time_keys": (Object::new().with(&self.bob.user_id, claims)) })
    }
}

#[test]
fn keys_of_others_are_asked_for_and_kept_while_a_room_is_shared() {
    let mut world = World::new();
    let keys = device_keys(&world.bob).with("unsigned", Object::new());
    let devices = Object::new().with(&world.bob.device_id, keys);
    let expected = json!({ "device_keys": (Object::new().with(&world.bob.user_id, devices)), "failures": {} });
    for requests in [1, 1] {
        assert_eq!(world.query(), expected);
        assert_eq!(world.requests(), requests);
    }
    let room = world.share_a_room();
    for requests in [1, 0] {
        assert_eq!(world.query(), expected);
        assert_eq!(world.requests(), requests);
    }
    world.net.crash(A);
    assert_eq!(world.query(), expected);
    assert_eq!(world.requests(), 0);
    // Who was away may have changed devices unheard.
    let path = |what: &str| format!("/_matrix/client/v3/rooms/{}/{what}", percent_encode(&room));
    world.net.ok(B, Post, &path("leave"), &world.bob.clone(), json!({}));
    world.net.advance(5_000);
    world.net.ok(B, Post, &path("join"), &world.bob.clone(), json!({}));
    world.net.advance(5_000);
    world.requests();
    for requests in [1, 0] {
        assert_eq!(world.query(), expected);
        assert_eq!(world.requests(), requests);
    }
}

#[test]
fn users_whom_their_server_does_not_know_are_not_in_the_answer() {
    let mut world = World::new();
    let asked = json!({ "device_keys": { "@nobody:b.test": [] } });
    assert_eq!(world.net.ok(A, Post, QUERY, &world.alice, asked), json!({ "device_keys": {}, "failures": {} }));
}

#[test]
fn a_server_that_does_not_answer_is_a_failure() {
    let mut world = World::new();
    world.net.cut(A, B);
    let query = world.query();
    let claims = world.claims();
    let claim = world.net.ok(A, Post, CLAIM, &world.alice, claims);
    for (answer, name) in [(query, "device_keys"), (claim, "one_time_keys")] {
        assert_eq!(answer.get(name), Some(&json!({})));
        assert!(answer.get("failures").and_then(|failures| failures.get(B)).is_some(), "{answer}");
    }
}

#[test]
fn one_time_keys_are_claimed_from_other_servers_once() {
    let mut world = World::new();
    let keys = one_time_keys(&world.bob, &["A"], false);
    world.net.ok(B, Post, UPLOAD, &world.bob, json!({ "one_time_keys": (keys.clone()) }));
    let claimed = Object::new().with(&world.bob.user_id, Object::new().with(&world.bob.device_id, keys));
    for keys in [claimed, Object::new()] {
        let claims = world.claims();
        let answer = world.net.ok(A, Post, CLAIM, &world.alice, claims);
        assert_eq!(answer, json!({ "one_time_keys": (keys), "failures": {} }));
    }
}

#[test]
fn claims_of_other_servers_are_checked() {
    let mut world = World::new();
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({ "one_time_keys": { "@alice:a.test": {} } }), "M_INVALID_PARAM"),
        (json!({ "one_time_keys": { "@bob:b.test": ["D"] } }), "M_BAD_JSON"),
    ] {
        let answer = world.net.run(A, move |cx| async move {
            let request = Outgoing::post("/_matrix/federation/v1/user/keys/claim", body);
            call(&cx, &ServerName::parse(B).unwrap(), request).await
        });
        let Err(RemoteError::Refused { status: 400, errcode: found, .. }) = answer else { panic!("{answer:?}") };
        assert_eq!(found, errcode);
    }
}

#[test]
fn lies_about_keys_are_not_passed_on() {
    let mut world = World::new();
    let bob = world.bob.clone();
    let of_bob = |devices: Value| Object::new().with(&bob.user_id, devices);
    let good = device_keys(&bob);
    let other = device_keys(&User { device_id: DeviceId::parse("X").unwrap(), ..bob.clone() });
    let path = "/_matrix/federation/v1/user/keys/query";
    for (lie, devices) in [
        (json!({ "device_keys": (of_bob(json!({ "X": (good) }))) }), 0),
        (json!({ "device_keys": (of_bob(json!({ "X": 1, "": {} }))) }), 0),
        (json!({ "device_keys": (of_bob(json!({ "X": (other) })).with("@alice:a.test", json!({ "Y": {} }))) }), 1),
    ] {
        world.net.lie(B, path, 200, lie);
        let answer = world.query();
        assert_eq!(world.devices().len(), devices, "{answer}");
        assert_eq!(answer.get("device_keys").and_then(|keys| keys.get("@alice:a.test")), None);
    }
    for lie in [json!({}), json!([]), json!({ "device_keys": 1 })] {
        world.net.lie(B, path, 200, lie);
        assert!(world.query().get("failures").and_then(|failures| failures.get(B)).is_some());
    }
    let wrong = Object::new().with(&bob.device_id, json!({ "curve25519:A": "A" })).with("other", json!({}));
    let lie = json!({ "one_time_keys": (of_bob(wrong.into())) });
    world.net.lie(B, "/_matrix/federation/v1/user/keys/claim", 200, lie);
    let claims = world.claims();
    let answer = world.net.ok(A, Post, CLAIM, &world.alice, claims);
    assert_eq!(answer, json!({ "one_time_keys": {}, "failures": {} }));
}

#[test]
fn servers_that_come_to_share_a_room_are_told_of_devices() {
    let mut world = World::new();
    let (told, since) = sync(&mut world, "");
    assert!(!told);
    world.share_a_room();
    world.net.advance(2_000);
    let update = |world: &mut World| {
        let bob = world.bob.user_id.clone();
        world.net.server(A).inspect(|read| device_lists::changed_since(&read, Position(0)).unwrap().contains(&bob))
    };
    // The EDU has arrived, beside the join itself, for which Alice looks at Bob's devices.
    assert!(update(&mut world));
    assert!(sync(&mut world, &since).0);
    // Nothing is told twice.
    let (_, since) = sync(&mut world, "");
    world.share_a_room();
    world.net.advance(2_000);
    let before = world.net.server(A).inspect(|read| device_lists::version(&read, &world.bob.user_id).unwrap());
    world.share_a_room();
    world.net.advance(2_000);
    let after = world.net.server(A).inspect(|read| device_lists::version(&read, &world.bob.user_id).unwrap());
    assert_eq!(before, after);
    assert!(sync(&mut world, &since).0);
}

/// Alice syncs; whether she is told to look at Bob's devices, and where to go on.
fn sync(world: &mut World, since: &str) -> (bool, String) {
    let answer = world.net.ok(A, Get, &format!("/_matrix/client/v3/sync{since}"), &world.alice, ());
    let changed = answer.get("device_lists").and_then(|lists| lists.get("changed"));
    let next = answer.get("next_batch").and_then(Value::as_str).unwrap();
    (changed == Some(&json!(["@bob:b.test"])), format!("?since={next}"))
}

#[test]
fn lists_follow_the_updates_of_their_server() {
    let mut world = World::new();
    world.share_a_room();
    assert_eq!(world.devices().len(), 1);
    world.net.advance(2_000);
    let (_, mut since) = sync(&mut world, "");
    world.requests();

    let phone = world.net.server(B).login("bob");
    let name = format!("/_matrix/client/v3/devices/{}", phone.device_id);
    for (method, path, body, devices) in [
        (Post, UPLOAD, json!({ "device_keys": (device_keys(&phone)) }), 2),
        (Put, name.as_str(), json!({ "display_name": "phone" }), 2),
        (Post, "/_matrix/client/v3/logout", json!({}), 1),
    ] {
        world.net.ok(B, method, path, &phone, body);
        world.net.advance(2_000);
        let (told, next) = sync(&mut world, &since);
        assert!(told, "{path}");
        since = next;
        assert_eq!(world.devices().len(), devices, "{path}");
        // It all came by itself.
        assert_eq!(world.requests(), 0, "{path}");
    }
    // What happens while the servers cannot reach each other arrives later.
    world.net.cut(A, B);
    let tablet = world.net.server(B).login("bob");
    world.net.ok(B, Post, UPLOAD, &tablet, json!({ "device_keys": (device_keys(&tablet)) }));
    world.net.advance(5_000);
    world.net.crash(B);
    world.net.advance(10_000);
    world.net.heal();
    world.net.advance(120_000);
    assert!(sync(&mut world, &since).0);
    assert_eq!(world.devices().len(), 2);
    assert_eq!(world.requests(), 0);
}

#[test]
fn a_gap_in_the_updates_has_the_whole_list_asked_for() {
    let mut world = World::new();
    world.share_a_room();
    assert_eq!(world.devices().len(), 1);
    let bob = world.bob.user_id.clone();
    let update = move |stream_id: i64, previous: i64| {
        json!({ "edu_type": "m.device_list_update", "content": { "user_id": (bob.as_str()), "device_id": "D",
            "stream_id": (stream_id), "prev_id": [(previous)], "deleted": true } })
    };
    let take = |world: &mut World, edu: Value| {
        world.requests();
        world.net.run(A, move |cx| async move {
            let origin = ServerName::parse(B).unwrap();
            crate::server_server::edus::handle(&cx, &origin, &[edu]).await;
        });
        world.net.settle();
        world.requests()
    };
    assert_eq!(take(&mut world, update(90_000, 89_999)), 1);
    // B's list says that it is older than what was announced: it is asked for again when somebody wants to know.
    assert_eq!(world.devices().len(), 1);
    assert_eq!(world.requests(), 1);
    assert_eq!(take(&mut world, update(90_000, 89_999)), 0);
    assert_eq!(take(&mut world, update(1, 0)), 0);
}

#[test]
fn devices_of_users_who_are_not_here_are_refused() {
    let mut world = World::new();
    let mut ask = |user: &str| {
        let target = format!("/_matrix/federation/v1/user/devices/{user}");
        let to = ServerName::parse(B).unwrap();
        world.net.run(A, move |cx| async move { call(&cx, &to, Outgoing::get(target)).await })
    };
    let answer = ask("@bob:b.test").unwrap();
    assert_eq!(answer.get("user_id"), Some(&json!("@bob:b.test")));
    for (user, refused) in [
        ("@nobody:b.test", (404, "M_NOT_FOUND")),
        ("@alice:a.test", (400, "M_INVALID_PARAM")),
        ("alice", (400, "M_INVALID_PARAM")),
    ] {
        let Err(RemoteError::Refused { status, body, .. }) = ask(user) else { panic!("{user} was not refused") };
        assert_eq!((status, body.get("errcode").and_then(Value::as_str)), (refused.0, Some(refused.1)), "{user}");
    }
}

/// A has heard of a join that B has not heard of yet, and asks for the devices of whoever it shares a room with now.
#[test]
fn who_asked_before_a_room_was_shared_is_told_of_changes_too() {
    let mut world = World::new();
    let devices = format!("/_matrix/federation/v1/user/devices/{}", world.bob.user_id);
    let ask = |world: &mut World| {
        let target = devices.clone();
        let to = ServerName::parse(B).unwrap();
        world.net.run(A, move |cx| async move { call(&cx, &to, Outgoing::get(target)).await.unwrap() });
    };
    let updates = |world: &mut World, name: &str| {
        let path = format!("/_matrix/client/v3/devices/{}", world.bob.device_id);
        world.net.log.clear();
        world.net.ok(B, Put, &path, &world.bob, json!({ "display_name": (name) }));
        world.net.advance(2_000);
        world.net.log.iter().filter(|line| line.contains("/send/")).count()
    };
    assert_eq!(updates(&mut world, "nobody knows"), 0);
    ask(&mut world);
    assert_eq!(updates(&mut world, "A may know"), 1);
    world.net.advance(25 * 3_600_000);
    assert_eq!(updates(&mut world, "that was long ago"), 0);
}

/// A transaction may have been held up, and come after one that was sent later: which keys are right only the user's server knows.
#[test]
fn other_signing_keys_are_asked_for_too() {
    let mut world = World::new();
    world.share_a_room();
    assert_eq!(world.devices().len(), 1);
    world.net.advance(2_000);
    let master = |number: u8| {
        let key = base64::encode_unpadded(&[number; 32]);
        json!({ "user_id": "@bob:b.test", "usage": ["master"], "keys": { (format!("ed25519:{key}")): (key) } })
    };
    let tell = |world: &mut World, transaction: &str, number: u8| {
        let edu = json!({ "edu_type": "m.signing_key_update",
            "content": { "user_id": "@bob:b.test", "master_key": (master(number)) } });
        let body = json!({ "origin": (B), "origin_server_ts": 1, "pdus": [], "edus": [(edu)] });
        let to = ServerName::parse(A).unwrap();
        let request = Outgoing::put(format!("/_matrix/federation/v1/send/{transaction}"), body);
        world.net.log.clear();
        world.net.run(B, move |cx| async move { call(&cx, &to, request).await.unwrap() });
        world.net.settle();
        let asked = world.net.log.iter().filter(|line| line.contains("/user/devices/")).count();
        let known = world.query().get("master_keys").and_then(|keys| keys.get("@bob:b.test").cloned());
        (asked, known)
    };
    assert_eq!(tell(&mut world, "1", 1), (1, None), "Bob has none");
    let answer = json!({ "user_id": "@bob:b.test", "stream_id": 9, "devices": [], "master_key": (master(1)) });
    world.net.lie(B, "/_matrix/federation/v1/user/devices/%40bob%3Ab.test", 200, answer);
    assert_eq!(tell(&mut world, "2", 1), (1, Some(master(1))));
    assert_eq!(tell(&mut world, "3", 1), (0, Some(master(1))), "it is nothing new");
    assert_eq!(tell(&mut world, "4", 2), (1, Some(master(1))));
}

/// Bob puts Alice out while her server cannot hear of it, and she changes her name, which state resolution takes for coming back. B has
/// told A of nothing meanwhile, and A knows of no break.
#[test]
fn who_turns_out_to_have_been_in_is_told_of_devices() {
    let mut world = World::new();
    let (alice, bob) = (world.alice.clone(), world.bob.clone());
    let room = world.net.ok(B, Post, "/_matrix/client/v3/createRoom", &bob, json!({ "preset": "public_chat" }));
    let room = room.get("room_id").and_then(Value::as_str).unwrap().to_string();
    let join = format!("/_matrix/client/v3/join/{}?via={B}", percent_encode(&room));
    world.net.ok(A, Post, &join, &alice, json!({}));
    assert_eq!(world.devices().len(), 1);
    world.net.cut(A, B);
    let name = format!("/_matrix/client/v3/profile/{}/displayname", alice.user_id);
    world.net.ok(A, Put, &name, &alice, json!({ "displayname": "Alicia" }));
    let kick = format!("/_matrix/client/v3/rooms/{}/kick", percent_encode(&room));
    world.net.ok(B, Post, &kick, &bob, json!({ "user_id": (alice.user_id.as_str()) }));
    let device = format!("/_matrix/client/v3/devices/{}", bob.device_id);
    world.net.advance(60_000);
    world.net.ok(B, Put, &device, &bob, json!({ "display_name": "unheard" }));
    world.net.advance(60_000);
    world.net.heal();
    world.net.advance(600_000);
    let answer = world.query();
    let keys = answer.get("device_keys").and_then(|keys| keys.get(&bob.user_id)?.get(&bob.device_id)?.get("unsigned"));
    assert_eq!(keys, Some(&json!({ "device_display_name": "unheard" })));
}

/// Two rooms were shared, one after the other, and A asks again, because it cannot tell that there was no break.
#[test]
fn what_a_list_that_was_doubted_brings_is_news() {
    let mut world = World::new();
    let first = world.share_a_room();
    assert_eq!(world.devices().len(), 1);
    world.share_a_room();
    let leave = format!("/_matrix/client/v3/rooms/{}/leave", percent_encode(&first));
    world.net.ok(B, Post, &leave, &world.bob.clone(), json!({}));
    world.net.advance(5_000);
    let (_, since) = sync(&mut world, "");
    // What B tells of it is still on its way.
    let device = json!({ "device_id": (world.bob.device_id.as_str()), "keys": (device_keys(&world.bob)),
        "device_display_name": "renamed" });
    let answer = json!({ "user_id": (world.bob.user_id.as_str()), "stream_id": 90_000, "devices": [(device)] });
    world.net.lie(B, "/_matrix/federation/v1/user/devices/%40bob%3Ab.test", 200, answer);
    assert_eq!(world.devices().len(), 1);
    assert!(sync(&mut world, &since).0);
}
