//! What reading costs in core, without network and disk: a sync as rooms, members and history grow, and a page of messages.
//! Beside the time it says how many keys each reads.
//!
//! An initial sync grows with the rooms it shows, and with nothing else. Later syncs and pages do not grow.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use orrery_benches::host::Host;

/// Weighs `run`, then measures its time.
fn measure(criterion: &mut Criterion, name: &str, size: usize, host: &mut Host, mut run: impl FnMut(&mut Host)) {
    host.weigh(&format!("{name}/{size}"), 10, |host, _| run(host));
    let mut group = criterion.benchmark_group("room_read");
    group.sample_size(50).bench_function(BenchmarkId::new(name, size), |bencher| bencher.iter(|| run(host)));
}

/// A user in so many rooms, each with ten messages.
fn sync_by_rooms(criterion: &mut Criterion) {
    for size in [20, 200, 2_000] {
        let mut host = Host::default();
        let token = host.register("alice");
        let rooms: Vec<String> = (0..size).map(|_| host.create_room(&token)).collect();
        for room in &rooms {
            for _ in 0..10 {
                host.send(&token, room);
            }
        }
        measure(criterion, "initial_sync_by_rooms", size, &mut host, |host| drop(host.sync(&token, "")));
        let since = host.sync(&token, "");
        measure(criterion, "empty_sync_by_rooms", size, &mut host, |host| drop(host.sync(&token, &since)));
        let mut since = since;
        measure(criterion, "send_and_sync_by_rooms", size, &mut host, |host| {
            host.send(&token, &rooms[0]);
            since = host.sync(&token, &since);
        });
    }
}

/// A user in one room with so many members.
fn sync_by_members(criterion: &mut Criterion) {
    for size in [10, 100, 10_000] {
        let mut host = Host::default();
        let token = host.register("alice");
        let room = host.create_room(&token);
        for number in 1..size {
            let token = host.register(&format!("user{number}"));
            host.join(&token, &room);
        }
        for _ in 0..10 {
            host.send(&token, &room);
        }
        measure(criterion, "initial_sync_by_members", size, &mut host, |host| drop(host.sync(&token, "")));
        let mut since = host.sync(&token, "");
        measure(criterion, "send_and_sync_by_members", size, &mut host, |host| {
            host.send(&token, &room);
            since = host.sync(&token, &since);
        });
    }
}

/// A page of a hundred messages, in the middle of so many.
fn messages_by_history(criterion: &mut Criterion) {
    for size in [1_000, 10_000, 100_000] {
        let mut host = Host::default();
        let token = host.register("alice");
        let room = host.create_room(&token);
        let mut since = String::new();
        for number in 0..size {
            host.send(&token, &room);
            if number == size / 2 {
                since = host.sync(&token, "");
            }
        }
        let target = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=100&from={since}");
        measure(criterion, "messages_by_history", size, &mut host, |host| drop(host.read(&token, &target)));
    }
}

criterion_group!(benches, sync_by_rooms, sync_by_members, messages_by_history);
criterion_main!(benches);
