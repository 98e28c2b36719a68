//! A join of a room of another server, from the client's request to its answer, both servers in one process: the answer is made,
//! every event of it verified, and all of them stored in an ordered map. Most of it is the check of one signature for each member.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use orrery_benches::network::Network;
use orrery_core::canonical_json::Object;
use orrery_core::http::Method;

/// What the server allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Two servers, with a room of `members` members on the first, and the request and token with which a user of the other joins it.
fn prepare(members: usize) -> (Network, String, String) {
    let mut network = Network::new(2);
    let creator = network.host(0).register("alice");
    let room = network.host(0).create_room(&creator);
    for i in 1..members {
        let token = network.host(0).register(&format!("alice{i}"));
        network.host(0).join(&token, &room);
    }
    let token = network.host(1).register("bob");
    let target = format!("/_matrix/client/v3/join/{room}?via={}", network.host(0).name());
    (network, target, token)
}

#[inline(never)]
fn join_remote(mut network: Network, target: &str, token: &str) -> Network {
    network.ok(1, Method::Post, target, token, Object::new());
    network
}

fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("a join through another server");
    group.sample_size(10);
    for members in [1_000, 10_000] {
        let (mut network, target, token) = prepare(members);
        group.bench_function(format!("{members} members"), |b| {
            b.iter_batched(|| network.copy(), |network| join_remote(network, &target, &token), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(join, benches);
criterion_main!(join);
