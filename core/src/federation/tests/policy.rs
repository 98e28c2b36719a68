//! Rooms with a policy server: what it is asked, what its word does, and what happens without it.

mod receiving;
mod sending;

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::RefCell;

use super::*;
use crate::event::{POLICY_KEY_ID, Pdu};
use crate::room::explain;
use crate::room_version::RoomVersion;
use crate::signing::{SigningKey, base64, verify_json};
use crate::testing::branch::Branch;

const A: &str = "a.test";
const B: &str = "b.test";
/// The policy server's; a user of it is in the room.
const P: &str = "policy.test";
const SIGN: &str = "/_matrix/policy/v1/sign";

/// How the policy server answers.
#[derive(Clone)]
enum Answers {
    /// With a signature by the key of this seed.
    Signs(u8),
    With(u16, Value),
    /// Not at all.
    Waits,
}

/// A room of Alice on A, with Bob on B and a user of the policy server in it.
struct World {
    net: Net,
    version: RoomVersion,
    alice: User,
    bob: User,
    room: String,
    answers: Rc<RefCell<Answers>>,
    /// The types of the events that the policy server was asked to sign.
    asked: Rc<RefCell<Vec<String>>>,
    transactions: u32,
}

/// The content of an `m.room.policy` that names `via` and the key of a seed.
fn policy(via: &str, seed: u8) -> Value {
    json!({ "via": via, "public_keys": { "ed25519": (base64::encode_unpadded(&key(seed).public_key())) } })
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("policy_server", &[seed; 32]).unwrap()
}

impl World {
    /// A room that has a policy server.
    fn new(version: &str) -> World {
        let mut world = World::without(version);
        world.enable(policy(P, 1));
        world
    }

    /// The same before the policy server is set.
    fn without(version: &str) -> World {
        let mut net = Net::new(&[A, B, P]);
        let alice = net.server(A).register("alice");
        let bob = net.server(B).register("bob");
        let warden = net.server(P).register("warden");
        let room = create(&mut net, A, &alice, json!({ "preset": "public_chat", "room_version": version }));
        net.ok(B, Method::Post, &join_path(&room, A), &bob, json!({}));
        net.ok(P, Method::Post, &join_path(&room, A), &warden, json!({}));
        net.advance(1000);
        let answers = Rc::new(RefCell::new(Answers::Signs(1)));
        let asked = Rc::new(RefCell::new(Vec::new()));
        let version = RoomVersion::parse(version).unwrap();
        let mut world = World { net, version, alice, bob, room, answers, asked, transactions: 0 };
        world.serve(P);
        world
    }

    /// Has the policy server answer to this name.
    fn serve(&mut self, name: &str) {
        let (answers, asked, version) = (self.answers.clone(), self.asked.clone(), self.version);
        let via = name.to_string();
        let answerer = move |body: &[u8]| {
            let pdu = Pdu::parse_bytes(body, version).expect("what is to be signed is an event");
            let answers = answers.borrow().clone();
            if matches!(answers, Answers::Waits) {
                return None;
            }
            asked.borrow_mut().push(pdu.kind.clone());
            Some(match answers {
                Answers::With(status, answer) => (status, answer),
                Answers::Signs(seed) => (200, signatures(&via, &pdu, seed, version)),
                Answers::Waits => unreachable!(),
            })
        };
        self.net.serve(name, SIGN, Box::new(answerer));
    }

    fn answers(&mut self, answers: Answers) {
        *self.answers.borrow_mut() = answers;
    }

    /// What the policy server was asked since this was asked last.
    fn asked(&mut self) -> Vec<String> {
        self.asked.take()
    }

    #[track_caller]
    fn enable(&mut self, content: Value) {
        let path = room_path(&self.room, "/state/m.room.policy/");
        self.net.ok(A, Method::Put, &path, &self.alice, content);
        self.net.advance(1000);
        assert_eq!(self.asked(), Vec::<String>::new());
    }

    /// Alice says something: the answer of her server.
    fn say(&mut self, text: &str) -> (u16, Value) {
        self.net.call(A, Method::Put, &self.message_path(text), &self.alice, body(text))
    }

    fn message_path(&self, text: &str) -> String {
        room_path(&self.room, &alloc::format!("/send/m.room.message/{text}"))
    }

    /// The bodies of the messages that Alice or Bob is shown, oldest first.
    fn messages(&mut self, server: &str) -> Vec<String> {
        let user = if server == A { &self.alice } else { &self.bob };
        let answer = self.net.ok(server, Method::Get, &room_path(&self.room, "/messages?dir=b&limit=100"), user, ());
        let chunk = answer.get("chunk").and_then(Value::as_array).unwrap();
        let body = |event: &Value| Some(event.get("content")?.get("body")?.as_str()?.to_string());
        chunk.iter().rev().filter_map(body).collect()
    }

    /// An event that Bob's server makes without asking anybody, and that it has not received itself.
    fn of_bob(&mut self, text: &str) -> Pdu {
        let mut branch = Branch::of(self.net.server(B), &self.room);
        branch.seeds.insert(B.to_string(), [51; 32]);
        branch.message(&self.bob.user_id, text)
    }

    /// B sends events to A: what A says of them.
    fn receive(&mut self, pdus: &[&Pdu]) -> Value {
        let target = self.transaction_path();
        let (status, answer) = ask(&mut self.net, B, A, Outgoing::put(target, transaction(pdus)));
        assert_eq!(status, 200, "{answer}");
        answer.get("pdus").unwrap().clone()
    }

    fn transaction_path(&mut self) -> String {
        self.transactions += 1;
        alloc::format!("/_matrix/federation/v1/send/of{}", self.transactions)
    }

    /// How an event stands on a server, and why.
    fn explain(&mut self, server: &str, event_id: &str) -> Option<Vec<String>> {
        let room = self.room.clone();
        self.net.server(server).inspect(|read| {
            let room = crate::room::Room::find(read, &room).unwrap().unwrap();
            explain::event(read, &room, event_id).unwrap()
        })
    }

    /// Whether an event, as a server has it, has a good signature by the key of a seed.
    fn is_signed(&mut self, server: &str, event_id: &str, via: &str, seed: u8) -> bool {
        let (room, version) = (self.room.clone(), self.version);
        self.net.server(server).inspect(|read| {
            let room = crate::room::Room::find(read, &room).unwrap().unwrap();
            let Some(event) = room.event(read, event_id).unwrap() else { return false };
            let redacted = event.pdu(version).unwrap().redacted(version.rules()).to_object();
            verify_json(&redacted, via, key(seed).key_id(), &key(seed).public_key()).is_ok()
        })
    }
}

fn body(text: &str) -> Value {
    json!({ "msgtype": "m.text", "body": text })
}

fn signatures(via: &str, pdu: &Pdu, seed: u8, version: RoomVersion) -> Value {
    let signature = key(seed).sign(&pdu.signed_bytes(version.rules()));
    let of_server = Object::new().with(POLICY_KEY_ID, base64::encode_unpadded(&signature));
    Value::Object(Object::new().with(via, of_server))
}

fn transaction(pdus: &[&Pdu]) -> Value {
    let pdus: Vec<Value> = pdus.iter().map(|pdu| Value::Object(pdu.to_object())).collect();
    json!({ "origin": (B), "origin_server_ts": 1, "pdus": (pdus) })
}

/// What is said of an event that was received, however it stands.
fn received(pdu: &Pdu) -> Value {
    Value::Object(Object::new().with(&pdu.event_id, Object::new()))
}

#[track_caller]
fn id(answer: &Value) -> String {
    answer.get("event_id").and_then(Value::as_str).unwrap_or_else(|| panic!("{answer}")).to_string()
}

fn refused() -> Answers {
    Answers::With(400, json!({ "errcode": "M_FORBIDDEN", "error": "spam", "org.example.score": 9 }))
}

#[test]
fn which_rooms_use_one() {
    let mut world = World::without("11");
    let good = policy(P, 1);
    let key = good.get("public_keys").unwrap().get("ed25519").unwrap().clone();
    // Without what it has to have, or without a user in the room, it is none.
    for content in [
        json!({}),
        json!({ "via": (P) }),
        json!({ "via": (P), "public_keys": (key.clone()) }),
        json!({ "via": (P), "public_keys": { "ed25519": 1 } }),
        json!({ "via": [(P)], "public_keys": { "ed25519": (key.clone()) } }),
        json!({ "via": "no server", "public_keys": { "ed25519": (key.clone()) } }),
        policy("elsewhere.test", 1),
    ] {
        world.enable(content.clone());
        assert_eq!(world.say(&alloc::format!("said{}", world.transactions)).0, 200, "{content}");
        world.transactions += 1;
        assert_eq!(world.asked(), Vec::<String>::new(), "{content}");
    }
    // An event with another state key sets none.
    world.net.ok(A, Method::Put, &room_path(&world.room, "/state/m.room.policy/other"), &world.alice, good.clone());
    assert_eq!(world.asked(), Vec::<String>::new());
    world.enable(good);
    assert_eq!(world.say("asked").0, 200);
    assert_eq!(world.asked(), ["m.room.message"]);
    // A text that is no key is a key that nobody has.
    world.enable(json!({ "via": (P), "public_keys": { "ed25519": "no key" } }));
    assert_eq!(world.say("never").0, 403);
    assert_eq!(world.asked(), ["m.room.message"]);
    // It may go.
    world.enable(policy(P, 1));
    let warden = world.net.server(P).login("warden");
    world.net.ok(P, Method::Post, &room_path(&world.room, "/leave"), &warden, json!({}));
    world.net.advance(1000);
    world.asked();
    assert_eq!(world.say("free").0, 200);
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[test]
fn this_server_is_none() {
    let mut world = World::without("11");
    assert_eq!(world.net.call(A, Method::Post, SIGN, (), json!({})).0, 404);
    let (status, answer) = world.net.call(A, Method::Post, SIGN, (), json!({}));
    assert_eq!((status, answer.get("errcode")), (404, Some(&Value::from("M_UNRECOGNIZED"))));
}
