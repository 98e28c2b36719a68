//! The judgement on an event's own auth events (check 4).

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::reason::{JudgedOn, Reason};
use super::super::state::Room;
use super::super::stored_event::{Standing, StoredEvent};
use super::super::tables::{EVENT_BY_ID, EventIndex};
use super::holes::Fillings;
use crate::auth_rules::{AuthState, CitedEvent, Verdict, authorize, check_auth_events, select_auth_events};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::Step;
use crate::identifiers::EventId;
use crate::store::state_map::StateId;
use crate::store::{Read, StorageError};

/// An event that is stored, as others cite it.
#[derive(Clone, Debug)]
pub(in crate::room) struct Known<'a> {
    pub index: EventIndex,
    pub pdu: Cow<'a, Pdu>,
    pub rejected: bool,
}

/// What was looked up of a room for events that are received one after the other.
#[derive(Debug, Default)]
pub struct KnownEvents<'a> {
    events: BTreeMap<EventId, Known<'a>>,
    /// Some events that were stored, and the states after them.
    states_after: BTreeMap<EventId, StateId>,
    /// A state, and what it has under some keys.
    state: Option<(StateId, Vec<StatePlace>)>,
    fillings: Option<Fillings>,
}

/// A key of a state, and what it has there.
#[derive(Debug)]
struct StatePlace {
    kind: String,
    state_key: String,
    index: Option<EventIndex>,
}

impl<'a> KnownEvents<'a> {
    pub(in crate::room) fn find(
        &mut self,
        read: &(impl Read + ?Sized),
        room: &Room,
        event_id: &EventId,
    ) -> Result<Option<&Known<'a>>, StorageError> {
        if !self.events.contains_key(event_id) {
            let Some(index) = room.index_of(read, event_id)? else { return Ok(None) };
            let event = StoredEvent::get_pdu(read, room.num, index, room.info.version)?;
            let Some((pdu, standing)) = event else { return Ok(None) };
            self.add(Known { index, pdu: Cow::Owned(pdu), rejected: standing == Standing::Rejected });
        }
        Ok(self.events.get(event_id))
    }

    pub(in crate::room) fn add(&mut self, known: Known<'a>) {
        self.events.insert(known.pdu.event_id.clone(), known);
    }

    /// The event with this index, which a state has.
    fn at(&mut self, read: &(impl Read + ?Sized), room: &Room, index: EventIndex) -> Result<EventId, StorageError> {
        if let Some(known) = self.events.values().find(|known| known.index == index) {
            return Ok(known.pdu.event_id.clone());
        }
        let event = StoredEvent::expect(read, room.num, index)?;
        let pdu = Cow::Owned(event.pdu(room.info.version)?);
        self.add(Known { index, pdu, rejected: event.is_rejected() });
        Ok(event.header.event_id)
    }

    fn get(&self, event_id: &EventId) -> Option<&Known<'a>> {
        self.events.get(event_id)
    }

    /// What is stored of an event changes.
    pub(super) fn forget(&mut self, event_id: &EventId) {
        self.events.remove(event_id);
    }

    /// An event was stored, and this is the state after it.
    pub(super) fn add_state_after(&mut self, event_id: &EventId, state: StateId) {
        self.states_after.insert(event_id.clone(), state);
    }

    /// The state after an event that was stored, if it is known.
    pub(super) fn state_after(&self, event_id: &EventId) -> Option<StateId> {
        self.states_after.get(event_id).copied()
    }

    /// [`Fillings::of`].
    pub(super) fn fillings(&mut self, read: &(impl Read + ?Sized), room: &Room) -> Result<Fillings, StorageError> {
        match &self.fillings {
            Some(fillings) => Ok(fillings.clone()),
            None => Ok(self.fillings.insert(Fillings::of(read, room)?).clone()),
        }
    }

    /// [`Fillings::settle`].
    pub(super) fn settle(&mut self, step: &mut Step<'_>, room: &Room) -> Result<(), StorageError> {
        self.fillings.as_mut().map_or(Ok(()), |fillings| fillings.settle(step, room))
    }

    /// [`Room::state_index`].
    pub(super) fn state_index(
        &mut self,
        read: &(impl Read + ?Sized),
        room: &Room,
        state: StateId,
        (kind, state_key): (&str, &str),
    ) -> Result<Option<EventIndex>, StorageError> {
        let (at, places) = self.state.get_or_insert_with(|| (state, Vec::new()));
        if *at != state {
            (*at, *places) = (state, Vec::new());
        }
        if let Some(place) = places.iter().find(|place| place.kind == kind && place.state_key == state_key) {
            return Ok(place.index);
        }
        let index = room.state_index(read, state, kind, state_key)?;
        places.push(StatePlace { kind: kind.to_string(), state_key: state_key.to_string(), index });
        Ok(index)
    }
}

/// What an event's auth events say about it.
pub(super) struct OnAuthEvents {
    /// The auth events that are state events: others cannot be in the graph of auth events.
    pub auth: Vec<u32>,
    pub reason: Option<Reason>,
}

/// Judges an event on its auth events.
///
/// # Errors
/// In the inner result, the auth events that are not known: then nothing can be said.
pub(super) fn judge_on_auth_events(
    read: &(impl Read + ?Sized),
    room: &Room,
    pdu: &Pdu,
    known: &mut KnownEvents<'_>,
) -> Result<Result<OnAuthEvents, Vec<EventId>>, StorageError> {
    let rules = room.info.version.rules();
    let mut missing = Vec::new();
    for event_id in &pdu.auth_events {
        if known.find(read, room, event_id)?.is_none() && !missing.contains(event_id) {
            missing.push(event_id.clone());
        }
    }
    // Where the create event is no auth event, the room ID names it.
    let named = if rules.auth.create_is_auth_event || pdu.kind == "m.room.create" {
        None
    } else {
        let create = EventId::parse(&alloc::format!("${}", &room.info.room_id[1..])).ok();
        if let Some(create) = &create
            && known.find(read, room, create)?.is_none()
        {
            missing.push(create.clone());
        }
        create
    };
    if !missing.is_empty() {
        return Ok(Err(missing));
    }
    let named = named.and_then(|event_id| known.get(&event_id));
    let cited: Vec<&Known<'_>> = pdu.auth_events.iter().filter_map(|event_id| known.get(event_id)).collect();
    let mut auth: Vec<u32> = cited.iter().filter(|cited| cited.pdu.is_state()).map(|cited| cited.index.0).collect();
    auth.sort_unstable();
    auth.dedup();

    let events: Vec<CitedEvent<'_>> =
        cited.iter().map(|known| CitedEvent { event: &known.pdu, rejected: known.rejected }).collect();
    let create = named.map(|known| CitedEvent { event: &known.pdu, rejected: known.rejected });
    if let Err(verdict) = check_auth_events(rules, pdu, &events, create) {
        return Ok(Ok(OnAuthEvents { auth, reason: Some(Reason::rule(JudgedOn::AuthEvents, verdict)) }));
    }
    let pdus: Vec<&Pdu> = events.iter().map(|cited| cited.event).collect();
    let create = match create {
        Some(create) => create.event,
        None => pdus.iter().copied().find(|event| event.is_state_of("m.room.create", "")).unwrap_or(pdu),
    };
    let verdict = authorize(rules, pdu, create, &AuthState(&pdus));
    let reason = (!verdict.allowed).then(|| Reason::rule(JudgedOn::AuthEvents, verdict));
    Ok(Ok(OnAuthEvents { auth, reason }))
}

/// Judges an event on a state of the room: the verdict, if it is against the event.
pub(in crate::room) fn judge_on_state(
    read: &(impl Read + ?Sized),
    room: &Room,
    pdu: &Pdu,
    state: StateId,
    known: &mut KnownEvents<'_>,
) -> Result<Option<Verdict>, StorageError> {
    let rules = room.info.version.rules();
    let keys = select_auth_events(rules, &pdu.kind, pdu.state_key.as_deref(), &pdu.sender, &pdu.content);
    let mut found = Vec::with_capacity(keys.len());
    for (kind, state_key) in &keys {
        if let Some(index) = known.state_index(read, room, state, (kind, state_key))? {
            found.push(known.at(read, room, index)?);
        }
    }
    let create = match known.state_index(read, room, state, ("m.room.create", ""))? {
        Some(index) => Some(known.at(read, room, index)?),
        None => None,
    };
    let pdu_of = |event_id: &EventId| known.get(event_id).map(|known| &*known.pdu);
    let found: Vec<&Pdu> = found.iter().filter_map(pdu_of).collect();
    // In a state without a create event nobody is a member: the event itself stands in for it, and is rejected.
    let create = create.as_ref().and_then(pdu_of).unwrap_or(pdu);
    let verdict = authorize(rules, pdu, create, &AuthState(&found));
    Ok((!verdict.allowed).then_some(verdict))
}

/// A room has one create event, which the authorization rules leave to whoever puts events into rooms.
pub(super) fn second_create(
    read: &(impl Read + ?Sized),
    room: &Room,
    pdu: &Pdu,
) -> Result<Option<Reason>, StorageError> {
    if pdu.kind != "m.room.create" {
        return Ok(None);
    }
    let first: Option<StoredEvent> = room.state_event(read, room.head.state, "m.room.create", "")?;
    let other = first.is_some_and(|first| first.header.event_id != pdu.event_id);
    Ok((other || pdu.state_key.as_deref() != Some("")).then_some(Reason::SecondCreate))
}

/// What is stored of an event of the room.
///
/// # Errors
/// In the inner result: another event has its ID, in this room or another (`400 M_BAD_JSON`). In room versions 1 and 2 events state
/// their IDs, and nothing keeps a server from making two with one; the first that comes has it.
pub(super) fn stored(
    read: &(impl Read + ?Sized),
    room: &Room,
    pdu: &Pdu,
) -> Result<Result<Option<StoredEvent>, ApiError>, StorageError> {
    let Some((num, index)) = EVENT_BY_ID.get(read, pdu.event_id.as_str())? else { return Ok(Ok(None)) };
    let stored = if num == room.num { StoredEvent::get(read, num, index)? } else { None };
    let rules = room.info.version.rules();
    let is_own = match &stored {
        // The hash is the same once the content is redacted.
        Some(stored) if rules.event_id_server_signs => {
            stored.pdu(room.info.version)?.reference_hash(rules) == pdu.reference_hash(rules)
        }
        _ => num == room.num,
    };
    let other = || ApiError::bad_json(alloc::format!("There is another event with the ID {}", pdu.event_id));
    Ok(if is_own { Ok(stored) } else { Err(other()) })
}
