//! A room as it comes to be here when its first user joins: the events that another server told are stored as outliers, some at a
//! time, and one last step makes them the room's state. Until that step the room is not joined, and a crash leaves nothing of it
//! but rows that nobody looks at.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::receive::store_outliers;
use super::state::Room;
use super::stored_event::StoredEvent;
use super::tables::{EventIndex, REASONS};
use super::{append, membership, outside};
use crate::auth_rules::{AuthState, CitedEvent, authorize, check_auth_events, select_auth_events};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::event::content::Membership;
use crate::flow::{Cx, Step};
use crate::identifiers::{EventId, RoomId};
use crate::limits::JOIN_EVENTS_AT_ONCE;
use crate::room_version::RoomVersion;
use crate::store::log::{self, LogEntry};
use crate::store::state_map::{StateId, StateKeyHash};

/// The state of a room, as another server told it.
#[derive(Clone, Debug)]
pub struct RoomState {
    /// The state and its auth chain, each event after its auth events, all of which are here. They have passed the checks on
    /// receipt up to 3, and are of the room.
    pub events: Vec<Pdu>,
    /// Type, state key and event; no key twice.
    pub state: Vec<(String, String, EventId)>,
    /// The types of state with an empty state key that must not be missing once it was told.
    pub essential: &'static [&'static str],
}

/// Makes this server a member of a room by the join of one of its users. `400 M_BAD_JSON` if the state does not allow the join, or
/// does not hold.
pub async fn install(
    cx: &Cx,
    room_id: &RoomId,
    version: RoomVersion,
    told: RoomState,
    join: Pdu,
) -> Result<(), ApiError> {
    let RoomState { mut events, state, essential } = told;
    cx.step(|step| Ok(outside::find_or_make(step, room_id, version)?))?;
    let mut indices: BTreeMap<EventId, Option<EventIndex>> = BTreeMap::new();
    let mut rest = events.drain(..);
    loop {
        let some: Vec<Pdu> = rest.by_ref().take(JOIN_EVENTS_AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        cx.step(|step| {
            let mut room = outside::find_or_make(step, room_id, version)?;
            let stored = store_outliers(step, &mut room, &some)?;
            for (pdu, index) in some.iter().zip(stored) {
                let rejected = REASONS.get(step, room.num, index)?.is_some();
                indices.insert(pdu.event_id.clone(), (!rejected).then_some(index));
            }
            Ok(())
        })?;
        cx.give_way().await;
    }
    let mut entries = Vec::with_capacity(state.len());
    for (kind, state_key, event_id) in &state {
        match indices.get(event_id) {
            Some(Some(index)) => entries.push((StateKeyHash::new(kind, state_key), Some(index.0))),
            _ if state_key.is_empty() && essential.contains(&kind.as_str()) => {
                return Err(ApiError::bad_json(alloc::format!("The room's {kind} is not allowed by its rules")));
            }
            _ => {}
        }
    }
    // In the order of the map, what one step writes is seldom written again by the next.
    entries.sort_unstable_by_key(|(key, _)| key.to_bytes());
    let mut state = StateId::EMPTY;
    for some in entries.chunks(JOIN_EVENTS_AT_ONCE) {
        state = cx.step(|step| {
            let room = outside::find_or_make(step, room_id, version)?;
            Ok(room.apply_entries(step, state, some)?)
        })?;
        cx.give_way().await;
    }
    cx.step(|step| {
        let mut room = outside::find_or_make(step, room_id, version)?;
        take_over(step, &mut room, state, &join)
    })
}

/// Makes `state` the room's, and `join` what follows it.
fn take_over(step: &mut Step<'_>, room: &mut Room, state: StateId, join: &Pdu) -> Result<(), ApiError> {
    let Judged { auth, before } = judge(step, room, state, join)?;
    let was = room.head.state;
    room.head.state = state;
    room.head.extremities = Vec::new();
    room.head.depth = 0;
    let position = step.next_position();
    let user_id = join.sender.clone();
    log::append(step, position, &LogEntry::Membership { user_id, room: room.num });
    membership::follow_state(step, room, (was, state), position)?;
    append::store(step, room, (join, &auth), before, None)?;
    Ok(())
}

/// What the state says of the join.
struct Judged {
    /// The indices of its auth events.
    auth: Vec<u32>,
    /// The user's membership in the state.
    before: Option<Membership>,
}

/// Judges the join on its auth events and on the state before it; `400 M_BAD_JSON` if one of them does not allow it.
fn judge(step: &Step<'_>, room: &Room, state: StateId, join: &Pdu) -> Result<Judged, ApiError> {
    let version = room.info.version;
    let rules = version.rules();
    let refuse = |why: String| ApiError::bad_json(alloc::format!("The state does not allow the join: {why}"));
    let create = room.state_event(step, state, "m.room.create", "")?;
    let create = create.ok_or_else(|| refuse("there is no create event".into()))?.pdu(version)?;
    let mut auth = Vec::with_capacity(join.auth_events.len());
    for event_id in &join.auth_events {
        let event = room.event(step, event_id)?.filter(StoredEvent::is_state);
        auth.push(event.ok_or_else(|| refuse(alloc::format!("{event_id} is missing")))?);
    }
    let pdus = auth.iter().map(|event| event.pdu(version)).collect::<Result<Vec<Pdu>, _>>()?;
    let cited: Vec<CitedEvent<'_>> =
        pdus.iter().zip(&auth).map(|(event, stored)| CitedEvent { event, rejected: stored.is_rejected() }).collect();
    let named = CitedEvent { event: &create, rejected: false };
    check_auth_events(rules, join, &cited, Some(named)).map_err(|verdict| refuse(verdict.to_string()))?;
    let mut before = Vec::new();
    for (kind, state_key) in
        select_auth_events(rules, &join.kind, join.state_key.as_deref(), &join.sender, &join.content)
    {
        if let Some(event) = room.state_event(step, state, kind, state_key)? {
            before.push(event.pdu(version)?);
        }
    }
    for state in [&pdus, &before] {
        let verdict = authorize(rules, join, &create, &AuthState(state));
        if !verdict.allowed {
            return Err(refuse(verdict.to_string()));
        }
    }
    let own = before.iter().find(|event| event.is_state_of("m.room.member", &join.sender));
    let mut auth: Vec<u32> = auth.iter().map(|event| event.index.0).collect();
    auth.sort_unstable();
    auth.dedup();
    Ok(Judged { auth, before: own.and_then(Pdu::membership) })
}
