use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::Cell;
use core::ops::ControlFlow;

use super::auth_difference::auth_difference;
use super::conflict::{Conflicts, Sets};
use super::graph::Graph;
use super::index_map::IndexMap;
use super::subgraph::conflicted_state_subgraph;
use super::*;
use crate::random::Random;
use crate::room_version::RoomVersion;
use crate::store::auth_chain::AuthRow;
use crate::store::state_map::{NodeId, Nodes, StateKeyHash};

/// A graph without events: those are not looked at.
#[derive(Default)]
struct Table {
    rows: Vec<AuthRow>,
    nodes: BTreeMap<NodeId, Bytes>,
    /// How many rows and nodes were read.
    reads: Cell<usize>,
}

impl AuthChains for Table {
    fn row(&self, index: u32) -> Result<AuthRow, StorageError> {
        self.reads.update(|reads| reads + 1);
        Ok(self.rows[index as usize])
    }
    fn newer_than(
        &self,
        index: u32,
        visit: &mut dyn FnMut(u32, &AuthRow) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        for newer in (index as usize + 1..self.rows.len()).rev() {
            self.reads.update(|reads| reads + 1);
            if visit(newer as u32, &self.rows[newer]).is_break() {
                break;
            }
        }
        Ok(())
    }
}
impl Events for Table {
    fn event(&self, index: u32) -> Result<RoomEvent, StorageError> {
        Err(StorageError(format!("event {index} is not needed")))
    }
}
impl Nodes for Table {
    fn node(&self, id: &NodeId) -> Result<Option<Bytes>, StorageError> {
        self.reads.update(|reads| reads + 1);
        Ok(self.nodes.get(id).cloned())
    }
}
impl NodesMut for Table {
    fn put_node(&mut self, id: NodeId, node: Vec<u8>) {
        self.nodes.insert(id, node.into());
    }
}

type State = BTreeMap<u32, u32>;

fn key(number: u32) -> StateKeyHash {
    StateKeyHash::new("m.room.member", &format!("@user{number}:example.org"))
}

impl Table {
    fn add(&mut self, of: u32, auth: &[u32]) -> u32 {
        self.rows.push(AuthRow::new(key(of), auth));
        self.rows.len() as u32 - 1
    }

    fn state(&mut self, state: &State) -> StateId {
        let entries: Vec<_> = state.iter().map(|(of, event)| (key(*of), Some(*event))).collect();
        state_map::apply(self, StateId::EMPTY, &entries).unwrap()
    }

    fn chain(&self, event: u32) -> BTreeSet<u32> {
        let mut chain = BTreeSet::new();
        let mut pending = Vec::from([event]);
        while let Some(event) = pending.pop() {
            if chain.insert(event) {
                pending.extend(self.rows[event as usize].auth_events());
            }
        }
        chain
    }

    /// The full conflicted sets, without and with the conflicted state subgraph.
    fn full_conflicted_sets(&self, states: &[StateId]) -> (BTreeSet<u32>, BTreeSet<u32>) {
        let conflicts = Conflicts::find(self, states[0], &states[1..]).unwrap();
        let mut graph = Graph::new(self);
        let mut more = auth_difference(&mut graph, self, states[0], &conflicts).unwrap();
        let conflicted: BTreeSet<u32> = conflicts.events().iter().map(|(event, _)| *event).collect();
        assert!(more.is_disjoint(&conflicted));
        let v2 = more.union(&conflicted).copied().collect();
        conflicted_state_subgraph(&mut graph, &conflicts, &mut more).unwrap();
        assert!(more.is_disjoint(&conflicted));
        (v2, more.union(&conflicted).copied().collect())
    }

    /// The same by the definitions.
    fn defined(&self, states: &[State]) -> (BTreeSet<u32>, BTreeSet<u32>) {
        let keys: BTreeSet<u32> = states.iter().flat_map(BTreeMap::keys).copied().collect();
        let differ = |of: &u32| states.iter().any(|state| state.get(of) != states[0].get(of));
        let conflicted: BTreeSet<u32> = keys
            .into_iter()
            .filter(differ)
            .flat_map(|of| states.iter().filter_map(move |state| state.get(&of)))
            .copied()
            .collect();
        let chains: Vec<BTreeSet<u32>> =
            states.iter().map(|state| state.values().flat_map(|event| self.chain(*event)).collect()).collect();
        let everywhere = |event: &u32| chains.iter().all(|chain| chain.contains(event));
        let mut v2 = conflicted.clone();
        v2.extend(chains.iter().flatten().filter(|event| !everywhere(event)));
        let below: BTreeSet<u32> = conflicted.iter().flat_map(|event| self.chain(*event)).collect();
        let mut v2_1 = v2.clone();
        v2_1.extend(below.into_iter().filter(|event| !self.chain(*event).is_disjoint(&conflicted)));
        (v2, v2_1)
    }
}

#[test]
fn the_full_conflicted_set_is_as_defined() {
    let mut random = Random::new(&[7; 32], "graphs");
    let mut below = |bound: usize| random.below(bound as u64) as u32;
    let mut sizes = BTreeSet::new();
    for case in 0..3000 {
        let (mut table, mut by_key) = (Table::default(), BTreeMap::<u32, Vec<u32>>::new());
        let keys = 3 + below(12);
        for index in 0..10 + below(50) {
            // Mostly what is recent, as in rooms, and now and then anything.
            let far = if below(4) == 0 { index } else { index.min(8) };
            let auth: BTreeSet<u32> =
                (0..below(4)).filter(|_| index > 0).map(|_| index - 1 - below(far as usize)).collect();
            let of = below(keys as usize);
            table.add(of, &auth.into_iter().collect::<Vec<_>>());
            by_key.entry(of).or_default().push(index);
        }
        let mut base = State::new();
        for (of, events) in &by_key {
            if below(8) > 0 {
                let back = below(events.len().min(3)) as usize;
                base.insert(*of, events[events.len() - 1 - back]);
            }
        }
        let states: Vec<State> = (0..2 + below(4))
            .map(|_| {
                let mut state = base.clone();
                for _ in 0..below(4) {
                    let (of, events) = by_key.iter().nth(below(by_key.len()) as usize).unwrap();
                    match below(5) {
                        0 => drop(state.remove(of)),
                        _ => drop(state.insert(*of, events[below(events.len()) as usize])),
                    }
                }
                state
            })
            .collect();
        let ids: Vec<StateId> = states.iter().map(|state| table.state(state)).collect();
        let ids = different(&ids);
        if ids.len() > 1 {
            let (ours, defined) = (table.full_conflicted_sets(&ids), table.defined(&states));
            assert_eq!(ours, defined, "case {case}");
            sizes.insert((defined.0.len(), defined.1.len()));
        }
    }
    assert!(sizes.len() > 100, "the graphs are of many kinds");
}

/// A room where `members` joined, and two branches with ten renames each.
fn crowd(members: u32) -> (Table, [StateId; 2]) {
    let mut table = Table::default();
    let create = table.add(u32::MAX, &[]);
    let levels = table.add(u32::MAX - 1, &[create]);
    let mut state: State = State::from([(u32::MAX, create), (u32::MAX - 1, levels)]);
    for member in 0..members {
        state.insert(member, table.add(member, &[create, levels]));
    }
    let sides = [0, 10].map(|first| {
        let mut side = state.clone();
        for member in first..first + 10 {
            let renamed = table.add(member, &[create, levels, side[&member]]);
            // A name before the last, which no state has.
            side.insert(member, table.add(member, &[create, levels, renamed]));
        }
        table.state(&side)
    });
    (table, sides)
}

#[test]
fn conflicts_cost_the_same_in_a_crowd() {
    let reads = |members: u32| {
        let (table, sides) = crowd(members);
        table.reads.set(0);
        let (v2, v2_1) = table.full_conflicted_sets(&sides);
        assert_eq!((v2.len(), v2_1.len()), (60, 60));
        table.reads.get()
    };
    let (few, many) = (reads(30), reads(3000));
    // The states are two nodes deeper.
    assert!(many < few + 200, "{few} reads among 30 members, {many} among 3000");
}

fn room(table: &Table) -> Room<'_> {
    Room { rules: RoomVersion::V11.rules(), create: 0, events: table, chains: table }
}

#[test]
fn what_does_not_disagree_is_not_read() {
    let (table, [one, _]) = crowd(100);
    let mut nodes = Table::default();
    let resolve = |nodes: &mut Table, sets: &[StateId]| resolve(&room(&table), nodes, sets).unwrap();
    assert_eq!(resolve(&mut nodes, &[]), Resolved { state: StateId::EMPTY, conflicts: 0, judged: 0 });
    for count in 1..4 {
        let sets: Vec<StateId> = (0..count).map(|_| one).collect();
        assert_eq!(resolve(&mut nodes, &sets), Resolved { state: one, conflicts: 0, judged: 0 });
    }
    assert_eq!(nodes.reads.get() + nodes.nodes.len(), 0);
}

#[test]
fn too_much_is_refused() {
    let mut table = Table::default();
    let states: Vec<StateId> = (0..MAX_STATE_SETS as u32 + 2).map(|n| table.state(&State::from([(n, n)]))).collect();
    let mut nodes = Table { nodes: table.nodes.clone(), ..Table::default() };
    assert_eq!(resolve(&room(&table), &mut nodes, &states), Err(Error::TooMuch));
    assert_eq!(resolve(&room(&table), &mut nodes, &states[..MAX_STATE_SETS + 1]), Err(Error::TooMuch));
    assert!(Conflicts::find(&table, states[0], &states[1..MAX_STATE_SETS]).is_ok());

    let half = MAX_FULL_CONFLICTED_SET as u32 / 2;
    let [one, other] = [0, half + 1].map(|first| {
        let entry = |n: u32| (StateKeyHash::from_bytes(u128::from(n).to_be_bytes()), Some(n));
        let entries: Vec<_> = (first..=first + half).map(entry).collect();
        state_map::apply(&mut nodes, StateId::EMPTY, &entries).unwrap()
    });
    assert_eq!(resolve(&room(&table), &mut nodes, &[one, other]), Err(Error::TooMuch));
}

#[test]
fn missing_events_are_errors() {
    let (mut table, sides) = crowd(30);
    let mut nodes = Table { nodes: table.nodes.clone(), ..Table::default() };
    let error = resolve(&room(&table), &mut nodes, &sides).unwrap_err();
    assert!(format!("{error}").contains("is not needed"), "{error}");
    table.nodes.clear();
    nodes.nodes.clear();
    assert!(resolve(&room(&table), &mut nodes, &sides).is_err());
}

#[test]
fn candidates_know_their_states() {
    let mut table = Table::default();
    let states = [&[(1, 10), (2, 20)][..], &[(1, 10), (2, 21)], &[(2, 20)], &[(1, 11), (2, 20)]];
    let states = states.map(|state| table.state(&state.iter().copied().collect()));
    let conflicts = Conflicts::find(&table, states[0], &states[1..]).unwrap();
    let at = |of: u32| {
        let mut candidates = conflicts.candidates(conflicts.at(&key(of)).unwrap()).to_vec();
        candidates.sort_unstable();
        candidates
    };
    let expected: [&[(u32, Sets)]; 2] = [&[(10, 0b0011), (11, 0b1000)], &[(20, 0b1101), (21, 0b0010)]];
    assert_eq!([at(1), at(2)], expected);
    // The third state has nothing at the first key, as the result.
    let result = |of: &StateKeyHash| (*of == key(2)).then_some(20);
    assert_eq!(conflicts.nearest(result), 2);
}

#[test]
fn an_index_map_has_what_was_put_into_it() {
    let mut map = IndexMap::new();
    let keys: Vec<u32> = (0..1000).map(|n| n * n * 4096 + n).collect();
    for (value, key) in (0..).zip(&keys) {
        assert_eq!(map.get(*key), None);
        map.insert(*key, value);
    }
    for (value, key) in (0..).zip(&keys) {
        assert_eq!(map.get(*key), Some(value));
    }
    assert_eq!(map.get(u32::MAX), None);
}
