//! Which rooms and events another server is shown, and how: what every endpoint that reads a room asks first.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::auth_rules::AUTH_EVENT_KINDS;
use crate::client::account::accounts;
use crate::client::json_writer::Items;
use crate::client::request::{ClientRequest, QueryContext};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::http::Response;
use crate::identifiers::{EventId, RoomId, ServerName, UserId};
use crate::limits::MAX_PREV_EVENTS;
use crate::room::history_visibility::membership_in;
use crate::room::receive::is_being_filled;
use crate::room::server_visibility::ServerViewer;
use crate::room::{EventIndex, Room, StoredEvent, server_acl, servers};
use crate::store::auth_chain::RoomAuthChains;
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

/// The room that the path's parameter `at` names, if the server that asks is in it and the room's access control list lets it
/// take part; `403 M_FORBIDDEN` otherwise. A room that is not known here looks like one that the server is not in.
pub fn require_room(context: &QueryContext<'_>, request: &ClientRequest, at: usize) -> Result<Room, ApiError> {
    let room_id = RoomId::parse(request.param(at)).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    let room = Room::find(context.read, &room_id)?.ok_or_else(not_in_room)?;
    require_access(context.read, &room, request.origin())?;
    Ok(room)
}

/// [`require_room`] for what leads up to some events. A server that one of them puts out may ask too: it is to learn that it is out,
/// and can judge that only with what was before.
pub fn require_room_up_to<'e>(
    context: &QueryContext<'_>,
    request: &ClientRequest,
    at: usize,
    events: impl IntoIterator<Item = &'e str>,
) -> Result<Room, ApiError> {
    let (read, origin) = (context.read, request.origin());
    let room_id = RoomId::parse(request.param(at)).map_err(|error| ApiError::invalid_param(error.to_string()))?;
    let room = Room::find(read, &room_id)?.ok_or_else(not_in_room)?;
    server_acl::require(read, &room, origin)?;
    if servers::is_in(read, &room, origin)? {
        return Ok(room);
    }
    for event_id in events.into_iter().take(MAX_PREV_EVENTS) {
        let Some(event) = room.event(read, event_id)?.filter(is_in_graph) else { continue };
        let target = event.header.state_key.as_deref().and_then(|key| UserId::parse(key).ok());
        let Some(target) = target.filter(|user| user.server_str() == origin.as_str()) else { continue };
        // Before it in its own branch, or in the room as it was when the event came here.
        let current = event.header.current.map(|current| current.before);
        for before in [Some(event.header.state_before), current].into_iter().flatten() {
            let before = room.state_event(read, before, "m.room.member", &target)?;
            let was_joined = before.is_some_and(|before| membership_in(&before) == Some(Membership::Join));
            if event.header.kind == "m.room.member" && was_joined {
                return Ok(room);
            }
        }
    }
    Err(not_in_room())
}

/// That this server does not wait for members that it could not check when it came into the room. Whoever is let in or told a state
/// meanwhile would lack them for good, and not know it.
pub fn require_whole(read: &(impl Read + ?Sized), room: &Room, now: Timestamp) -> Result<(), ApiError> {
    if is_being_filled(read, room.num, now)? {
        return Err(ApiError::not_found("This server does not know the whole of the room yet"));
    }
    Ok(())
}

/// [`require_room`] for a room at hand.
pub fn require_access(read: &(impl Read + ?Sized), room: &Room, server: &ServerName) -> Result<(), ApiError> {
    server_acl::require(read, room, server)?;
    if servers::is_in(read, room, server)? { Ok(()) } else { Err(not_in_room()) }
}

fn not_in_room() -> ApiError {
    ApiError::forbidden("Your server is not in this room, or there is no such room")
}

/// An event ID as another server writes it.
pub fn event_id(text: &str) -> Result<EventId, ApiError> {
    EventId::parse(text).map_err(|error| ApiError::invalid_param(error.to_string()))
}

/// Whether the place of the event in the room's graph is known, and so the state before it.
#[must_use]
pub fn is_in_graph(event: &StoredEvent) -> bool {
    !event.header.outlier
}

/// Whether the event may be handed to other servers. What was rejected here is not passed on.
#[must_use]
pub fn may_be_relayed(event: &StoredEvent) -> bool {
    !event.is_rejected()
}

/// The event of the room at which the state is asked for.
pub fn require_in_graph(context: &QueryContext<'_>, room: &Room, text: &str) -> Result<StoredEvent, ApiError> {
    let event_id = event_id(text)?;
    let event = room.event(context.read, &event_id)?.filter(is_in_graph);
    event.ok_or_else(|| ApiError::not_found(alloc::format!("The state at {event_id} is not known here")))
}

/// The room's graph of auth events.
pub fn auth_chains<'r>(context: &QueryContext<'r>, room: &Room) -> RoomAuthChains<'r, dyn Read + 'r> {
    RoomAuthChains { read: context.read, room: room.num }
}

/// The events with these indices, of which there is one each, by ascending index.
pub fn events_at(
    context: &QueryContext<'_>,
    room: &Room,
    indices: impl IntoIterator<Item = u32>,
) -> Result<Vec<StoredEvent>, StorageError> {
    let indices: Vec<EventIndex> = indices.into_iter().map(EventIndex).collect();
    StoredEvent::expect_all(context.read, room.num, &indices)
}

/// Appends an array of PDUs as they are.
pub fn write_pdus(events: &[StoredEvent], out: &mut Vec<u8>) {
    out.reserve(events.iter().map(|event| event.json.len() + 1).sum());
    let mut items = Items::begin(out);
    for event in events {
        items.item().extend_from_slice(&event.json);
    }
    items.end();
}

/// What a server is shown of events of one room's timeline: those that it may not see lose their content, and so do the
/// messages of users who asked for their erasure. What the authorization rules look at stays whole: it is part of what every server
/// in the room has to judge the same events by, and redaction takes some of that away in many room versions.
#[derive(Debug)]
pub struct ShownToServer<'a> {
    viewer: ServerViewer<'a>,
    any_erased: bool,
}

impl<'a> ShownToServer<'a> {
    pub fn new(context: &QueryContext<'_>, server: &'a ServerName) -> Result<ShownToServer<'a>, StorageError> {
        Ok(ShownToServer { viewer: ServerViewer::new(server), any_erased: accounts::any_erased(context.read)? })
    }

    /// The event as the server is shown it.
    pub fn show(
        &mut self,
        context: &QueryContext<'_>,
        room: &Room,
        event: StoredEvent,
    ) -> Result<StoredEvent, StorageError> {
        let erased =
            self.any_erased && !event.is_state() && accounts::erased_at(context.read, &event.header.sender)?.is_some();
        let judged_by = event.is_state() && AUTH_EVENT_KINDS.contains(&event.header.kind.as_str());
        if erased || !judged_by && !self.viewer.sees(context.read, room, &event)? {
            return event.redacted_copy(room.info.version);
        }
        Ok(event)
    }

    /// Whether the server sees the whole event.
    pub fn sees(&mut self, context: &QueryContext<'_>, room: &Room, event: &StoredEvent) -> Result<bool, StorageError> {
        self.viewer.sees(context.read, room, event)
    }
}

/// `origin`, `origin_server_ts` and `pdus`, as `/event` and `/backfill` answer.
pub fn transaction(context: &QueryContext<'_>, events: &[StoredEvent]) -> Response {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"{\"origin\":");
    crate::canonical_json::encode_str(&context.config.server_name, &mut out);
    out.extend_from_slice(alloc::format!(",\"origin_server_ts\":{},\"pdus\":", context.now.0).as_bytes());
    write_pdus(events, &mut out);
    out.push(b'}');
    Response::json_bytes(200, out.into())
}
