//! What redactions do to the events that they name (Room version 3, "Handling redactions").

use super::state::Room;
use super::stored_event::StoredEvent;
use super::tables::{EARLY_REDACTIONS, EventIndex};
use crate::auth_rules::PowerLevels;
use crate::event::Pdu;
use crate::flow::{Notice, Step};
use crate::limits::MAX_EARLY_REDACTIONS;
use crate::store::StorageError;
use crate::store::state_map::StateId;

/// Takes away the content of the event that an accepted redaction names, if its sender may; once it comes, if it is not here yet.
/// `before` is the state before the redaction.
pub(super) fn apply(
    step: &mut Step<'_>,
    room: &Room,
    redaction: &Pdu,
    (index, before): (EventIndex, StateId),
) -> Result<(), StorageError> {
    let Some(target) = &redaction.redacts else { return Ok(()) };
    let Some(mut event) = room.event(step, target)? else {
        let mut early = EARLY_REDACTIONS.get(step, room.num, target)?.unwrap_or_default();
        if early.len() < MAX_EARLY_REDACTIONS {
            early.push(index);
            EARLY_REDACTIONS.put(step, room.num, target, &early);
        }
        return Ok(());
    };
    if redact(step, room, (redaction, index, before), &mut event)? {
        event.put(step, room.num);
        step.notify(Notice::Redacted(room.num));
    }
    Ok(())
}

/// Does to an event, which is about to be stored, what redactions that came before it have waited to do, or have done to the
/// outlier that it was. What another server gives without its content, because nobody here may see it in history, keeps the content
/// that it came with as part of a state.
pub(super) fn apply_early(step: &mut Step<'_>, room: &Room, event: &mut StoredEvent) -> Result<(), StorageError> {
    if event.index.0 < room.head.next_index
        && let Some(outlier) = StoredEvent::get(step, room.num, event.index)?
    {
        if let Some(by) = outlier.header.redacted_by {
            let redacted = event.pdu(room.info.version)?.redacted(room.info.version.rules());
            event.redact(&redacted, by);
        } else if outlier.json.len() > event.json.len() {
            event.keep_content_of(outlier);
        }
    }
    let Some(early) = EARLY_REDACTIONS.get(step, room.num, &event.header.event_id)? else { return Ok(()) };
    EARLY_REDACTIONS.delete(step, room.num, &event.header.event_id);
    for index in early {
        let redaction = StoredEvent::expect(step, room.num, index)?;
        let pdu = redaction.pdu(room.info.version)?;
        redact(step, room, (&pdu, index, redaction.header.state_before), event)?;
    }
    Ok(())
}

fn redact(
    step: &Step<'_>,
    room: &Room,
    (redaction, index, before): (&Pdu, EventIndex, StateId),
    event: &mut StoredEvent,
) -> Result<bool, StorageError> {
    if event.header.redacted_by.is_some() || !may_redact(step, room, (redaction, before), event)? {
        return Ok(false);
    }
    let redacted = event.pdu(room.info.version)?.redacted(room.info.version.rules());
    event.redact(&redacted, index);
    Ok(true)
}

/// Senders may redact events of their own server; others need the `redact` level in the state before the redaction, so that all
/// servers find the same.
fn may_redact(
    step: &Step<'_>,
    room: &Room,
    (redaction, before): (&Pdu, StateId),
    target: &StoredEvent,
) -> Result<bool, StorageError> {
    if target.header.sender.server_str() == redaction.sender.server_str() {
        return Ok(true);
    }
    let levels = match room.state_event(step, before, "m.room.power_levels", "")? {
        Some(event) => Some(event.pdu(room.info.version)?),
        None => None,
    };
    let levels = PowerLevels::new(room.info.version.rules(), room.create_event(step)?, levels);
    Ok(levels.user(&redaction.sender) >= levels.redact())
}
