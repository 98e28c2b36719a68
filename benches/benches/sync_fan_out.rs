//! What it costs in core, without network and disk, to tell one message to those who wait for it in `/sync`. Syncs that do not
//! wait are in `room_read.rs`.
// To measure is to read the clock.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orrery_benches::host::Host;
use orrery_core::canonical_json;
use orrery_core::http::{Method, Response};

const SYNC: &str = "/_matrix/client/v3/sync";

fn get(host: &mut Host, target: &str, token: &str) -> Option<Response> {
    let response = host.request(Method::Get, target, Some(token), Bytes::new())?;
    assert_eq!(response.status, 200, "{target}");
    Some(response)
}

fn next_batch(response: &Response) -> String {
    let answer = canonical_json::parse(&response.body).expect("answers are JSON");
    answer.get("next_batch").and_then(|token| token.as_str()).expect("every sync has one").to_string()
}

/// The time from a message to the answers of those who wait for it.
fn fan_out(criterion: &mut Criterion) {
    for size in [1, 50, 1_000] {
        let mut host = Host::default();
        let sender = host.register("alice");
        let room = host.create_room(&sender);
        let mut clients = Vec::new();
        for number in 0..size {
            let token = host.register(&format!("user{number}"));
            host.join(&token, &room);
            clients.push((token, String::new()));
        }
        for (token, since) in &mut clients {
            *since = next_batch(&get(&mut host, SYNC, token).expect("a first sync does not wait"));
        }
        let mut deliver = |times: u64| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                for (token, since) in &clients {
                    let answer = get(&mut host, &format!("{SYNC}?since={since}&timeout=30000"), token);
                    assert!(answer.is_none(), "there is nothing to tell yet");
                }
                let start = Instant::now();
                host.send(&sender, &room);
                spent += start.elapsed();
                let answers = host.take_late();
                assert_eq!(answers.len(), clients.len());
                let since = next_batch(&answers[0].1);
                clients.iter_mut().for_each(|client| client.1.clone_from(&since));
            }
            spent
        };
        criterion
            .benchmark_group("sync")
            .throughput(Throughput::Elements(size))
            .bench_function(BenchmarkId::new("fan_out", size), |bencher| bencher.iter_custom(&mut deliver));
    }
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
