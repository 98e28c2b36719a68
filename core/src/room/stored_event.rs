//! Events as they are stored: a short header, then the packed canonical JSON, of which what queries need is read again.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::packing;
use super::tables::{EVENTS, EventIndex};
use crate::event::{ClientEvent, Essentials, Pdu, Places};
use crate::identifiers::{DeviceId, EventId, InvalidIdentifier, UserId};
use crate::room_version::RoomVersion;
use crate::signing::base64;
use crate::store::state_map::StateId;
use crate::store::tables::{RoomNum, Write};
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

/// What is known of an event beside its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHeader {
    pub event_id: EventId,
    pub sender: UserId,
    pub kind: String,
    pub state_key: Option<String>,
    pub origin_server_ts: Timestamp,
    /// The place in the timeline: the position for an event that arrived live. [`NOWHERE`] for one that is not in it.
    pub order: i64,
    /// The state before the event. An outlier has none.
    pub state_before: StateId,
    /// What the room's current state was before this event came and what it has been since, where these are not the states before
    /// and after the event: where branches of the room's history meet.
    pub current: Option<CurrentState>,
    /// History before the event is missing here that the room has after the event before it in the timeline.
    pub after_gap: bool,
    /// The state event that this one took the place of.
    pub replaces: Option<EventIndex>,
    /// The redaction that took its content away.
    pub redacted_by: Option<EventIndex>,
    /// The device and transaction ID that sent it, told back to that device only.
    pub transaction: Option<(DeviceId, String)>,
    pub standing: Standing,
    /// It is known because others cite it, as an auth event or in a state: it has no state and no place in the timeline, and its
    /// previous events may be unknown.
    pub outlier: bool,
    places: Places,
}

/// A room's current state around the arrival of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentState {
    pub before: StateId,
    pub after: StateId,
}

/// The order of events that are not in the timeline: before all that are.
pub const NOWHERE: i64 = i64::MIN;

/// How an event stands in its room (Server-Server API, "Rejection", "Soft failure"). That an event is an outlier is another
/// matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Accepted,
    /// In the graph, but not shown and no forward extremity.
    SoftFailed,
    /// Failed the authorization rules, for ever: it changes no state and authorizes nothing.
    Rejected,
}

/// The distance of two events up to which a scan over those between them costs less than looking each up.
const NEIGHBOURS: u32 = 4;

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    pub index: EventIndex,
    pub header: EventHeader,
    /// The event in canonical JSON, as it is signed and sent to other servers.
    pub json: Bytes,
}

impl StoredEvent {
    /// The event that was just made or received, and is accepted.
    #[must_use]
    pub fn new(
        index: EventIndex,
        pdu: &Pdu,
        order: i64,
        state_before: StateId,
        replaces: Option<EventIndex>,
    ) -> StoredEvent {
        let mut event = StoredEvent::hidden(index, pdu, state_before, Standing::Accepted);
        event.header.order = order;
        event.header.replaces = replaces;
        event
    }

    /// An event that is stored without a state and without a place in the timeline.
    #[must_use]
    pub fn outlier(index: EventIndex, pdu: &Pdu, standing: Standing) -> StoredEvent {
        let mut event = StoredEvent::hidden(index, pdu, StateId::EMPTY, standing);
        event.header.outlier = true;
        event
    }

    /// An event that is in the graph and not in the timeline.
    #[must_use]
    pub fn hidden(index: EventIndex, pdu: &Pdu, state_before: StateId, standing: Standing) -> StoredEvent {
        StoredEvent {
            index,
            header: EventHeader {
                event_id: pdu.event_id.clone(),
                sender: pdu.sender.clone(),
                kind: pdu.kind.clone(),
                state_key: pdu.state_key.clone(),
                origin_server_ts: pdu.timestamp(),
                order: NOWHERE,
                state_before,
                current: None,
                after_gap: false,
                replaces: None,
                redacted_by: None,
                transaction: None,
                standing,
                outlier: false,
                places: places(pdu),
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

    /// Reads the event `index` of a room as [`StoredEvent::pdu`] gives it, and how it stands.
    pub fn get_pdu(
        read: &(impl Read + ?Sized),
        room: RoomNum,
        index: EventIndex,
        version: RoomVersion,
    ) -> Result<Option<(Pdu, Standing)>, StorageError> {
        let Some(row) = EVENTS.get_bytes(read, room, index)? else { return Ok(None) };
        let (stored, json) = split(index, &row)?;
        let event_id = stored.event_id.event_id().map_err(|error| broken(index, &error))?;
        let pdu = Pdu::from_stored(event_id, json.into(), version).map_err(|error| broken(index, &error))?;
        Ok(Some((pdu, stored.standing)))
    }

    /// Reads events that other rows name, by ascending index. Neighbours are read together.
    pub fn expect_all(
        read: &(impl Read + ?Sized),
        room: RoomNum,
        indices: &[EventIndex],
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let mut events = Vec::with_capacity(indices.len());
        for run in indices.chunk_by(|a, b| b.0 - a.0 <= NEIGHBOURS) {
            let [first, .., last] = run else {
                for index in run {
                    events.push(StoredEvent::expect(read, room, *index)?);
                }
                continue;
            };
            let mut missing = run.iter();
            let mut next = missing.next();
            let end = EventIndex(last.0 + 1);
            EVENTS.scan_bytes::<StorageError>(read, room, (first, end), |index, row| {
                if next == Some(&index) {
                    next = missing.next();
                    events.push(decode(index, row)?);
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if let Some(index) = next {
                return Err(StorageError(alloc::format!("event {} of room {} is gone", index.0, room.0)));
            }
        }
        Ok(events)
    }

    pub fn put(&self, write: &mut (impl Write + ?Sized), room: RoomNum) {
        let header = &self.header;
        let stored = StoredHeader {
            event_id: ShortId::of(&header.event_id),
            order: header.order,
            state_before: header.state_before,
            current: header.current,
            after_gap: header.after_gap,
            replaces: header.replaces,
            redacted_by: header.redacted_by,
            transaction: header.transaction.clone(),
            standing: header.standing,
            outlier: header.outlier,
        };
        let mut row = postcard::to_allocvec(&stored).expect("headers have no type that postcard refuses");
        let packed = packing::pack(&self.json).expect("canonical JSON has no control characters");
        row.extend_from_slice(&packed);
        EVENTS.put_bytes(write, room, self.index, row.into());
    }

    /// `content` in canonical JSON.
    #[must_use]
    pub fn content_bytes(&self) -> &[u8] {
        &self.json[self.header.places.content.clone()]
    }

    /// `content` in canonical JSON, without copying it.
    #[must_use]
    pub fn content(&self) -> Bytes {
        self.json.slice_ref(self.content_bytes())
    }

    /// The event as clients are shown it.
    #[must_use]
    pub fn client_event(&self, version: RoomVersion) -> ClientEvent<'_> {
        ClientEvent::new(&self.header.event_id, &self.json, &self.header.places, version.rules())
    }

    /// The event with its content parsed.
    pub fn pdu(&self, version: RoomVersion) -> Result<Pdu, StorageError> {
        Pdu::from_stored(self.header.event_id.clone(), self.json.clone(), version)
            .map_err(|error| StorageError(alloc::format!("the stored event {}: {error}", self.header.event_id)))
    }

    /// The event as the redaction algorithm leaves it, for those who may not see its content. What is stored stays.
    pub fn redacted_copy(&self, version: RoomVersion) -> Result<StoredEvent, StorageError> {
        let redacted = self.pdu(version)?.redacted(version.rules());
        let mut copy = self.clone();
        copy.json = redacted.json().clone();
        copy.header.places = places(&redacted);
        Ok(copy)
    }

    /// Takes the content away: `pdu` is the event after the redaction algorithm.
    pub fn redact(&mut self, pdu: &Pdu, by: EventIndex) {
        self.json = pdu.json().clone();
        self.header.places = places(pdu);
        self.header.redacted_by = Some(by);
    }

    /// Takes over the content of the same event as it was stored before.
    pub fn keep_content_of(&mut self, before: StoredEvent) {
        self.json = before.json;
        self.header.places = before.header.places;
    }

    /// Whether it is in the timeline: clients are shown such events and no others, except for those that are in a state.
    #[must_use]
    pub fn is_in_timeline(&self) -> bool {
        self.header.order != NOWHERE
    }

    /// The room's current state before this event of the timeline came.
    #[must_use]
    pub fn current_before(&self) -> StateId {
        self.header.current.map_or(self.header.state_before, |current| current.before)
    }

    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.header.standing == Standing::Rejected
    }

    #[must_use]
    pub fn is_state(&self) -> bool {
        self.header.state_key.is_some()
    }
}

fn places(pdu: &Pdu) -> Places {
    Places::of(pdu.json()).expect("an event's JSON has an event's members")
}

/// The part of a header that the JSON does not say.
#[derive(Serialize, Deserialize)]
struct StoredHeader {
    event_id: ShortId,
    order: i64,
    state_before: StateId,
    current: Option<CurrentState>,
    after_gap: bool,
    replaces: Option<EventIndex>,
    redacted_by: Option<EventIndex>,
    transaction: Option<(DeviceId, String)>,
    standing: Standing,
    outlier: bool,
}

/// An event ID in the fewest bytes.
#[derive(Serialize, Deserialize)]
enum ShortId {
    /// URL-safe base64 of a hash: room version 4 and later.
    Hash([u8; 32]),
    Text(EventId),
}

impl ShortId {
    fn of(event_id: &EventId) -> ShortId {
        match base64::decode_array::<32>(&event_id[1..]) {
            Ok(hash) if base64::encode_url_safe_unpadded(&hash) == event_id[1..] => ShortId::Hash(hash),
            _ => ShortId::Text(event_id.clone()),
        }
    }

    fn event_id(self) -> Result<EventId, InvalidIdentifier> {
        match self {
            ShortId::Hash(hash) => EventId::parse(&alloc::format!("${}", base64::encode_url_safe_unpadded(&hash))),
            ShortId::Text(event_id) => Ok(event_id),
        }
    }
}

fn broken(index: EventIndex, what: &dyn core::fmt::Display) -> StorageError {
    StorageError(alloc::format!("the row of event {}: {what}", index.0))
}

/// The header of a row, and the event's JSON.
fn split(index: EventIndex, row: &[u8]) -> Result<(StoredHeader, Vec<u8>), StorageError> {
    let (stored, packed) = postcard::take_from_bytes::<StoredHeader>(row).map_err(|error| broken(index, &error))?;
    let json = packing::unpack(packed).ok_or_else(|| broken(index, &"its JSON does not unpack"))?;
    Ok((stored, json))
}

fn decode(index: EventIndex, row: &[u8]) -> Result<StoredEvent, StorageError> {
    let broken = |what: &dyn core::fmt::Display| broken(index, what);
    let (stored, json) = split(index, row)?;
    let parts = Essentials::read(&json).ok_or_else(|| broken(&"its JSON is not an event"))?;
    let header = EventHeader {
        event_id: stored.event_id.event_id().map_err(|error| broken(&error))?,
        sender: UserId::parse(&parts.sender).map_err(|error| broken(&error))?,
        kind: parts.kind.into_owned(),
        state_key: parts.state_key.map(Cow::into_owned),
        origin_server_ts: parts.origin_server_ts,
        order: stored.order,
        state_before: stored.state_before,
        current: stored.current,
        after_gap: stored.after_gap,
        replaces: stored.replaces,
        redacted_by: stored.redacted_by,
        transaction: stored.transaction,
        standing: stored.standing,
        outlier: stored.outlier,
        places: parts.places,
    };
    Ok(StoredEvent { index, header, json: json.into() })
}
