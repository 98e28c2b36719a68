//! How fast the simulator is: events received by a server whose signatures others have checked, whole worlds against virtual time,
//! and the memory of a world of 100 servers.

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use orrery_benches::transaction::{EVENTS, Prepared, prepare, receive_transaction};
use orrery_sim::clock::Span;
use orrery_sim::memo::Memo;
use orrery_sim::options::{Options, Overrides};
use orrery_sim::plan::Plan;
use orrery_sim::runner::run;
use orrery_sim::world::Extras;

/// The plan of a world with a person of its own for each device.
fn plan(servers: u32, people: u32, steps: u32, horizon: Span) -> Plan {
    let overrides = Overrides { servers: Some((servers, servers)), steps: Some(steps), ..Overrides::default() };
    let mut options = Options::draw(1, overrides);
    options.clients.devices = (0..people).collect();
    options.horizon = horizon;
    // Two in a hundred are lost.
    (options.network.request_loss, options.network.reply_loss) = (20, 20);
    options.faults.partitions = 6;
    Plan::of(options)
}

/// `/proc/self/status`: the most memory that the process had, in MiB, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1_024)
}

fn receipts(c: &mut Criterion) {
    let mut group = c.benchmark_group("receipts, signatures known");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, members, senders) in [("one sender, 2 members", 1, 1), ("50 senders, 100 members", 50, 50)] {
        let Prepared { mut receiver, transaction, .. } = prepare(members, senders);
        let memo = Memo::default();
        receiver.remember_signatures(memo.clone());
        // As if another server had received them before.
        drop(receive_transaction(receiver.copy(), &transaction));
        let prepared = |receiver: &mut orrery_benches::host::Host| {
            let mut copy = receiver.copy();
            copy.remember_signatures(memo.clone());
            copy
        };
        group.bench_function(name, |b| {
            b.iter_batched(
                || prepared(&mut receiver),
                |host| receive_transaction(host, &transaction),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// The throughput is virtual time by real time: elements are virtual seconds.
fn worlds(c: &mut Criterion) {
    let mut group = c.benchmark_group("a world of 10 servers and 50 people");
    group.sample_size(10);
    for (name, steps) in [("a thing each minute", 500), ("a thing each six seconds", 5_000)] {
        let plan = plan(10, 50, steps, Span::secs(600));
        let outcome = run(&plan, Extras::default());
        assert_eq!(outcome.failure, None);
        // What comes after the horizon is waiting and looking; it counts in real time only.
        group.throughput(Throughput::Elements(plan.options.horizon.0 / 1_000_000));
        group.bench_function(name, |b| b.iter(|| run(&plan, Extras::default())));
    }
    group.finish();
}

criterion_group!(simulator, receipts, worlds);

fn main() {
    // Before anything else has had memory.
    let plan = plan(100, 100, 1_000, Span::secs(120));
    let outcome = run(&plan, Extras::default());
    if let Some(peak) = peak_memory() {
        println!("100 servers, 100 people, 1000 operations, {} inputs: {peak} MiB at the most", outcome.counts.inputs);
        assert!(peak < 2_048, "100 servers take less than 2 GiB");
    }
    simulator();
    Criterion::default().configure_from_args().final_summary();
}
