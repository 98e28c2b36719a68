//! What one state of a room costs to change, open, read and compare, at 100, 10 000 and 100 000 members.
//!
//! A change and a read should grow by a node per factor of sixteen, opening not at all, and a comparison with the
//! differences only.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::ControlFlow;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orrery_core::store::StorageError;
use orrery_core::store::state_map::{
    Change, KindRange, NodeId, Nodes, NodesMut, StateId, StateKeyHash, apply, count, diff, get, len, walk,
};

const MEMBERS: [u32; 3] = [100, 10_000, 100_000];

#[derive(Default)]
struct Table(BTreeMap<NodeId, Bytes>);

impl Nodes for Table {
    fn node(&self, id: &NodeId) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.get(id).cloned())
    }
}
impl NodesMut for Table {
    fn put_node(&mut self, id: NodeId, node: Vec<u8>) {
        self.0.insert(id, node.into());
    }
}

/// A table that counts what is written to it and forgets it.
struct Scale<'t> {
    table: &'t Table,
    nodes: usize,
    bytes: usize,
}

impl Nodes for Scale<'_> {
    fn node(&self, id: &NodeId) -> Result<Option<Bytes>, StorageError> {
        self.table.node(id)
    }
}
impl NodesMut for Scale<'_> {
    fn put_node(&mut self, id: NodeId, node: Vec<u8>) {
        self.nodes += 1;
        self.bytes += id.len() + node.len();
    }
}

fn member(number: u32) -> StateKeyHash {
    StateKeyHash::new("m.room.member", &format!("@user{number}:example.org"))
}

/// What a room starts with, and its members.
fn changes(members: u32) -> Vec<Change> {
    let kinds =
        ["create", "power_levels", "join_rules", "history_visibility", "guest_access", "name", "topic", "avatar"];
    let first = kinds.iter().map(|kind| StateKeyHash::new(&format!("m.room.{kind}"), ""));
    first.chain((0..members).map(member)).zip(0u32..).map(|(key, event)| (key, Some(event))).collect()
}

fn state_map(criterion: &mut Criterion) {
    for members in MEMBERS {
        let mut table = Table::default();
        let changes = changes(members);
        let state = apply(&mut table, StateId::EMPTY, &changes).expect("nothing is read");
        say_what_a_join_writes(&table, state, members);

        let mut group = criterion.benchmark_group("state_map");
        let id = |name: &str| BenchmarkId::new(name, members);
        let mut number = members;
        group.bench_function(id("store_join"), |bencher| {
            let mut scale = Scale { table: &table, nodes: 0, bytes: 0 };
            bencher.iter(|| {
                number += 1;
                apply(&mut scale, state, &[(member(number), Some(number))])
            });
        });
        group.bench_function(id("open"), |bencher| bencher.iter(|| len(&table, black_box(state))));
        group.bench_function(id("count_members"), |bencher| {
            bencher.iter(|| count(&table, black_box(state), KindRange::MEMBERS));
        });
        let keys: Vec<_> = (0..members).step_by(members as usize / 100).map(member).collect();
        let mut next = keys.iter().cycle();
        group.bench_function(id("get"), |bencher| {
            bencher.iter(|| get(&table, state, next.next().expect("it goes round")));
        });
        for differences in [1, 100] {
            let gone: Vec<Change> = (0..differences).map(|number| (member(number), None)).collect();
            let other = apply(&mut table, state, &gone).expect("the nodes are there");
            group.bench_function(id(&format!("diff_of_{differences}")), |bencher| {
                bencher.iter(|| {
                    let mut seen = 0;
                    diff(&table, state, other, &mut |_, _, _| seen += 1).map(|()| seen)
                });
            });
        }
        group.finish();

        // These are linear, and should be: what a federated join or a member list costs for each entry.
        let mut group = criterion.benchmark_group("state_map_whole");
        group.sample_size(20).throughput(Throughput::Elements(changes.len() as u64));
        group.bench_function(id("store_all"), |bencher| {
            bencher
                .iter(|| apply(&mut Scale { table: &Table::default(), nodes: 0, bytes: 0 }, StateId::EMPTY, &changes));
        });
        group.bench_function(id("walk"), |bencher| {
            bencher.iter(|| {
                let mut sum = 0u64;
                walk(&table, state, Some(KindRange::MEMBERS), &mut |_, event| {
                    sum += u64::from(event);
                    ControlFlow::Continue(())
                })
                .map(|()| sum)
            });
        });
        group.finish();
    }
}

/// On average over joins into one state, each by itself.
fn say_what_a_join_writes(table: &Table, state: StateId, members: u32) {
    let mut scale = Scale { table, nodes: 0, bytes: 0 };
    let joins = 1000;
    for number in members..members + joins {
        apply(&mut scale, state, &[(member(number), Some(number))]).expect("the nodes are there");
    }
    let each = |total: usize| total as f64 / f64::from(joins);
    let (nodes, bytes) = (each(scale.nodes), each(scale.bytes));
    println!("state_map: a join among {members} members writes {nodes:.1} nodes, {bytes:.0} bytes with their ids");
}

criterion_group!(benches, state_map);
criterion_main!(benches);
