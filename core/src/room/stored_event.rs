//! Events as they are stored: a header with what queries need, then the canonical JSON.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::tables::{EVENTS, EventIndex};
use crate::event::Pdu;
use crate::identifiers::{DeviceId, EventId, UserId};
use crate::room_version::RoomVersion;
use crate::store::state_map::StateId;
use crate::store::tables::{RoomNum, Write};
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

/// What is known of an event beside its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHeader {
    pub event_id: EventId,
    pub sender: UserId,
    pub kind: String,
    pub state_key: Option<String>,
    pub origin_server_ts: Timestamp,
    /// The place in the timeline: the position for an event that arrived live.
    pub order: i64,
    /// The state before the event.
    pub state_before: StateId,
    /// The state event that this one took the place of.
    pub replaces: Option<EventIndex>,
    /// The redaction that took its content away.
    pub redacted_by: Option<EventIndex>,
    /// The device and transaction ID that sent it, told back to that device only.
    pub transaction: Option<(DeviceId, String)>,
    pub standing: Standing,
    /// Where `content` is in the JSON: its first byte and the one after its last.
    content: (u32, u32),
}

/// How an event stands in its room. Three different things that are never confused (Server-Server API, "Rejection",
/// "Soft failure").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Accepted,
    /// In the graph, but not shown and no forward extremity.
    SoftFailed,
    /// Failed the authorization rules.
    Rejected,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    pub index: EventIndex,
    pub header: EventHeader,
    /// The event in canonical JSON, as it is signed and sent to other servers.
    pub json: Bytes,
}

impl StoredEvent {
    /// The event that was just made or received.
    #[must_use]
    pub fn new(
        index: EventIndex,
        pdu: &Pdu,
        order: i64,
        state_before: StateId,
        replaces: Option<EventIndex>,
    ) -> StoredEvent {
        StoredEvent {
            index,
            header: EventHeader {
                event_id: pdu.event_id.clone(),
                sender: pdu.sender.clone(),
                kind: pdu.kind.clone(),
                state_key: pdu.state_key.clone(),
                origin_server_ts: pdu.timestamp(),
                order,
                state_before,
                replaces,
                redacted_by: None,
                transaction: None,
                standing: Standing::Accepted,
                content: content_range(pdu),
            },
            json: pdu.json().clone(),
        }
    }

    /// Reads the event `index` of a room.
    pub fn get(
        read: &(impl Read + ?Sized),
        room: RoomNum,
        index: EventIndex,
    ) -> Result<Option<StoredEvent>, StorageError> {
        EVENTS.get_bytes(read, room, index)?.map(|row| decode(index, &row)).transpose()
    }

    /// Reads an event that another row names, and that must therefore be there.
    pub fn expect(read: &(impl Read + ?Sized), room: RoomNum, index: EventIndex) -> Result<StoredEvent, StorageError> {
        StoredEvent::get(read, room, index)?
            .ok_or_else(|| StorageError(alloc::format!("event {} of room {} is gone", index.0, room.0)))
    }

    pub fn put(&self, write: &mut (impl Write + ?Sized), room: RoomNum) {
        let header = postcard::to_allocvec(&self.header).expect("headers have no type that postcard refuses");
        let mut row = Vec::with_capacity(4 + header.len() + self.json.len());
        row.extend_from_slice(&u32::try_from(header.len()).expect("headers are small").to_be_bytes());
        row.extend_from_slice(&header);
        row.extend_from_slice(&self.json);
        EVENTS.put_bytes(write, room, self.index, row.into());
    }

    /// `content` in canonical JSON.
    #[must_use]
    pub fn content_bytes(&self) -> &[u8] {
        let (from, to) = self.header.content;
        self.json.get(from as usize..to as usize).unwrap_or_default()
    }

    /// `content` in canonical JSON, without copying it.
    #[must_use]
    pub fn content(&self) -> Bytes {
        self.json.slice_ref(self.content_bytes())
    }

    /// The event with its content parsed.
    pub fn pdu(&self, version: RoomVersion) -> Result<Pdu, StorageError> {
        Pdu::from_stored(self.header.event_id.clone(), self.json.clone(), version)
            .map_err(|error| StorageError(alloc::format!("the stored event {}: {error}", self.header.event_id)))
    }

    /// Takes the content away: `pdu` is the event after the redaction algorithm.
    pub fn redact(&mut self, pdu: &Pdu, by: EventIndex) {
        self.json = pdu.json().clone();
        self.header.content = content_range(pdu);
        self.header.redacted_by = Some(by);
    }

    #[must_use]
    pub fn is_state(&self) -> bool {
        self.header.state_key.is_some()
    }
}

fn content_range(pdu: &Pdu) -> (u32, u32) {
    let from = pdu.content_bytes().as_ptr() as usize - pdu.json().as_ptr() as usize;
    let to = from + pdu.content_bytes().len();
    let offset = |at| u32::try_from(at).expect("events are at most 64 KiB");
    (offset(from), offset(to))
}

fn decode(index: EventIndex, row: &Bytes) -> Result<StoredEvent, StorageError> {
    let cut = || StorageError(alloc::format!("the row of event {} is cut short", index.0));
    let len = row.get(..4).and_then(|len| len.try_into().ok()).map(u32::from_be_bytes).ok_or_else(cut)? as usize;
    let header = row.get(4..4 + len).ok_or_else(cut)?;
    let header: EventHeader = postcard::from_bytes(header)
        .map_err(|error| StorageError(alloc::format!("the header of event {} does not decode: {error}", index.0)))?;
    Ok(StoredEvent { index, header, json: row.slice(4 + len..) })
}
