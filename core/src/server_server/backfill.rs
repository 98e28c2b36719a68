//! `GET /_matrix/federation/v1/backfill/{roomId}` and `POST /get_missing_events/{roomId}` (Server-Server API, "Backfilling and
//! retrieving missing events"): stretches of a room's graph, walked backwards along `prev_events`.
//!
//! What was rejected here is walked through and not handed out.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::room_access::{self, ShownToServer};
use crate::canonical_json::Value;
use crate::client::request::{Answer, Auth, BodyExt as _, ClientRequest, Handler, Limit, QueryContext};
use crate::client::routes::Route;
use crate::error::ApiError;
use crate::event::Pdu;
use crate::http::{Method, Response};
use crate::identifiers::EventId;
use crate::limits::{MAX_BACKFILL, MAX_BACKFILL_SCANNED, MAX_MISSING_EVENTS, MAX_PREV_EVENTS};
use crate::room::{EventIndex, Room, StoredEvent};
use crate::store::StorageError;

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/_matrix/federation/v1/backfill/{roomId}",
        Auth::Server,
        Limit::None,
        Handler::HeavyQuery(backfill),
    ),
    Route::new(
        Method::Post,
        "/_matrix/federation/v1/get_missing_events/{roomId}",
        Auth::Server,
        Limit::None,
        Handler::HeavyQuery(get_missing_events),
    ),
];

/// The event IDs that a request may begin at.
const MAX_STARTS: usize = 4 * MAX_PREV_EVENTS;

fn backfill(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = room_access::require_room(context, request, 0)?;
    let limit = request.query_integer("limit")?.ok_or_else(|| ApiError::missing_param("limit is missing"))?;
    let limit = usize::try_from(limit).unwrap_or(MAX_BACKFILL).min(MAX_BACKFILL);
    let from = request.query.iter().filter(|pair| pair.0 == "v").map(|pair| room_access::event_id(&pair.1));
    let from = from.take(MAX_STARTS).collect::<Result<Vec<EventId>, _>>()?;
    if from.is_empty() {
        return Err(ApiError::missing_param("v is missing"));
    }
    let mut walk = Walk::new(context, &room);
    walk.visit(&from)?;
    let events = shown(context, request, &room, walk.newest(limit, i64::MIN)?)?;
    Ok(room_access::transaction(context, &events))
}

fn get_missing_events(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let body = request.object()?;
    let latest = event_ids(body.opt_array("latest_events")?, "latest_events")?;
    let room = room_access::require_room_up_to(context, request, 0, latest.iter().map(EventId::as_str))?;
    let limit = body.opt_integer("limit")?.unwrap_or(10);
    let limit = usize::try_from(limit).map_err(|_| ApiError::invalid_param("limit is negative"))?;
    let min_depth = body.opt_integer("min_depth")?.unwrap_or(0);
    let mut walk = Walk::new(context, &room);
    walk.pass_over(&event_ids(body.opt_array("earliest_events")?, "earliest_events")?)?;
    for event_id in latest {
        if let Some(event) = room.event(context.read, &event_id)?.filter(room_access::is_in_graph) {
            let pdu = event.pdu(room.info.version)?;
            walk.seen.insert(event.index);
            walk.visit(&pdu.prev_events)?;
        }
    }
    let mut events = walk.newest(limit.min(MAX_MISSING_EVENTS), min_depth)?;
    events.reverse();
    let events = shown(context, request, &room, events)?;
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"events\":");
    room_access::write_pdus(&events, &mut out);
    out.push(b'}');
    Ok(Response::json_bytes(200, out.into()))
}

fn event_ids(items: Option<&[Value]>, name: &str) -> Result<Vec<EventId>, ApiError> {
    let items = items.ok_or_else(|| ApiError::missing_param(alloc::format!("{name} is missing")))?;
    let wrong = || ApiError::bad_json(alloc::format!("{name} has something that is not an event ID"));
    let ids = items.iter().take(MAX_STARTS).map(|item| EventId::parse(item.as_str().unwrap_or_default()));
    ids.collect::<Result<_, _>>().map_err(|_| wrong())
}

fn shown(
    context: &QueryContext<'_>,
    request: &ClientRequest,
    room: &Room,
    events: Vec<StoredEvent>,
) -> Result<Vec<StoredEvent>, StorageError> {
    let mut shown = ShownToServer::new(context, request.origin())?;
    events.into_iter().map(|event| shown.show(context, room, event)).collect()
}

/// A walk backwards through the graph, the deepest events first.
struct Walk<'c> {
    context: &'c QueryContext<'c>,
    room: &'c Room,
    seen: BTreeSet<EventIndex>,
    /// What was met and not gone through: by depth, then index.
    ahead: BTreeMap<(i64, EventIndex), (StoredEvent, Pdu)>,
}

impl<'c> Walk<'c> {
    fn new(context: &'c QueryContext<'c>, room: &'c Room) -> Walk<'c> {
        Walk { context, room, seen: BTreeSet::new(), ahead: BTreeMap::new() }
    }

    /// The walk does not go through these.
    fn pass_over(&mut self, event_ids: &[EventId]) -> Result<(), StorageError> {
        for event_id in event_ids {
            self.seen.extend(self.room.event(self.context.read, event_id)?.map(|event| event.index));
        }
        Ok(())
    }

    /// The walk goes through these. What is not in the room's graph here is left out.
    fn visit(&mut self, event_ids: &[EventId]) -> Result<(), StorageError> {
        for event_id in event_ids {
            let event = self.room.event(self.context.read, event_id)?.filter(room_access::is_in_graph);
            if let Some(event) = event.filter(|event| self.seen.insert(event.index)) {
                let pdu = event.pdu(self.room.info.version)?;
                self.ahead.insert((pdu.depth, event.index), (event, pdu));
            }
        }
        Ok(())
    }

    /// The next `limit` events of at least this depth, the deepest first.
    fn newest(mut self, limit: usize, min_depth: i64) -> Result<Vec<StoredEvent>, StorageError> {
        let mut found = Vec::with_capacity(limit);
        let mut scanned = 0;
        while found.len() < limit
            && scanned < MAX_BACKFILL_SCANNED
            && let Some(((depth, _), (event, pdu))) = self.ahead.pop_last()
            && depth >= min_depth
        {
            scanned += 1;
            self.visit(&pdu.prev_events)?;
            if room_access::may_be_relayed(&event) {
                found.push(event);
            }
        }
        Ok(found)
    }
}
