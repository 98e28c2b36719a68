use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::ControlFlow;

use super::*;
use crate::store::memory::Memory;
use crate::store::state_map::{self, NodeId, Nodes, NodesMut, StateId};
use crate::store::{Visit, tables};

/// Storage that a test writes to without a step.
#[derive(Default)]
struct Store(Memory);

impl Read for Store {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.0.get(key)
    }
    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        self.0.scan(from, to, order, visit)
    }
}
impl tables::Write for Store {
    fn write(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        self.0.0.insert(key.into(), value);
    }
}
impl Nodes for Store {
    fn node(&self, id: &NodeId) -> Result<Option<Bytes>, StorageError> {
        self.0.get(id)
    }
}
impl NodesMut for Store {
    fn put_node(&mut self, id: NodeId, node: Vec<u8>) {
        self.0.0.insert(Bytes::copy_from_slice(&id), Some(node.into()));
    }
}

const ROOM: RoomNum = RoomNum(7);

/// A room whose state event `i` cites `graph[i]`.
fn room(graph: &[&[u32]]) -> Store {
    let mut store = Store::default();
    for (index, auth) in (0..).zip(graph) {
        insert(&mut store, ROOM, index, ("m.room.topic", &alloc::format!("{index}")), auth);
    }
    // A neighbour, whose rows must not show.
    insert(&mut store, RoomNum(8), 0, ("m.room.create", ""), &[]);
    store
}

const GRAPH: &[&[u32]] = &[&[], &[0], &[0, 1], &[0, 1, 2], &[0, 1, 2], &[0, 3, 2], &[0, 1]];

#[test]
fn rows_read_as_they_were_written() {
    let check = |index: u32, auth: &[u32]| {
        let mut store = Store::default();
        insert(&mut store, ROOM, index, ("m.room.member", "@a:b.c"), auth);
        let row = RoomAuthChains { read: &store, room: ROOM }.row(index).unwrap();
        assert_eq!(row, AuthRow::new(StateKeyHash::new("m.room.member", "@a:b.c"), auth));
    };
    check(0, &[]);
    check(1, &[0]);
    check(u32::MAX, &[0, 1, 127, 128, 16_383, 16_384, u32::MAX - 1, u32::MAX - 128, 5, 4]);
}

#[test]
fn malformed_rows_are_errors() {
    let check = |row: &[u8]| {
        let mut store = Store::default();
        AUTH_CHAIN.put_bytes(&mut store, ROOM, 5u32, Bytes::copy_from_slice(row));
        let chains = RoomAuthChains { read: &store, room: ROOM };
        assert!(chains.row(5).is_err(), "{row:?}");
        assert!(chains.newer_than(0, &mut |_, _| ControlFlow::Continue(())).is_err(), "{row:?}");
    };
    check(&[]);
    check(&[0; 15]);
    let with = |rest: &[u8]| [&[0; 16], rest].concat();
    // No event cites itself, or a newer one, or more than it may; numbers end, and are not too large.
    check(&with(&[0]));
    check(&with(&[6]));
    check(&with(&[1; MAX_AUTH_EVENTS + 1]));
    check(&with(&[0x80]));
    check(&with(&[0xff, 0xff, 0xff, 0xff, 0x7f]));
    let store = Store::default();
    assert!(RoomAuthChains { read: &store, room: ROOM }.row(5).is_err(), "none at all");
}

#[test]
fn chains_are_listed_in_order() {
    let store = room(GRAPH);
    let chains = RoomAuthChains { read: &store, room: ROOM };
    let check = |events: &[u32], expected: &[u32]| {
        assert_eq!(chain_of_events(&chains, events).unwrap(), expected, "{events:?}");
    };
    check(&[], &[]);
    check(&[0], &[]);
    check(&[1], &[0]);
    check(&[5], &[0, 1, 2, 3]);
    check(&[6, 4], &[0, 1, 2]);
    check(&[5, 3], &[0, 1, 2, 3]);
    check(&[6], &[0, 1]);
}

#[test]
fn the_chain_of_a_state_is_that_of_its_events() {
    let mut store = room(GRAPH);
    let entries = [5u32, 6].map(|event| (StateKeyHash::new("t", &alloc::format!("{event}")), Some(event)));
    let state = state_map::apply(&mut store, StateId::EMPTY, &entries).unwrap();
    let chains = RoomAuthChains { read: &store, room: ROOM };
    assert_eq!(chain_of_state(&chains, &store, state).unwrap(), [0, 1, 2, 3]);
    assert_eq!(chain_of_state(&chains, &store, StateId::EMPTY).unwrap(), []);
}

#[test]
fn newer_rows_come_newest_first() {
    let store = room(GRAPH);
    let chains = RoomAuthChains { read: &store, room: ROOM };
    let check = |than: u32, stop_at: u32, expected: &[u32]| {
        let mut seen = Vec::new();
        let visit = &mut |index: u32, row: &AuthRow| {
            assert_eq!(row.auth_events(), GRAPH[index as usize]);
            seen.push(index);
            if index == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        chains.newer_than(than, visit).unwrap();
        assert_eq!(seen, expected);
    };
    check(3, 0, &[6, 5, 4]);
    check(3, 5, &[6, 5]);
    check(6, 0, &[]);
    check(u32::MAX, 0, &[]);
}
