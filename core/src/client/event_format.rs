//! Events as one requester is shown them (Client-Server API, "Room event format"), from the stored bytes to the answer's.

use alloc::vec::Vec;

use super::account::accounts;
use super::filter::{EventFields, EventFormat};
use super::request::QueryContext;
use crate::effect::Requester;
use crate::event::Unsigned;
use crate::event::content::Membership;
use crate::room::history_visibility::Viewer;
use crate::room::{EventIndex, Room, StoredEvent};
use crate::store::StorageError;

/// How events of one room are shown to one requester.
#[derive(Debug)]
pub struct Shown<'a> {
    pub viewer: Viewer<'a>,
    requester: &'a Requester,
    room_id: bool,
    format: EventFormat,
    fields: Option<&'a EventFields>,
    /// Whether anybody's events are to be looked at for erasure.
    any_erased: Option<bool>,
}

impl<'a> Shown<'a> {
    /// With `room_id`, for answers in which nothing else names the room.
    pub fn with_room_id(
        context: &QueryContext<'_>,
        room: &Room,
        requester: &'a Requester,
    ) -> Result<Shown<'a>, StorageError> {
        let viewer = Viewer::new(context.read, room, &requester.user_id)?;
        Ok(Shown { viewer, requester, room_id: true, format: EventFormat::Client, fields: None, any_erased: None })
    }

    /// As the filter of a `/sync` asks, whose answer names the room.
    #[must_use]
    pub fn in_sync(
        viewer: Viewer<'a>,
        requester: &'a Requester,
        format: EventFormat,
        fields: Option<&'a EventFields>,
    ) -> Shown<'a> {
        Shown { viewer, requester, room_id: false, format, fields, any_erased: None }
    }

    /// The redacted copy that newcomers see of an erased user's event (Client-Server API, "Account deactivation"). Others'
    /// state is the room's and stays.
    fn erased_copy(
        &mut self,
        context: &QueryContext<'_>,
        room: &Room,
        event: &StoredEvent,
    ) -> Result<Option<StoredEvent>, StorageError> {
        let any_erased = match self.any_erased {
            Some(any_erased) => any_erased,
            None => *self.any_erased.insert(accounts::any_erased(context.read)?),
        };
        let header = &event.header;
        let personal = match &header.state_key {
            Some(state_key) => header.kind == "m.room.member" && state_key.as_str() == header.sender.as_str(),
            None => true,
        };
        if !any_erased || !personal {
            return Ok(None);
        }
        let Some(erased_at) = accounts::erased_at(context.read, &header.sender)? else { return Ok(None) };
        let joined_at = self.viewer.user_room().and_then(|row| row.joined_at);
        if joined_at.is_some_and(|joined_at| joined_at <= erased_at)
            || self.viewer.membership_at(context.read, room, event)? == Membership::Join
        {
            return Ok(None);
        }
        event.redacted_copy(room.info.version).map(Some)
    }
}

/// Appends one event.
pub fn write(
    context: &QueryContext<'_>,
    room: &Room,
    shown: &mut Shown<'_>,
    event: &StoredEvent,
    out: &mut Vec<u8>,
) -> Result<(), StorageError> {
    let start = out.len();
    let copy = shown.erased_copy(context, room, event)?;
    let event = copy.as_ref().unwrap_or(event);
    match shown.format {
        EventFormat::Client => write_client(context, room, shown, event, out)?,
        // As other servers have it, so that signatures and hashes can be checked.
        EventFormat::Federation => out.extend_from_slice(&event.json),
    }
    if let Some(fields) = shown.fields {
        fields.apply(start, out);
    }
    Ok(())
}

/// Appends an array of events.
pub fn write_all(
    context: &QueryContext<'_>,
    room: &Room,
    shown: &mut Shown<'_>,
    events: &[StoredEvent],
    out: &mut Vec<u8>,
) -> Result<(), StorageError> {
    out.push(b'[');
    for (i, event) in events.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(context, room, shown, event, out)?;
    }
    out.push(b']');
    Ok(())
}

fn write_client(
    context: &QueryContext<'_>,
    room: &Room,
    shown: &mut Shown<'_>,
    event: &StoredEvent,
    out: &mut Vec<u8>,
) -> Result<(), StorageError> {
    let header = &event.header;
    let replaced = match header.replaces {
        Some(index) => {
            let replaced = StoredEvent::expect(context.read, room.num, index)?;
            Some(shown.erased_copy(context, room, &replaced)?.unwrap_or(replaced))
        }
        None => None,
    };
    let prev_content = match &replaced {
        Some(replaced) if shown.viewer.sees_replaced(context.read, room, event, replaced)? => {
            Some(replaced.content_bytes())
        }
        _ => None,
    };
    let redacted_because = match header.redacted_by {
        Some(redaction) => Some(redacted_because(context, room, shown, redaction)?),
        None => None,
    };
    let transaction_id = match &header.transaction {
        Some((device_id, id))
            if header.sender == shown.requester.user_id && *device_id == shown.requester.device_id =>
        {
            Some(id.as_str())
        }
        _ => None,
    };
    // What is not in the timeline is at no place where the requester had a membership.
    let membership = match event.is_in_timeline() {
        true => Some(shown.viewer.membership_at(context.read, room, event)?),
        false => None,
    };
    let unsigned = Unsigned {
        age: age(context, event),
        transaction_id,
        membership,
        replaces_state: replaced.as_ref().map(|replaced| &replaced.header.event_id),
        prev_content,
        redacted_because: redacted_because.as_deref(),
        ..Unsigned::default()
    };
    event.client_event(room.info.version).write(shown.room_id.then(|| room.room_id()), &unsigned, out);
    Ok(())
}

fn redacted_because(
    context: &QueryContext<'_>,
    room: &Room,
    shown: &Shown<'_>,
    redaction: EventIndex,
) -> Result<Vec<u8>, StorageError> {
    let redaction = StoredEvent::expect(context.read, room.num, redaction)?;
    let unsigned = Unsigned { age: age(context, &redaction), ..Unsigned::default() };
    let mut out = Vec::with_capacity(512);
    redaction.client_event(room.info.version).write(shown.room_id.then(|| room.room_id()), &unsigned, &mut out);
    Ok(out)
}

/// Milliseconds since the event was sent; below zero if its sender's clock is ahead.
fn age(context: &QueryContext<'_>, event: &StoredEvent) -> Option<i64> {
    let now = i64::try_from(context.now.0).ok()?;
    let sent = i64::try_from(event.header.origin_server_ts.0).ok()?;
    now.checked_sub(sent)
}
