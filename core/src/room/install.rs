//! A room as it comes to be here when its first user joins: the events that another server told are stored as outliers, some at a
//! time, and one last step makes them the room's state. Until that step the room is not joined, and a crash leaves nothing of it
//! but rows that nobody looks at.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::outside;
use super::receive::{Outcome, enter, forget_holes, note_holes, store_outliers};
use super::stored_event::Standing;
use super::tables::{EventIndex, REASONS};
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::Cx;
use crate::identifiers::{EventId, RoomId};
use crate::limits::JOIN_EVENTS_AT_ONCE;
use crate::room_version::RoomVersion;
use crate::store::state_map::{StateId, StateKeyHash};

/// The state of a room, as another server told it.
#[derive(Clone, Debug)]
pub struct RoomState {
    /// The state and its auth chain, each event after its auth events, all of which are here. They have passed the checks on
    /// receipt up to 3, and are of the room.
    pub events: Vec<Pdu>,
    /// Type, state key and event; no key twice.
    pub state: Vec<(String, String, EventId)>,
    /// What else it is said to have, and could not be checked.
    pub left_out: Vec<EventId>,
    /// The types of state with an empty state key that must not be missing once it was told.
    pub essential: &'static [&'static str],
}

impl RoomState {
    /// The content of the state event under a key.
    #[must_use]
    pub fn content(&self, kind: &str, state_key: &str) -> Option<&Object> {
        let (_, _, event_id) = self.state.iter().find(|entry| entry.0 == kind && entry.1 == state_key)?;
        self.events.iter().find(|event| event.event_id == *event_id).map(|event| &event.content)
    }
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
    let RoomState { mut events, state, left_out, essential } = told;
    cx.step(|step| {
        let room = outside::find_or_make_to_join(step, room_id, version)?;
        Ok(forget_holes(step, room.num)?)
    })?;
    let mut indices: BTreeMap<EventId, Option<EventIndex>> = BTreeMap::new();
    let mut rest = events.drain(..);
    loop {
        let some: Vec<Pdu> = rest.by_ref().take(JOIN_EVENTS_AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        cx.step(|step| {
            let mut room = outside::find_or_make_to_join(step, room_id, version)?;
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
            let room = outside::find_or_make_to_join(step, room_id, version)?;
            Ok(room.apply_entries(step, state, some)?)
        })?;
        cx.give_way().await;
    }
    for some in left_out.chunks(JOIN_EVENTS_AT_ONCE) {
        cx.step(|step| {
            let room = outside::find_or_make_to_join(step, room_id, version)?;
            note_holes(step, &room, some);
            Ok(())
        })?;
        cx.give_way().await;
    }
    cx.step(|step| {
        let mut room = outside::find_or_make_to_join(step, room_id, version)?;
        match enter(step, &mut room, &join, state)? {
            Outcome::Stored { standing: Standing::Accepted, .. } => Ok(()),
            Outcome::Stored { .. } => Err(ApiError::bad_json("The room's state does not allow the join")),
            // Nobody here is in the room, so it is not known to have a policy server.
            Outcome::MissingRecommendation(_) => Err(ApiError::internal("The room is joined already")),
            Outcome::MissingAuthEvents(_) | Outcome::MissingPrevEvents(_) => {
                Err(ApiError::bad_json("The join cites what is not in the room's state"))
            }
        }
    })
}
