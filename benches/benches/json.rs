//! What an event of 1 kB costs to parse, encode, hash, sign and verify.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use orrery_core::canonical_json::{Object, Value, parse};
use orrery_core::signing::{
    SigningKey, add_signature, content_hash, reference_hash, set_content_hash, sign_json, signature_of, verify_json,
};
use ruma_common::canonical_json::CanonicalJsonObject;

fn key() -> SigningKey {
    SigningKey::from_seed("a_key", &[7; 32]).expect("a key ID")
}

/// A message as it comes from another server: hashed, signed, 1 kB.
fn event() -> Object {
    let hash =
        |n: u8| Value::from(format!("${}", "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE".replace('a', &n.to_string())));
    let content = Object::new()
        .with("msgtype", "m.text")
        .with("body", "> quoted line\n\nAn answer of a line or two, with \"quotes\" and 日本語, as people write them.")
        .with("format", "org.matrix.custom.html")
        .with("formatted_body", "<blockquote>quoted line</blockquote><p>An answer of a line or two</p>")
        .with("m.relates_to", Object::new().with("m.in_reply_to", Object::new().with("event_id", hash(9))));
    let mut event = Object::new()
        .with("type", "m.room.message")
        .with("room_id", "!jEsUZKDJdhlrceRyVU:example.org")
        .with("sender", "@alice:example.org")
        .with("origin_server_ts", 1_432_735_824_653_i64)
        .with("depth", 12_345_i64)
        .with("prev_events", vec![hash(1)])
        .with("auth_events", vec![hash(2), hash(3), hash(4)])
        .with("content", content);
    set_content_hash(&mut event);
    let signature = signature_of(&redacted(&event), &key());
    add_signature(&mut event, "example.org", key().key_id(), &signature).expect("no other signatures");
    event.with("unsigned", Object::new().with("age", 4612_i64))
}

fn redacted(event: &Object) -> Object {
    let mut event = event.clone();
    event.insert("content", Object::new());
    event.remove("unsigned");
    event
}

fn json(criterion: &mut Criterion) {
    let event = event();
    let text = event.to_bytes();

    let mut group = criterion.benchmark_group("json");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("parse", |bencher| bencher.iter(|| parse(black_box(&text))));
    group.bench_function("parse/serde_json", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&text)));
    });
    group.bench_function("parse/ruma", |bencher| {
        bencher.iter(|| serde_json::from_slice::<CanonicalJsonObject>(black_box(&text)));
    });
    group.bench_function("encode", |bencher| bencher.iter(|| black_box(&event).to_bytes()));
    let theirs: CanonicalJsonObject = serde_json::from_slice(&text).expect("JSON");
    group.bench_function("encode/ruma", |bencher| bencher.iter(|| serde_json::to_vec(black_box(&theirs))));
    group.finish();
}

fn signing(criterion: &mut Criterion) {
    let (event, key) = (event(), key());
    let redacted = redacted(&event);

    let mut group = criterion.benchmark_group("signing");
    group.bench_function("both hashes", |bencher| {
        bencher.iter(|| (content_hash(black_box(&event)), reference_hash(black_box(&redacted))));
    });
    group.bench_function("sign", |bencher| {
        bencher.iter(|| {
            let mut event = redacted.clone();
            sign_json(&mut event, "example.org", &key).map(|()| event)
        });
    });
    group.bench_function("verify", |bencher| {
        bencher.iter(|| verify_json(black_box(&redacted), "example.org", key.key_id(), &key.public_key()));
    });
    group.finish();
}

criterion_group!(benches, json, signing);
criterion_main!(benches);
