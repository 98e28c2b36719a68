//! Relations between events, and the threads that they make (Client-Server API, "Forming relationships between events",
//! "Threading").

use alloc::string::String;

use super::state::Room;
use super::stored_event::StoredEvent;
use crate::canonical_json::{self, Object, Value};
use crate::identifiers::EventId;
use crate::store::{Read, StorageError};

/// The thread of everything that is in no thread.
pub const MAIN: &str = "main";

/// How far relations are followed to find the thread of an event (Client-Server API, "Threaded read receipts").
pub const MAX_HOPS: usize = 3;

/// The `rel_type` and `event_id` of an event's relation.
#[must_use]
pub fn relation(event: &StoredEvent) -> Option<(String, String)> {
    let content = canonical_json::parse(event.content_bytes()).ok()?;
    let (kind, event_id) = relation_in(content.as_object()?)?;
    Some((String::from(kind), String::from(event_id)))
}

/// The same of an event's content.
#[must_use]
pub fn relation_in(content: &Object) -> Option<(&str, &str)> {
    let relation = content.object("m.relates_to")?;
    Some((relation.str("rel_type")?, relation.str("event_id")?))
}

/// The root of the thread that an event with this content is in; `None` is the main timeline.
///
/// Relations are followed to message events that were in the timeline when the event came, so that what comes later of history
/// moves nothing to another thread.
pub fn thread_of(
    read: &(impl Read + ?Sized),
    room: &Room,
    event: &StoredEvent,
    content: &Object,
) -> Result<Option<EventId>, StorageError> {
    let root = |root: &str| EventId::parse(root).ok();
    let Some((mut kind, mut related)) = relation_in(content) else { return Ok(None) };
    let mut child = (event.index, event.header.order);
    let mut parent_content;
    for _ in 0..MAX_HOPS {
        if kind == "m.thread" {
            return Ok(root(related));
        }
        let Some(parent) = room.timeline_event(read, related)? else { return Ok(None) };
        if parent.is_state() || parent.index >= child.0 || parent.header.order >= child.1 {
            return Ok(None);
        }
        let Ok(Value::Object(content)) = canonical_json::parse(parent.content_bytes()) else { return Ok(None) };
        parent_content = content;
        child = (parent.index, parent.header.order);
        let Some(next) = relation_in(&parent_content) else { return Ok(None) };
        (kind, related) = next;
    }
    Ok(if kind == "m.thread" { root(related) } else { None })
}
