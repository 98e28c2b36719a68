//! What `/sync` costs in core, without network and disk: one that finds nothing new, as the user's rooms grow; a first one; one
//! message told to many who wait. And a page of `/messages`, which shows events in the same way.

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

fn say_what_it_costs(name: &str, host: &mut Host, target: &str, token: &str) {
    let before = host.traffic();
    let bytes = get(host, target, token).map_or(0, |response| response.body.len());
    println!("{name}: {} keys read, {bytes} bytes answered", host.traffic().reads - before.reads);
}

fn nothing_new(criterion: &mut Criterion) {
    for size in [1, 100, 2_000] {
        let mut host = Host::default();
        let token = host.register("alice");
        for _ in 0..size {
            host.create_room(&token);
        }
        let since = next_batch(&get(&mut host, SYNC, &token).expect("a first sync does not wait"));
        let target = format!("{SYNC}?since={since}");
        say_what_it_costs(&format!("sync/nothing_new/{size}"), &mut host, &target, &token);
        criterion.benchmark_group("sync").bench_function(BenchmarkId::new("nothing_new", size), |bencher| {
            bencher.iter(|| get(&mut host, &target, &token))
        });
    }
}

fn first(criterion: &mut Criterion) {
    let mut host = Host::default();
    let token = host.register("alice");
    for _ in 0..200 {
        let room = host.create_room(&token);
        (0..10).for_each(|_| drop(host.send(&token, &room)));
    }
    let lazy = "%7B%22room%22%3A%7B%22state%22%3A%7B%22lazy_load_members%22%3Atrue%7D%7D%7D";
    for (name, target) in [("all", SYNC.to_string()), ("lazy", format!("{SYNC}?filter={lazy}"))] {
        say_what_it_costs(&format!("sync/first/200/{name}"), &mut host, &target, &token);
        criterion.benchmark_group("sync").bench_function(BenchmarkId::new("first/200", name), |bencher| {
            bencher.iter(|| get(&mut host, &target, &token));
        });
    }
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

fn messages(criterion: &mut Criterion) {
    let mut host = Host::default();
    let token = host.register("alice");
    let room = host.create_room(&token);
    (0..1_000).for_each(|_| drop(host.send(&token, &room)));
    let target = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=100");
    say_what_it_costs("messages/100", &mut host, &target, &token);
    criterion.bench_function("messages/100", |bencher| bencher.iter(|| get(&mut host, &target, &token)));
}

criterion_group!(benches, nothing_new, first, fan_out, messages);
criterion_main!(benches);
