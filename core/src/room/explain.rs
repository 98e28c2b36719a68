//! Explanations for people: how a room stands, why an event was not accepted, why a key of the state has what it has.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::policy_server;
use super::reason::Reason;
use super::resolution::explain;
use super::state::Room;
use super::stored_event::{Standing, StoredEvent};
use super::tables::{EventIndex, REASONS};
use crate::identifiers::EventId;
use crate::limits::MAX_EXPLAINED_EVENTS;
use crate::state_res;
use crate::store::state_map::{StateId, StateKeyHash};
use crate::store::{Order, Read, StorageError};
use core::ops::ControlFlow;

/// The room as it is here: version, ends, size, and the last events that were not accepted.
pub fn room(read: &(impl Read + ?Sized), room: &Room) -> Result<Vec<String>, StorageError> {
    let version = room.info.version.as_str();
    let mut lines = Vec::new();
    lines.push(format!("{}, version {version}, {} events", room.room_id(), room.head.next_index));
    let (joined, invited) = (room.head.joined, room.head.invited);
    lines.push(format!("{joined} joined, {invited} invited; {} of this server joined", room.head.local_joined));
    if let Some(in_force) = policy_server::in_force(read, room)? {
        lines.push(format!("policy server {}, by {}", in_force.server.via, in_force.event_id));
    }
    for index in &room.head.extremities {
        lines.push(format!("forward extremity {}", told(&StoredEvent::expect(read, room.num, *index)?)));
    }
    let mut refused = Vec::new();
    REASONS.scan::<StorageError>(read, room.num, (), Order::Descending, |index: EventIndex, reason| {
        refused.push((index, reason));
        Ok(if refused.len() < MAX_EXPLAINED_EVENTS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    for (index, reason) in refused {
        let event = StoredEvent::expect(read, room.num, index)?;
        lines.push(format!("{}: {} because of {reason}", told(&event), standing(&event)));
    }
    Ok(lines)
}

/// How an event stands, and why. `None` if it is not here.
pub fn event(read: &(impl Read + ?Sized), room: &Room, event_id: &str) -> Result<Option<Vec<String>>, StorageError> {
    let Some(event) = room.event(read, event_id)? else { return Ok(None) };
    let pdu = event.pdu(room.info.version)?;
    let mut lines = alloc::vec![told(&event), standing(&event).to_string()];
    if let Some(reason) = Reason::of(read, room, event.index)? {
        lines.push(format!("because of {reason}"));
    }
    if let Some(by) = event.header.redacted_by {
        lines.push(format!("redacted by {}", StoredEvent::expect(read, room.num, by)?.header.event_id));
    }
    for (what, events) in [("previous", &pdu.prev_events), ("auth", &pdu.auth_events)] {
        for event_id in events {
            let known = match room.event(read, event_id)? {
                Some(event) => format!("{} {}", told(&event), standing(&event)),
                None => format!("{event_id}, which is not here"),
            };
            lines.push(format!("{what} event {known}"));
        }
    }
    Ok(Some(lines))
}

/// Why the state has what it has under a key: at the room's forward extremities, or before the event `at`. `None` if that
/// is not here.
pub fn state(
    read: &(impl Read + ?Sized),
    room: &Room,
    (kind, state_key): (&str, &str),
    at: Option<&str>,
) -> Result<Option<Vec<String>>, StorageError> {
    let ends = match at {
        None => room.head.extremities.clone(),
        Some(at) => {
            let Some(event) = room.event(read, at)? else { return Ok(None) };
            let prev_events: Vec<EventId> = event.pdu(room.info.version)?.prev_events;
            let known: Result<Vec<_>, _> = prev_events.iter().map(|event_id| room.index_of(read, event_id)).collect();
            known?.into_iter().flatten().collect()
        }
    };
    let mut lines = Vec::new();
    let mut sets: Vec<StateId> = Vec::new();
    for end in ends {
        let event = StoredEvent::expect(read, room.num, end)?;
        let after = room.state_after(read, &event)?;
        let number = sets.iter().position(|set| *set == after).unwrap_or(sets.len());
        if number == sets.len() {
            sets.push(after);
        }
        lines.push(format!("state {number} is that after {}", told(&event)));
    }
    match explain(read, room, &sets, &StateKeyHash::new(kind, state_key)) {
        Ok(explanation) => {
            lines.extend(explanation.to_string().lines().map(ToString::to_string));
            if let state_res::Outcome::Agreed(Some(index)) = explanation.outcome {
                lines.push(told(&StoredEvent::expect(read, room.num, EventIndex(index))?));
            }
        }
        Err(state_res::Error::TooMuch) => lines.push("too much is in conflict between these states".to_string()),
        Err(state_res::Error::Storage(error)) => return Err(error),
    }
    Ok(Some(lines))
}

fn told(event: &StoredEvent) -> String {
    let header = &event.header;
    match &header.state_key {
        Some(state_key) => format!("{} ({} {state_key:?} by {})", header.event_id, header.kind, header.sender),
        None => format!("{} ({} by {})", header.event_id, header.kind, header.sender),
    }
}

fn standing(event: &StoredEvent) -> &'static str {
    match (event.header.standing, event.header.outlier) {
        (Standing::Accepted, false) => "accepted",
        (Standing::Accepted, true) => "accepted, an outlier",
        (Standing::SoftFailed, _) => "soft-failed",
        (Standing::Rejected, false) => "rejected",
        (Standing::Rejected, true) => "rejected, an outlier",
    }
}
