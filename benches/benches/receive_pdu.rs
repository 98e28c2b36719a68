//! A transaction of 50 events from another server, from the request to the answer: all checks, stored in an ordered map, nothing
//! kept in memory from before. Beside it, the floor: the check of the same 50 signatures as one job.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use orrery_benches::transaction::{EVENTS, Prepared, pdus, prepare, receive_transaction};
use orrery_core::canonical_json::Object;
use orrery_core::effect::Job;
use orrery_core::event::ReceivedPdu;
use orrery_core::input::Outcome;
use orrery_core::signing::{SignedMessage, SigningKey, base64};

/// What the server allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
