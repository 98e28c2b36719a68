//! What `PUT send` costs in core, without network and disk, as what it must not depend on grows: the members of the room, its
//! history, and the number of rooms. Beside the time it says how many keys a message reads and writes, which must not grow
//! either; and the same for a join.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use orrery_benches::host::Host;

/// A server with a room, and one who sends to it.
struct Scene {
    host: Host,
    room: String,
    token: String,
}

impl Scene {
    fn new() -> Scene {
        let mut host = Host::default();
        let token = host.register("alice");
        let room = host.create_room(&token);
        Scene { host, room, token }
    }

    fn join(&mut self, name: &str) {
        let token = self.host.register(name);
        self.host.join(&token, &self.room);
    }

    fn send(&mut self) {
        self.host.send(&self.token, &self.room);
    }
}

fn measure(criterion: &mut Criterion, group: &str, size: usize, mut scene: Scene) {
    // What a send leaves behind in memory (the last messages, caches) is there from the start.
    for _ in 0..100 {
        scene.send();
    }
    let Scene { host, room, token } = &mut scene;
    host.weigh(&format!("room_send/{group}/{size}"), 100, |host, _| drop(host.send(token, room)));
    criterion
        .benchmark_group("room_send")
        .bench_function(BenchmarkId::new(group, size), |bencher| bencher.iter(|| scene.send()));
}

fn members(criterion: &mut Criterion) {
    for size in [1, 100, 10_000] {
        let mut scene = Scene::new();
        for number in 1..size {
            scene.join(&format!("user{number}"));
        }
        let tokens: Vec<String> = (0..100).map(|number| scene.host.register(&format!("late{number}"))).collect();
        let Scene { host, room, .. } = &mut scene;
        host.weigh(&format!("join/members/{size}"), 100, |host, number| host.join(&tokens[number], room));
        measure(criterion, "members", size, scene);
    }
}

fn history(criterion: &mut Criterion) {
    for size in [100, 1_000, 100_000] {
        let mut scene = Scene::new();
        for _ in 0..size {
            scene.send();
        }
        measure(criterion, "history", size, scene);
    }
}

fn rooms(criterion: &mut Criterion) {
    for size in [1, 100, 10_000] {
        let mut scene = Scene::new();
        for _ in 1..size {
            scene.host.create_room(&scene.token);
        }
        measure(criterion, "rooms", size, scene);
    }
}

criterion_group!(benches, members, history, rooms);
criterion_main!(benches);
