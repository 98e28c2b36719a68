//! A transaction of 50 events from another server, from the request to the answer: all checks, stored in an ordered map, nothing
//! kept in memory from before. Beside it, the floor: the check of the same 50 signatures as one job.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use orrery_benches::host::Host;
use orrery_benches::network::Network;
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::effect::{Fetch, Job};
use orrery_core::event::ReceivedPdu;
use orrery_core::http::Method;
use orrery_core::input::Outcome;
use orrery_core::room_version::RoomVersion;
use orrery_core::signing::{SignedMessage, SigningKey, base64};

const EVENTS: usize = 50;

/// A server that is in a room of another one, and the transaction that this one sends it.
struct Prepared {
    receiver: Host,
    transaction: Fetch,
    version: RoomVersion,
}

/// A room of `members` members on each server, and what is said in it by `senders` of them, message by message.
fn prepare(members: usize, senders: usize) -> Prepared {
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

fn pdus(transaction: &Bytes) -> Vec<Object> {
    let body = parse(transaction).expect("transactions are JSON");
    let pdus = body.get("pdus").and_then(Value::as_array).unwrap_or_default();
    pdus.iter().filter_map(|pdu| pdu.as_object().cloned()).collect()
}

/// The check of the signatures of a transaction's events.
fn signature_check(prepared: &Prepared) -> Job {
    let key = SigningKey::from_seed("1", &[1; 32]).expect("it is a key");
    let message = |event: Object| {
        let received = ReceivedPdu::parse(event, prepared.version).expect("it is an event");
        let signature = received.signatures.object("s0.test:8448").and_then(|of_server| of_server.str("ed25519:1"));
        let signature = base64::decode(signature.expect("it is signed")).expect("signatures are base64").into();
        SignedMessage { public_key: key.public_key(), message: received.signed_bytes.into(), signature }
    };
    Job::Verify(pdus(&prepared.transaction.body).into_iter().map(message).collect())
}

/// Receives the transaction on a server that has just started; gives it back so that its end is not measured.
#[inline(never)]
fn receive_transaction(mut receiver: Host, transaction: &Fetch) -> Host {
    let id = receiver.submit_fetch(transaction);
    receiver.work();
    let answer = receiver.take_reply(id).expect("the transaction is answered");
    assert!(answer.status == 200 && !answer.body.windows(5).any(|part| part == b"error"), "{:?}", answer.body);
    receiver
}

fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("a transaction of 50 events");
    for (name, members, senders) in [("one sender, 2 members", 1, 1), ("50 senders, 100 members", 50, 50)] {
        let mut prepared = prepare(members, senders);
        let job = signature_check(&prepared);
        assert_eq!(job.run(), Outcome::Verified(vec![true; EVENTS]));
        group.bench_function(format!("{name}: signatures only"), |b| b.iter(|| black_box(&job).run()));
        let Prepared { receiver, transaction, .. } = &mut prepared;
        group.bench_function(format!("{name}: received"), |b| {
            b.iter_batched(|| receiver.copy(), |host| receive_transaction(host, transaction), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(receive_pdu, benches);
criterion_main!(receive_pdu);
