//! Adding an event of another server that follows what this server has.

use alloc::vec::Vec;

use super::{Room, Standing, append};
use crate::auth_rules::{AuthState, authorize};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::Step;

/// Adds an event that has passed checks 1 to 3 at the room's end, if it is allowed there.
pub fn receive_next(step: &mut Step<'_>, room: &mut Room, pdu: &Pdu) -> Result<Standing, ApiError> {
    let version = room.info.version;
    let mut auth = Vec::with_capacity(pdu.auth_events.len());
    let mut indices = Vec::with_capacity(pdu.auth_events.len());
    for event_id in &pdu.auth_events {
        let event = room.event(step, event_id)?;
        let event = event.ok_or_else(|| ApiError::bad_json(alloc::format!("The auth event {event_id} is missing")))?;
        indices.push(event.index.0);
        auth.push(event.pdu(version)?);
    }
    let create = room.create_event(step)?;
    if !authorize(version.rules(), pdu, &create, &AuthState(&auth)).allowed {
        return Ok(Standing::Rejected);
    }
    let before = room.current_pdu(step, &pdu.kind, pdu.state_key.as_deref().unwrap_or_default())?;
    append::store(step, room, (pdu, &indices), before.as_ref().and_then(Pdu::membership), None)?;
    Ok(Standing::Accepted)
}
