//! A transaction of events from another server, and a server that receives it.

use bytes::Bytes;
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::effect::Fetch;
use orrery_core::http::Method;
use orrery_core::input::Outcome;
use orrery_core::room_version::RoomVersion;

use crate::host::Host;
use crate::network::Network;

/// How many events a transaction has.
pub const EVENTS: usize = 50;

/// A server that is in a room of another one, and the transaction that this one sends it.
#[derive(Debug)]
pub struct Prepared {
    pub receiver: Host,
    pub transaction: Fetch,
    pub version: RoomVersion,
}

/// A room of `members` members on each server, and what is said in it by `senders` of them, message by message.
#[must_use]
pub fn prepare(members: usize, senders: usize) -> Prepared {
    let mut network = Network::new(2);
    let sending: Vec<String> = (0..members).map(|i| network.host(0).register(&format!("alice{i}"))).collect();
    let room = network.host(0).create_room(&sending[0]);
    for token in &sending[1..] {
        network.host(0).join(token, &room);
    }
    let name = network.host(0).name().to_string();
    for i in 0..members {
        let token = network.host(1).register(&format!("bob{i}"));
        let target = format!("/_matrix/client/v3/join/{room}?via={name}");
        network.ok(1, Method::Post, &target, &token, Object::new());
    }
    // While one transaction is under way, what comes after it waits for the next.
    let sender = network.host(0);
    sender.send(&sending[0], &room);
    let (call, first) = sender.take_fetch().expect("the first event leaves at once");
    for i in 0..EVENTS {
        sender.send(&sending[i % senders], &room);
    }
    let receiver = network.host(1);
    let id = receiver.submit_fetch(&first);
    receiver.work();
    let answer = receiver.take_reply(id).expect("the transaction is answered");
    let receiver = receiver.copy();
    let sender = network.host(0);
    sender.resolve(call, Outcome::Fetched(answer));
    sender.work();
    let (_, transaction) = sender.take_fetch().expect("the others follow");
    assert_eq!(pdus(&transaction.body).len(), EVENTS);
    Prepared { receiver, transaction, version: RoomVersion::V12 }
}

/// The events of a transaction's body.
#[must_use]
pub fn pdus(transaction: &Bytes) -> Vec<Object> {
    let body = parse(transaction).expect("transactions are JSON");
    let pdus = body.get("pdus").and_then(Value::as_array).unwrap_or_default();
    pdus.iter().filter_map(|pdu| pdu.as_object().cloned()).collect()
}

/// Receives the transaction on a server that has just started; gives it back so that its end is not measured.
#[inline(never)]
#[must_use]
pub fn receive_transaction(mut receiver: Host, transaction: &Fetch) -> Host {
    let id = receiver.submit_fetch(transaction);
    receiver.work();
    let answer = receiver.take_reply(id).expect("the transaction is answered");
    assert!(answer.status == 200 && !answer.body.windows(5).any(|part| part == b"error"), "{:?}", answer.body);
    receiver
}
