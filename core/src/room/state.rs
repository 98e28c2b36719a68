//! A room as steps and queries hold it, and its states.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::ControlFlow;

use super::stored_event::StoredEvent;
use super::tables::{EVENT_BY_ID, EventIndex, HEAD, INFO, ROOM_BY_ID, RoomHead, RoomInfo, STATE_NODES};
use crate::auth_rules::PowerLevels;
use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::identifiers::{EventId, RoomId};
use crate::store::auth_chain::{AuthChains, RoomAuthChains};
use crate::store::state_map::{self, KindRange, Nodes, NodesMut, StateId, StateKeyHash};
use crate::store::tables::{RoomNum, Write};
use crate::store::{Read, StorageError};

/// A room at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub num: RoomNum,
    pub info: RoomInfo,
    pub head: RoomHead,
}

impl Room {
    /// The room with this ID, if this server is or was in it.
    pub fn find(read: &(impl Read + ?Sized), room_id: &str) -> Result<Option<Room>, StorageError> {
        Ok(Room::find_even_outside(read, room_id)?.filter(|room| room.head.state != StateId::EMPTY))
    }

    /// The same, and rooms in which users of this server have a membership only ([`super::outside`]). Those have no state.
    pub fn find_even_outside(read: &(impl Read + ?Sized), room_id: &str) -> Result<Option<Room>, StorageError> {
        match ROOM_BY_ID.get(read, room_id)? {
            Some(num) => Room::get(read, num),
            None => Ok(None),
        }
    }

    pub fn get(read: &(impl Read + ?Sized), num: RoomNum) -> Result<Option<Room>, StorageError> {
        let Some(info) = INFO.get(read, num, ())? else { return Ok(None) };
        let Some(head) = HEAD.get(read, num, ())? else { return Ok(None) };
        Ok(Some(Room { num, info, head }))
    }

    /// A room that another row names, and that must therefore be there.
    pub fn expect(read: &(impl Read + ?Sized), num: RoomNum) -> Result<Room, StorageError> {
        Room::get(read, num)?.ok_or_else(|| StorageError(alloc::format!("room {} is gone", num.0)))
    }

    /// The room that a client names in a path; one that does not exist looks like one the client may not see.
    pub fn require(read: &(impl Read + ?Sized), room_id: &str) -> Result<Room, ApiError> {
        let room_id = RoomId::parse(room_id).map_err(|error| ApiError::invalid_param(alloc::format!("{error}")))?;
        Room::find(read, &room_id)?
            .ok_or_else(|| ApiError::forbidden("You are not in this room, or there is no such room"))
    }

    #[must_use]
    pub fn room_id(&self) -> &RoomId {
        &self.info.room_id
    }

    /// Whether a user of this server is joined: then the room's events come here, and its state here is the room's. Of other rooms
    /// this server knows what they were when its last user left, or what an invite told.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        self.head.local_joined > 0
    }

    /// The index of the event of this room with this ID.
    pub fn index_of(&self, read: &(impl Read + ?Sized), event_id: &str) -> Result<Option<EventIndex>, StorageError> {
        Ok(EVENT_BY_ID.get(read, event_id)?.filter(|(room, _)| *room == self.num).map(|(_, index)| index))
    }

    /// The event of this room with this ID, however it stands: see [`Room::timeline_event`].
    pub fn event(&self, read: &(impl Read + ?Sized), event_id: &str) -> Result<Option<StoredEvent>, StorageError> {
        match EVENT_BY_ID.get(read, event_id)? {
            Some((room, index)) if room == self.num => StoredEvent::get(read, room, index),
            _ => Ok(None),
        }
    }

    /// The event of this room with this ID, if it is in the timeline: what clients speak of.
    pub fn timeline_event(
        &self,
        read: &(impl Read + ?Sized),
        event_id: &str,
    ) -> Result<Option<StoredEvent>, StorageError> {
        Ok(self.event(read, event_id)?.filter(StoredEvent::is_in_timeline))
    }

    /// The index of the state event under a key in the state `at`.
    pub fn state_index(
        &self,
        read: &(impl Read + ?Sized),
        at: StateId,
        kind: &str,
        state_key: &str,
    ) -> Result<Option<EventIndex>, StorageError> {
        self.index_at(read, at, &StateKeyHash::new(kind, state_key))
    }

    /// [`Room::state_index`] of a key that is hashed already.
    pub(super) fn index_at(
        &self,
        read: &(impl Read + ?Sized),
        at: StateId,
        key: &StateKeyHash,
    ) -> Result<Option<EventIndex>, StorageError> {
        let nodes = RoomNodes { read, room: self.num };
        Ok(state_map::get(&nodes, at, key)?.map(EventIndex))
    }

    /// The state event under a key in the state `at`.
    pub fn state_event(
        &self,
        read: &(impl Read + ?Sized),
        at: StateId,
        kind: &str,
        state_key: &str,
    ) -> Result<Option<StoredEvent>, StorageError> {
        match self.state_index(read, at, kind, state_key)? {
            Some(index) => StoredEvent::expect(read, self.num, index).map(Some),
            None => Ok(None),
        }
    }

    /// The content of the current state event under a key.
    pub fn current_content(
        &self,
        read: &(impl Read + ?Sized),
        kind: &str,
        state_key: &str,
    ) -> Result<Option<Object>, StorageError> {
        let Some(event) = self.state_event(read, self.head.state, kind, state_key)? else { return Ok(None) };
        match canonical_json::parse(event.content_bytes()) {
            Ok(Value::Object(content)) => Ok(Some(content)),
            _ => Err(StorageError(alloc::format!("the content of {} is not an object", event.header.event_id))),
        }
    }

    /// The current state event under a key, parsed.
    pub fn current_pdu(
        &self,
        read: &(impl Read + ?Sized),
        kind: &str,
        state_key: &str,
    ) -> Result<Option<Pdu>, StorageError> {
        match self.state_event(read, self.head.state, kind, state_key)? {
            Some(event) => event.pdu(self.info.version).map(Some),
            None => Ok(None),
        }
    }

    /// The room's create event.
    pub fn create_event(&self, read: &(impl Read + ?Sized)) -> Result<Pdu, StorageError> {
        self.current_pdu(read, "m.room.create", "")?
            .ok_or_else(|| StorageError(alloc::format!("{} has no create event", self.info.room_id)))
    }

    /// The power levels in force.
    pub fn power_levels(&self, read: &(impl Read + ?Sized)) -> Result<PowerLevels, StorageError> {
        let create = self.create_event(read)?;
        let levels = self.current_pdu(read, "m.room.power_levels", "")?;
        Ok(PowerLevels::new(self.info.version.rules(), create, levels))
    }

    /// The reference hash of an event of this room (asked in room versions 1 and 2 only).
    pub fn reference_hash(
        &self,
        read: &(impl Read + ?Sized),
        event_id: &EventId,
    ) -> Result<Option<[u8; 32]>, StorageError> {
        let Some(event) = self.event(read, event_id)? else { return Ok(None) };
        let rules = self.info.version.rules();
        event.pdu(self.info.version).map(|event| Some(event.reference_hash(rules)))
    }

    /// Visits the indices of the state `at`, those of one type if `kind` is given, in the order of the state map.
    pub fn walk_state(
        &self,
        read: &(impl Read + ?Sized),
        at: StateId,
        kind: Option<&str>,
        visit: &mut dyn FnMut(EventIndex) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let nodes = RoomNodes { read, room: self.num };
        state_map::walk(&nodes, at, kind.map(KindRange::of), &mut |_, index| visit(EventIndex(index)))
    }

    /// Visits the indices of the state `at` that are no memberships, without looking at those that are.
    pub fn walk_state_without_members(
        &self,
        read: &(impl Read + ?Sized),
        at: StateId,
        visit: &mut dyn FnMut(EventIndex) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let nodes = RoomNodes { read, room: self.num };
        state_map::walk(&nodes, at, Some(KindRange::OTHERS), &mut |_, index| visit(EventIndex(index)))
    }

    /// The events of the state `at`, those of one type if `kind` is given, in the order in which they came.
    pub fn state_events(
        &self,
        read: &(impl Read + ?Sized),
        at: StateId,
        kind: Option<&str>,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let mut indices = Vec::new();
        self.walk_state(read, at, kind, &mut |index| {
            indices.push(index);
            ControlFlow::Continue(())
        })?;
        indices.sort_unstable();
        let mut events = StoredEvent::expect_all(read, self.num, &indices)?;
        // Somebody may have crafted another type whose entries lie with these.
        events.retain(|event| kind.is_none_or(|kind| event.header.kind == kind));
        Ok(events)
    }

    /// Visits the keys that differ between two states: what `from` and `to` hold there.
    pub fn state_difference(
        &self,
        read: &(impl Read + ?Sized),
        from: StateId,
        to: StateId,
        visit: &mut dyn FnMut(Option<EventIndex>, Option<EventIndex>),
    ) -> Result<(), StorageError> {
        let nodes = RoomNodes { read, room: self.num };
        state_map::diff(&nodes, from, to, &mut |_, a, b| visit(a.map(EventIndex), b.map(EventIndex)))
    }

    /// The state after an event.
    pub fn state_after(&self, read: &(impl Read + ?Sized), event: &StoredEvent) -> Result<StateId, StorageError> {
        let Some(state_key) = &event.header.state_key else { return Ok(event.header.state_before) };
        if event.is_rejected() {
            return Ok(event.header.state_before);
        }
        // Content-addressed: the nodes of the state after were stored with the event, so this only finds its root.
        let mut nodes = NewNodes::new(read, self.num);
        let key = StateKeyHash::new(&event.header.kind, state_key);
        state_map::apply(&mut nodes, event.header.state_before, &[(key, Some(event.index.0))])
    }

    /// The room's current state once an event of its timeline had come.
    pub fn current_after(&self, read: &(impl Read + ?Sized), event: &StoredEvent) -> Result<StateId, StorageError> {
        match event.header.current {
            Some(current) => Ok(current.after),
            None => self.state_after(read, event),
        }
    }

    /// The state of these events and nothing else. All are state events that are stored; of two for one key, the last counts.
    pub fn state_of(&self, write: &mut dyn Write, events: &[EventIndex]) -> Result<StateId, StorageError> {
        let mut changes = Vec::with_capacity(events.len());
        let chains = RoomAuthChains { read: &*write, room: self.num };
        for index in events {
            changes.push((chains.row(index.0)?.key, Some(index.0)));
        }
        state_map::apply(&mut RoomNodesMut { write, room: self.num }, StateId::EMPTY, &changes)
    }

    /// The state `at` with these entries.
    pub(super) fn apply_entries(
        &self,
        write: &mut dyn Write,
        at: StateId,
        entries: &[(StateKeyHash, Option<u32>)],
    ) -> Result<StateId, StorageError> {
        let mut nodes = RoomNodesMut { write, room: self.num };
        state_map::apply(&mut nodes, at, entries)
    }

    pub(super) fn apply_state(
        &self,
        write: &mut dyn Write,
        at: StateId,
        kind: &str,
        state_key: &str,
        index: EventIndex,
    ) -> Result<StateId, StorageError> {
        let mut nodes = RoomNodesMut { write, room: self.num };
        state_map::apply(&mut nodes, at, &[(StateKeyHash::new(kind, state_key), Some(index.0))])
    }
}

struct RoomNodes<'a, R: ?Sized> {
    read: &'a R,
    room: RoomNum,
}

impl<R: Read + ?Sized> Nodes for RoomNodes<'_, R> {
    fn node(&self, id: &[u8; 16]) -> Result<Option<Bytes>, StorageError> {
        STATE_NODES.get_bytes(self.read, self.room, *id)
    }
}

struct RoomNodesMut<'a> {
    write: &'a mut dyn Write,
    room: RoomNum,
}

impl Nodes for RoomNodesMut<'_> {
    fn node(&self, id: &[u8; 16]) -> Result<Option<Bytes>, StorageError> {
        STATE_NODES.get_bytes(&*self.write, self.room, *id)
    }
}

impl NodesMut for RoomNodesMut<'_> {
    fn put_node(&mut self, id: [u8; 16], node: Vec<u8>) {
        STATE_NODES.put_bytes(self.write, self.room, id, node.into());
    }
}

/// A room's nodes, and those that are made beside them and not written yet.
pub(super) struct NewNodes<'a, R: ?Sized> {
    below: RoomNodes<'a, R>,
    made: BTreeMap<[u8; 16], Bytes>,
}

impl<'a, R: Read + ?Sized> NewNodes<'a, R> {
    pub fn new(read: &'a R, room: RoomNum) -> NewNodes<'a, R> {
        NewNodes { below: RoomNodes { read, room }, made: BTreeMap::new() }
    }

    /// The nodes that were made; [`write_nodes`] writes them.
    pub fn into_made(self) -> BTreeMap<[u8; 16], Bytes> {
        self.made
    }
}

/// Writes nodes that [`NewNodes`] made.
pub(super) fn write_nodes(write: &mut dyn Write, room: RoomNum, made: BTreeMap<[u8; 16], Bytes>) {
    for (id, node) in made {
        STATE_NODES.put_bytes(write, room, id, node);
    }
}

impl<R: Read + ?Sized> Nodes for NewNodes<'_, R> {
    fn node(&self, id: &[u8; 16]) -> Result<Option<Bytes>, StorageError> {
        match self.made.get(id) {
            Some(made) => Ok(Some(made.clone())),
            None => self.below.node(id),
        }
    }
}

impl<R: Read + ?Sized> NodesMut for NewNodes<'_, R> {
    fn put_node(&mut self, id: [u8; 16], node: Vec<u8>) {
        self.made.insert(id, node.into());
    }
}
