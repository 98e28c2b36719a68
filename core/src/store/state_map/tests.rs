use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::Cell;
use core::ops::ControlFlow;

use super::*;
use crate::random::Random;

/// Nodes in memory, with the counts that the costs are judged by.
#[derive(Default)]
struct Table {
    nodes: BTreeMap<NodeId, Bytes>,
    reads: Cell<usize>,
    written: usize,
    bytes_written: usize,
}

impl Nodes for Table {
    fn node(&self, id: &NodeId) -> Result<Option<Bytes>, StorageError> {
        self.reads.set(self.reads.get() + 1);
        Ok(self.nodes.get(id).cloned())
    }
}

impl NodesMut for Table {
    fn put_node(&mut self, id: NodeId, node: Vec<u8>) {
        self.written += 1;
        self.bytes_written += node.len();
        self.nodes.insert(id, node.into());
    }
}

type Model = BTreeMap<StateKeyHash, u32>;

fn member(number: u64) -> StateKeyHash {
    StateKeyHash::new("m.room.member", &format!("@user{number}:example.org"))
}

/// A key of a few types and state keys, so that changes meet.
fn some_key(random: &mut Random, members: u64) -> StateKeyHash {
    match random.below(8) {
        0 => StateKeyHash::new("m.room.topic", ""),
        1 => StateKeyHash::new("org.example.widget", &format!("{}", random.below(40))),
        2 => StateKeyHash::new(&format!("org.example.type{}", random.below(40)), ""),
        _ => member(random.below(members)),
    }
}

fn entries(table: &Table, state: StateId, kind: Option<KindRange>) -> Vec<Entry> {
    let mut out = vec![];
    walk(table, state, kind, &mut |key, event| {
        out.push((*key, event));
        ControlFlow::Continue(())
    })
    .unwrap();
    out
}

/// The state with `model`'s entries, made at once.
fn built(table: &mut Table, model: &Model) -> StateId {
    let changes: Vec<_> = model.iter().map(|(key, event)| (*key, Some(*event))).collect();
    apply(table, StateId::EMPTY, &changes).unwrap()
}

/// Every claim that a state makes about its contents, against the map that it should be.
fn check(table: &mut Table, state: StateId, model: &Model) {
    let expected: Vec<Entry> = model.iter().map(|(key, event)| (*key, *event)).collect();
    assert_eq!(entries(table, state, None), expected);
    assert_eq!(len(table, state).unwrap() as usize, model.len());
    assert_eq!(built(table, model), state, "the shape depends on the contents alone");
    for kind in ["m.room.member", "m.room.topic", "org.example.widget", "org.example.type7", "none"] {
        let kind = KindRange::of(kind);
        let inside: Vec<Entry> = expected.iter().filter(|(key, _)| kind.contains(key)).copied().collect();
        assert_eq!(entries(table, state, Some(kind)), inside);
        assert_eq!(count(table, state, kind).unwrap() as usize, inside.len());
    }
}

fn check_diff(table: &Table, (a, in_a): (StateId, &Model), (b, in_b): (StateId, &Model)) {
    let mut expected: BTreeMap<StateKeyHash, (Option<u32>, Option<u32>)> = BTreeMap::new();
    in_a.iter().for_each(|(key, event)| expected.entry(*key).or_default().0 = Some(*event));
    in_b.iter().for_each(|(key, event)| expected.entry(*key).or_default().1 = Some(*event));
    expected.retain(|_, (in_a, in_b)| in_a != in_b);
    let mut found = vec![];
    diff(table, a, b, &mut |key, in_a, in_b| found.push((*key, (in_a, in_b)))).unwrap();
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
}

/// Steps of random changes: `members` bounds how large the state gets, `most` how many changes a step has.
fn check_random_steps(seed: u8, members: u64, most: u64, steps: usize) {
    let mut random = Random::new(&[seed; 32], "state map");
    let (mut table, mut model, mut state) = (Table::default(), Model::new(), StateId::EMPTY);
    let mut past = vec![(state, model.clone())];
    for step in 0..steps {
        // Periods of growth and of shrinking.
        let deletions = if step / 20 % 2 == 0 { 2 } else { 8 };
        let changes: Vec<Change> = (0..=random.below(most))
            .map(|_| {
                let key = some_key(&mut random, members);
                (key, (random.below(10) >= deletions).then(|| random.below(1000) as u32))
            })
            .collect();
        for (key, event) in &changes {
            match event {
                Some(event) => model.insert(*key, *event),
                None => model.remove(key),
            };
        }
        state = apply(&mut table, state, &changes).unwrap();
        for _ in 0..10 {
            let key = some_key(&mut random, members);
            assert_eq!(get(&table, state, &key).unwrap(), model.get(&key).copied());
        }
        check(&mut table, state, &model);
        let (other, other_model) = &past[random.below(past.len() as u64) as usize];
        check_diff(&table, (*other, other_model), (state, &model));
        check_diff(&table, (state, &model), (*other, other_model));
        past.push((state, model.clone()));
    }
    // What was stored earlier is untouched by what came later.
    for (state, model) in &past {
        check(&mut table, *state, model);
    }
}

#[test]
fn random_changes_agree_with_an_ordered_map() {
    for seed in 0..3 {
        check_random_steps(seed, 30, 3, 80);
        check_random_steps(seed, 300, 30, 80);
        check_random_steps(seed, 3000, 400, 40);
    }
}

/// Around the sizes at which a flat node becomes a branch and back, in every order.
#[test]
fn growing_and_shrinking_pass_through_the_same_states() {
    for inline in 0..4 {
        let (mut table, mut model, mut state) = (Table::default(), Model::new(), StateId::EMPTY);
        let keys: Vec<_> = (0..inline).map(|number| StateKeyHash::new(&format!("t{number}"), "")).collect();
        let keys: Vec<_> = keys.into_iter().chain((0..200).map(member)).collect();
        let mut states = vec![state];
        for (number, key) in keys.iter().enumerate() {
            model.insert(*key, number as u32);
            state = apply(&mut table, state, &[(*key, Some(number as u32))]).unwrap();
            assert_eq!(built(&mut table, &model), state);
            states.push(state);
        }
        for key in keys.iter().rev() {
            assert_eq!(states.pop(), Some(state));
            state = apply(&mut table, state, &[(*key, None)]).unwrap();
        }
        assert_eq!(state, StateId::EMPTY);
    }
}

/// Keys that share long paths: what a hash hardly ever gives.
#[test]
fn keys_that_differ_late_have_the_one_shape_too() {
    let crafted = |number: u32| {
        let mut key = [0xab; KEY_LEN];
        key[KEY_LEN - 4..].copy_from_slice(&number.to_be_bytes());
        StateKeyHash(key)
    };
    let (mut table, mut model) = (Table::default(), Model::new());
    let mut far = [0xab; KEY_LEN];
    for fork in (0..KEY_LEN).rev() {
        far[fork] = 0x12;
        model.insert(StateKeyHash(far), fork as u32);
        far[fork] = 0xab;
    }
    let few = model.clone();
    model.extend((0..300).map(|number| (crafted(number * number), number)));
    let (small, large) = (built(&mut table, &few), built(&mut table, &model));
    check_diff(&table, (small, &few), (large, &model));
    let mut state = large;
    for number in 0..300 {
        model.remove(&crafted(number * number));
        state = apply(&mut table, state, &[(crafted(number * number), None)]).unwrap();
        assert_eq!(built(&mut table, &model), state);
    }
    assert_eq!(state, small);
}

#[test]
fn the_last_change_to_a_key_counts_and_no_change_writes_nothing() {
    let mut table = Table::default();
    let key = member(1);
    let once = apply(&mut table, StateId::EMPTY, &[(key, Some(7))]).unwrap();
    assert_eq!(apply(&mut table, StateId::EMPTY, &[(key, Some(5)), (key, None), (key, Some(7))]).unwrap(), once);
    assert_eq!(apply(&mut table, once, &[(key, Some(5)), (key, None)]).unwrap(), StateId::EMPTY);

    let changes: Vec<_> = (0..1000).map(|number| (member(number), Some(number as u32))).collect();
    let large = apply(&mut table, once, &changes).unwrap();
    table.written = 0;
    assert_eq!(apply(&mut table, large, &changes).unwrap(), large);
    assert_eq!(apply(&mut table, large, &[(member(5000), None), (StateKeyHash::new("t", ""), None)]).unwrap(), large);
    assert_eq!(apply(&mut table, large, &[]).unwrap(), large);
    assert_eq!(table.written, 0);
}

#[test]
fn a_walk_stops_when_told() {
    let mut table = Table::default();
    let model = (0..500).map(|number| (member(number), number as u32)).collect();
    let state = built(&mut table, &model);
    let mut seen = 0;
    walk(&table, state, None, &mut |_, _| {
        seen += 1;
        if seen == 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(seen, 100);
}

#[test]
fn types_keep_apart() {
    assert_ne!(StateKeyHash::new("ab", "c"), StateKeyHash::new("a", "bc"));
    assert_ne!(StateKeyHash::new("a\0", "b"), StateKeyHash::new("a", "\0b"));
    for number in 0..1000 {
        let kind = format!("org.example.{number}");
        assert!(!KindRange::MEMBERS.contains(&StateKeyHash::new(&kind, "")));
        assert!(KindRange::of(&kind).contains(&StateKeyHash::new(&kind, &kind)));
        assert!(KindRange::MEMBERS.contains(&member(number)));
    }
}

/// The costs that DESIGN promises, counted: one change, one read, one difference among many members.
#[test]
fn costs_do_not_grow_with_the_room() {
    for (members, levels, bytes) in [(100, 2, 600), (1000, 3, 900), (10_000, 4, 1400), (100_000, 4, 1500)] {
        let mut table = Table::default();
        let kinds = (0..12).map(|number| (StateKeyHash::new(&format!("m.room.{number}"), ""), number));
        let model = kinds.chain((0..members).map(|number| (member(number), number as u32))).collect();
        let before = built(&mut table, &model);
        let (mut state, joins) = (before, 64);
        (table.written, table.bytes_written) = (0, 0);
        table.reads.set(0);
        for number in members..members + joins {
            state = apply(&mut table, state, &[(member(number), Some(7))]).unwrap();
        }
        let joins = joins as usize;
        assert!(table.reads.get() <= levels * joins, "{} reads for {joins} joins", table.reads.get());
        // A join may split a node in seventeen; that is rare.
        assert!(table.written <= (levels + 1) * joins, "{} nodes for {joins} joins", table.written);
        assert!(table.bytes_written <= bytes * joins, "{} bytes for {joins} joins", table.bytes_written);

        table.reads.set(0);
        for number in members..members + 64 {
            assert_eq!(get(&table, state, &member(number)).unwrap(), Some(7));
        }
        assert!(table.reads.get() <= (levels + 1) * joins, "{} reads for {joins} gets", table.reads.get());

        let after = apply(&mut table, state, &[(member(5), None)]).unwrap();
        table.reads.set(0);
        let mut found = 0;
        diff(&table, state, after, &mut |_, _, _| found += 1).unwrap();
        assert!(found == 1 && table.reads.get() <= 2 * (levels + 1), "{} reads for a difference", table.reads.get());
        table.reads.set(0);
        assert_eq!(count(&table, after, KindRange::MEMBERS).unwrap() as u64, members + 63);
        assert!(table.reads.get() <= 3);
    }
}

/// Everything that reads `state`, for nodes that are not as they were written: it may answer anything but a panic.
fn read_all(table: &mut Table, state: StateId, other: StateId) -> Result<(), StorageError> {
    let mut results = vec![
        get(table, state, &member(3)).map(drop),
        len(table, state).map(drop),
        count(table, state, KindRange::MEMBERS).map(drop),
        count(table, state, KindRange::of("m.room.topic")).map(drop),
        walk(table, state, None, &mut |_, _| ControlFlow::Continue(())),
        diff(table, state, other, &mut |_, _, _| ()),
        diff(table, other, state, &mut |_, _, _| ()),
    ];
    let all: Vec<Change> = (0..200).map(|number| (member(number), None)).collect();
    for changes in [&all[..], &[(member(3), None)], &[(member(3), Some(1)), (member(1000), Some(1))]] {
        results.push(apply(table, state, changes).map(drop));
    }
    results.into_iter().collect()
}

#[test]
fn damaged_nodes_are_errors() {
    let mut pristine = Table::default();
    let model: Model = (0..120).map(|number| (member(number), number as u32)).collect();
    let kinds = (0..4).map(|number| (StateKeyHash::new(&format!("m.room.{number}"), ""), number));
    let model = kinds.chain(model).collect();
    let state = built(&mut pristine, &model);
    let other = apply(&mut pristine, state, &[(member(7), None), (member(70), None)]).unwrap();
    let with = |id: &NodeId, node: Option<Vec<u8>>| {
        let mut table = Table { nodes: pristine.nodes.clone(), ..Table::default() };
        match node {
            Some(node) => table.nodes.insert(*id, node.into()),
            None => table.nodes.remove(id),
        };
        table
    };
    let mut random = Random::new(&[1; 32], "damage");
    for (id, node) in &pristine.nodes {
        let missing = with(id, None);
        if walk(&missing, state, None, &mut |_, _| ControlFlow::Continue(())).is_ok() {
            continue; // A node of the other state.
        }
        let error = read_all(&mut with(id, None), state, other).unwrap_err();
        assert!(error.0.contains("missing"), "{error}");
        for len in 0..node.len() {
            read_all(&mut with(id, Some(node[..len].to_vec())), state, other).unwrap_err();
        }
        for byte in 0..node.len() {
            let mut node = node.to_vec();
            node[byte] ^= 1 << random.below(8);
            let _ = read_all(&mut with(id, Some(node)), state, other);
        }
        for _ in 0..50 {
            let noise = (0..random.below(80)).map(|_| random.below(256) as u8).collect();
            let _ = read_all(&mut with(id, Some(noise)), state, other);
        }
    }
}
