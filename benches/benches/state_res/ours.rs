//! The workload as Orrery's core has it: in memory, as the peer has it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use orrery_core::identifiers::EventId;
use orrery_core::room_version::RoomVersion;
use orrery_core::state_res::{Events, Resolved, Room, RoomEvent, resolve};
use orrery_core::store::StorageError;
use orrery_core::store::auth_chain::{AuthChains, AuthRow};
use orrery_core::store::state_map::{self, NodeId, Nodes, NodesMut, StateId, StateKeyHash};

use crate::workload::{State, Workload};

pub struct Ours {
    version: RoomVersion,
    events: Vec<RoomEvent>,
    rows: Vec<AuthRow>,
    nodes: Table,
    sides: [StateId; 2],
}

/// By the node's id as a number, which compares faster than bytes.
#[derive(Default)]
struct Table(BTreeMap<u128, Bytes>);

impl Nodes for Table {
    fn node(&self, id: &NodeId) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.get(&u128::from_be_bytes(*id)).cloned())
    }
}
impl NodesMut for Table {
    fn put_node(&mut self, id: NodeId, node: Vec<u8>) {
        self.0.insert(u128::from_be_bytes(id), node.into());
    }
}

/// A table that forgets what is put.
struct Forgetful<'t>(&'t Table);

impl Nodes for Forgetful<'_> {
    fn node(&self, id: &NodeId) -> Result<Option<Bytes>, StorageError> {
        self.0.node(id)
    }
}
impl NodesMut for Forgetful<'_> {
    fn put_node(&mut self, _: NodeId, _: Vec<u8>) {}
}

impl Ours {
    pub fn new(workload: &Workload) -> Ours {
        let events = &workload.events;
        let index: BTreeMap<&EventId, u32> = events.iter().map(|event| &event.event_id).zip(0..).collect();
        let row = |event: &orrery_core::event::Pdu| {
            let auth: Vec<u32> = event.auth_events.iter().map(|id| index[id]).collect();
            AuthRow::new(StateKeyHash::new(&event.kind, event.state_key.as_deref().unwrap_or_default()), &auth)
        };
        let mut nodes = Table::default();
        let sides = workload.sides.each_ref().map(|state: &State| {
            let entries = state.iter().map(|((kind, key), id)| (StateKeyHash::new(kind, key), Some(index[id])));
            let entries: Vec<_> = entries.collect();
            state_map::apply(&mut nodes, StateId::EMPTY, &entries).expect("nothing is read")
        });
        Ours {
            version: workload.version,
            rows: events.iter().map(row).collect(),
            events: events.iter().map(|pdu| RoomEvent { pdu: Arc::new(pdu.clone()), rejected: false }).collect(),
            nodes,
            sides,
        }
    }

    pub fn resolve(&self) -> Resolved {
        let room = Room { rules: self.version.rules(), create: 0, events: self, chains: self };
        resolve(&room, &mut Forgetful(&self.nodes), &self.sides).expect("the table is whole")
    }

    /// The resolved state, to compare.
    pub fn resolved_state(&mut self) -> State {
        let mut nodes = std::mem::take(&mut self.nodes);
        let room = Room { rules: self.version.rules(), create: 0, events: self, chains: self };
        let resolved = resolve(&room, &mut nodes, &self.sides).expect("the table is whole");
        let mut state = State::new();
        state_map::walk(&nodes, resolved.state, None, &mut |_, index| {
            let pdu = &self.events[index as usize].pdu;
            state.insert((pdu.kind.clone(), pdu.state_key.clone().unwrap_or_default()), pdu.event_id.clone());
            ControlFlow::Continue(())
        })
        .expect("the table is whole");
        self.nodes = nodes;
        state
    }
}

impl Events for Ours {
    fn event(&self, index: u32) -> Result<RoomEvent, StorageError> {
        Ok(self.events[index as usize].clone())
    }
}

impl AuthChains for Ours {
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
