//! A room in memory, as `state_res` reads it and as the reference model does.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use orrery_core::event::Pdu;
use orrery_core::identifiers::EventId;
use orrery_core::room_version::RoomVersion;
use orrery_core::state_res::{self, Error, Events, Explanation, Resolved, RoomEvent};
use orrery_core::store::StorageError;
use orrery_core::store::auth_chain::{AuthChains, AuthRow};
use orrery_core::store::state_map::{self, NodeId, Nodes, NodesMut, StateId, StateKeyHash};
use orrery_sim::reference::{Graph, State};

#[derive(Default)]
pub struct NodeTable(BTreeMap<NodeId, Bytes>);

impl Nodes for NodeTable {
    fn node(&self, id: &NodeId) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.get(id).cloned())
    }
}
impl NodesMut for NodeTable {
    fn put_node(&mut self, id: NodeId, node: Vec<u8>) {
        self.0.insert(id, node.into());
    }
}

/// The state events of a room by index.
#[derive(Default)]
pub struct EventTable {
    pub events: Vec<RoomEvent>,
    pub rows: Vec<AuthRow>,
    pub index: BTreeMap<EventId, u32>,
}

impl EventTable {
    pub fn push(&mut self, pdu: Pdu, rejected: bool) {
        let auth: Vec<u32> = pdu.auth_events.iter().map(|id| self.index[id]).collect();
        self.rows.push(AuthRow::new(key_hash(&pdu), &auth));
        self.index.insert(pdu.event_id.clone(), self.events.len() as u32);
        self.events.push(RoomEvent { pdu: Arc::new(pdu), rejected });
    }
}

fn key_hash(pdu: &Pdu) -> StateKeyHash {
    StateKeyHash::new(&pdu.kind, pdu.state_key.as_deref().unwrap_or_default())
}

impl Events for EventTable {
    fn event(&self, index: u32) -> Result<RoomEvent, StorageError> {
        Ok(self.events[index as usize].clone())
    }
}

impl AuthChains for EventTable {
    fn row(&self, index: u32) -> Result<AuthRow, StorageError> {
        Ok(self.rows[index as usize])
    }
    fn newer_than(
        &self,
        index: u32,
        visit: &mut dyn FnMut(u32, &AuthRow) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        for newer in (index as usize + 1..self.rows.len()).rev() {
            if visit(newer as u32, &self.rows[newer]).is_break() {
                break;
            }
        }
        Ok(())
    }
}

pub struct Room {
    pub version: RoomVersion,
    pub graph: Graph,
    pub table: EventTable,
    pub nodes: NodeTable,
    pub ruma: crate::ruma::Events,
}

impl Room {
    pub fn new(version: RoomVersion, create: Pdu) -> Room {
        let graph = Graph::new(version, create.clone());
        let mut room = Room {
            version,
            graph,
            table: EventTable::default(),
            nodes: NodeTable::default(),
            ruma: crate::ruma::Events::default(),
        };
        room.ruma.add(&create, false);
        room.table.push(create, false);
        room
    }

    pub fn add(&mut self, pdu: Pdu, rejected: bool) {
        self.graph.add(pdu.clone(), rejected);
        self.ruma.add(&pdu, rejected);
        self.table.push(pdu, rejected);
    }

    fn state_id_in(&mut self, state: &State, table: Option<&EventTable>) -> StateId {
        let index = &table.unwrap_or(&self.table).index;
        let entries = state.iter().map(|((kind, key), id)| (StateKeyHash::new(kind, key), Some(index[id])));
        let entries: Vec<_> = entries.collect();
        state_map::apply(&mut self.nodes, StateId::EMPTY, &entries).unwrap()
    }

    /// What Orrery resolves these states to.
    pub fn resolve(&mut self, sets: &[State]) -> State {
        self.resolve_in(sets, None)
    }

    /// What Orrery resolves these states to, if the events had arrived in the order of `table`.
    pub fn resolve_in(&mut self, sets: &[State], table: Option<&EventTable>) -> State {
        let ids: Vec<StateId> = sets.iter().map(|set| self.state_id_in(set, table)).collect();
        let resolved = self.resolve_ids(&ids, table).unwrap();
        let table = table.unwrap_or(&self.table);
        let mut state = State::new();
        state_map::walk(&self.nodes, resolved.state, None, &mut |_, index| {
            let pdu = &table.events[index as usize].pdu;
            state.insert((pdu.kind.clone(), pdu.state_key.clone().unwrap()), pdu.event_id.clone());
            ControlFlow::Continue(())
        })
        .unwrap();
        state
    }

    /// Why Orrery resolves these states to what it does at a key.
    pub fn explain(&mut self, sets: &[State], (kind, state_key): &(String, String)) -> Explanation {
        let ids: Vec<StateId> = sets.iter().map(|set| self.state_id_in(set, None)).collect();
        let create = self.table.index[&self.graph.create];
        let room = state_res::Room { rules: self.version.rules(), create, events: &self.table, chains: &self.table };
        state_res::explain(&room, &self.nodes, &ids, &StateKeyHash::new(kind, state_key)).unwrap()
    }

    fn resolve_ids(&mut self, ids: &[StateId], table: Option<&EventTable>) -> Result<Resolved, Error> {
        let table = table.unwrap_or(&self.table);
        let create = table.index[&self.graph.create];
        let room = state_res::Room { rules: self.version.rules(), create, events: table, chains: table };
        state_res::resolve(&room, &mut self.nodes, ids)
    }
}
