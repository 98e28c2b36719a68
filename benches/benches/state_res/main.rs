//! State resolution from state sets to resolved state, the auth difference included, beside `ruma-state-res`: few and many
//! conflicts among 10 000 members, and the same conflicts among few and many members.

mod ours;
mod theirs;
mod workload;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use orrery_core::room_version::RoomVersion;

use ours::Ours;
use theirs::Theirs;
use workload::Workload;

const VERSIONS: [RoomVersion; 2] = [RoomVersion::V11, RoomVersion::V12];

/// The system's allocator, with a count of what was asked for.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code)] // an allocator cannot be counted otherwise; its functions do what the system's do
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size.saturating_sub(layout.size()), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated<T>(run: impl FnOnce() -> T) -> usize {
    let before = ALLOCATED.load(Ordering::Relaxed);
    black_box(run());
    ALLOCATED.load(Ordering::Relaxed) - before
}

fn beside_ruma(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("state_res");
    group.sample_size(20);
    for version in VERSIONS {
        for (members, conflicts) in [(10_000, 10), (10_000, 1000), (1000, 1000)] {
            let workload = Workload::new(version, members, conflicts);
            let (mut ours, theirs) = (Ours::new(&workload), Theirs::new(&workload));
            assert_eq!(ours.resolved_state(), theirs.resolved_state(), "both resolve to the same state");
            let id = |who: &str| BenchmarkId::new(format!("v{version}_{members}_members_{conflicts}_conflicts"), who);
            group.bench_function(id("orrery"), |bencher| bencher.iter(|| ours.resolve()));
            group.bench_function(id("ruma"), |bencher| bencher.iter(|| theirs.resolve()));
        }
    }
    group.finish();
}

/// The same conflicts, whatever else is in the room. What is allocated is printed.
fn by_members(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("state_res_by_members");
    for version in VERSIONS {
        for members in [100, 1000, 10_000, 100_000] {
            let ours = Ours::new(&Workload::new(version, members, 100));
            let (resolved, bytes) = (ours.resolve(), allocated(|| ours.resolve()));
            let (keys, judged) = (resolved.conflicts, resolved.judged);
            println!(
                "v{version}, {members} members: {keys} keys in conflict, {judged} events judged, {bytes} bytes allocated"
            );
            group.bench_function(BenchmarkId::new(format!("v{version}_100_conflicts"), members), |bencher| {
                bencher.iter(|| ours.resolve());
            });
        }
    }
    group.finish();
    for conflicts in [10, 100, 1000] {
        let ours = Ours::new(&Workload::new(RoomVersion::V11, 10_000, conflicts));
        println!("v11, 10000 members, {conflicts} conflicts a side: {} bytes allocated", allocated(|| ours.resolve()));
    }
}

criterion_group!(benches, beside_ruma, by_members);
criterion_main!(benches);
