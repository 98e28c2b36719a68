//! Paging through a room's history, and the surroundings of an event (Client-Server API, "Getting events for a room",
//! "Event context").

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::event_format::{self, Shown};
use super::super::filter::RoomEventFilter;
use super::super::request::{Answer, AskFirst, AskFuture, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::super::routes::Route;
use super::super::token::TimelineToken;
use crate::canonical_json::encode_str;
use crate::error::ApiError;
use crate::event::content::HistoryVisibility;
use crate::federation::backfill::backfill;
use crate::flow::Cx;
use crate::http::{Method, Response};
use crate::limits::{MAX_MESSAGES_SCANNED, MAX_PAGE};
use crate::room::history_visibility::Viewer;
use crate::room::receive::find_gap;
use crate::room::timeline::{self, Place};
use crate::room::{Room, StoredEvent, history_visibility, membership};
use crate::store::StorageError;
use crate::store::state_map::StateId;

pub const ROUTES: &[Route] = &[
    Route::new(
        Method::Get,
        "/_matrix/client/v3/rooms/{roomId}/messages",
        Auth::Guest,
        Limit::None,
        Handler::AskFirst(&AskFirst { name: "backfill", needed: meets_gap, ask: fill_gap, query: messages }),
    ),
    Route::new(
        Method::Get,
        "/_matrix/client/v3/rooms/{roomId}/context/{eventId}",
        Auth::Guest,
        Limit::None,
        Handler::HeavyQuery(event_context),
    ),
];

fn limit(request: &ClientRequest, filter: &RoomEventFilter) -> Result<usize, ApiError> {
    let asked = request.query_integer("limit")?.map(|limit| usize::try_from(limit).unwrap_or(MAX_PAGE));
    Ok(asked.or(filter.events.limit).unwrap_or(10).min(MAX_PAGE))
}

fn filter(request: &ClientRequest) -> Result<RoomEventFilter, ApiError> {
    let Some(text) = request.query("filter") else { return Ok(RoomEventFilter::default()) };
    RoomEventFilter::parse_text(text)
}

fn place(request: &ClientRequest, name: &str) -> Result<Option<Place>, ApiError> {
    request.query(name).map(|text| TimelineToken::require(text, name).map(|token| Place(token.0))).transpose()
}

fn format_place(place: Place) -> String {
    TimelineToken(place.0).to_string()
}

/// The user must have been in the room, or anyone may look; what they see of it is judged event by event.
pub(super) fn require_history(context: &QueryContext<'_>, room: &Room, viewer: &Viewer<'_>) -> Result<(), ApiError> {
    let was_member = viewer.user_room().is_some_and(|row| row.joined_at.is_some() && !row.forgotten);
    if was_member || history_visibility::at(context.read, room, room.head.state)? == HistoryVisibility::WorldReadable {
        Ok(())
    } else {
        Err(ApiError::forbidden("You are not in this room"))
    }
}

/// A stretch of the timeline as one viewer sees it.
struct Page {
    events: Vec<StoredEvent>,
    /// Where to go on; `None` when the timeline ends there.
    next: Option<Place>,
}

/// Collects up to `limit` events from `from` on, away from it in direction `back`. What the viewer may not see is passed
/// over and does not count, so that a stretch of it never looks like the end; after [`MAX_MESSAGES_SCANNED`] events the page
/// ends early and says where to go on.
fn page(
    context: &QueryContext<'_>,
    room: &Room,
    shown: &mut Shown<'_>,
    filter: &RoomEventFilter,
    (from, to): (Option<Place>, Option<Place>),
    (back, limit): (bool, usize),
) -> Result<Page, ApiError> {
    let read = context.read;
    let mut page = Page { events: Vec::with_capacity(limit), next: None };
    let mut scanned = 0;
    let mut last = from;
    let mut at_gap = false;
    let mut visit = |order: i64, event: StoredEvent| -> Result<ControlFlow<()>, StorageError> {
        if page.events.len() == limit || scanned == MAX_MESSAGES_SCANNED {
            page.next = last;
            return Ok(ControlFlow::Break(()));
        }
        scanned += 1;
        at_gap = event.header.after_gap;
        // Going back a token stands before the events that it has passed, going forward after them.
        last = Some(Place(if back { order - 1 } else { order }));
        if filter.matches_event(&event, room.room_id()) && shown.viewer.sees(read, room, &event)? {
            page.events.push(event);
        }
        Ok(ControlFlow::Continue(()))
    };
    if back {
        timeline::backward(read, room, from, to.unwrap_or(Place::START), limit + 1, &mut visit)?;
    } else {
        timeline::forward(read, room, from.unwrap_or(Place::START), to, limit + 1, &mut visit)?;
    }
    // There is more behind a gap, if not here: whoever goes on from there has it fetched. From a place where nothing came of that
    // nobody goes on.
    if back && at_gap && page.next.is_none() && to.is_none() {
        page.next = last;
    }
    Ok(page)
}

/// The member events of the senders of `events` in the state `at` (Client-Server API, "Lazy-loading room members").
fn senders<'e>(
    context: &QueryContext<'_>,
    room: &Room,
    at: StateId,
    events: impl Iterator<Item = &'e StoredEvent>,
) -> Result<Vec<StoredEvent>, StorageError> {
    let senders: BTreeSet<&str> = events.map(|event| event.header.sender.as_str()).collect();
    let mut members = Vec::new();
    for sender in senders {
        members.extend(room.state_event(context.read, at, "m.room.member", sender)?);
    }
    Ok(members)
}

/// Where a page begins, and whether it goes back.
fn start(room: &Room, request: &ClientRequest) -> Result<(Place, bool), ApiError> {
    let back = match request.query("dir") {
        Some("b") => true,
        Some("f") => false,
        Some(_) => return Err(ApiError::invalid_param("dir is neither b nor f")),
        None => return Err(ApiError::missing_param("dir is missing")),
    };
    let from = match place(request, "from")? {
        Some(from) => from,
        None if back => Place::after(room.head.last),
        None => Place::START,
    };
    Ok((from, back))
}

/// Whether a page going back meets history that is missing here. Only members have it fetched.
fn meets_gap(context: &QueryContext<'_>, request: &ClientRequest) -> Result<bool, ApiError> {
    let room = Room::require(context.read, request.param(0))?;
    let (from, back) = start(&room, request)?;
    if !back || membership::require_joined(context.read, request.user_id(), &room).is_err() {
        return Ok(false);
    }
    let limit = limit(request, &filter(request)?)?.max(1);
    Ok(find_gap(context.read, &room, from, (limit, None))?.is_some())
}

fn fill_gap(cx: Cx, request: ClientRequest) -> AskFuture {
    Box::pin(async move {
        let (room_id, from, limit) = cx.step(|step| {
            let room = Room::require(step, request.param(0))?;
            let limit = limit(&request, &filter(&request)?)?.max(1);
            Ok((room.room_id().clone(), start(&room, &request)?.0, limit))
        })?;
        backfill(&cx, &room_id, from, limit).await?;
        Ok(None)
    })
}

fn messages(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let room = Room::require(context.read, request.param(0))?;
    let mut shown = Shown::with_room_id(context, &room, request.requester())?;
    require_history(context, &room, &shown.viewer)?;
    let (from, back) = start(&room, request)?;
    let filter = filter(request)?;
    // A page of nothing would lead nowhere.
    let limit = limit(request, &filter)?.max(1);
    let to = place(request, "to")?;
    let page = page(context, &room, &mut shown, &filter, (Some(from), to), (back, limit))?;

    let mut out = Vec::with_capacity(64 + page.events.len() * 640);
    out.extend_from_slice(b"{\"chunk\":");
    event_format::write_all(context, &room, &mut shown, &page.events, &mut out)?;
    if let Some(next) = page.next {
        out.extend_from_slice(b",\"end\":");
        encode_str(&format_place(next), &mut out);
    }
    out.extend_from_slice(b",\"start\":");
    encode_str(&format_place(from), &mut out);
    if filter.lazy_load_members
        && let Some(last) = page.events.last()
    {
        let members = senders(context, &room, last.header.state_before, page.events.iter())?;
        if !members.is_empty() {
            out.extend_from_slice(b",\"state\":");
            event_format::write_all(context, &room, &mut shown, &members, &mut out)?;
        }
    }
    out.push(b'}');
    Ok(Response::json_bytes(200, out.into()))
}

fn event_context(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let hidden = || ApiError::not_found("There is no such event, or you may not see it");
    let Some(room) = Room::find(context.read, request.param(0))? else { return Err(hidden()) };
    let Some(event) = room.event(context.read, request.param(1))? else { return Err(hidden()) };
    let mut shown = Shown::with_room_id(context, &room, request.requester())?;
    if !shown.viewer.sees(context.read, &room, &event)? {
        return Err(hidden());
    }
    let filter = filter(request)?;
    let limit = limit(request, &filter)?;
    let here = Place(event.header.order);
    let before = Place(event.header.order - 1);
    // The limit is for both sides together, without the event (Client-Server API, "Event context").
    let mut side = |from: Place, back: bool, limit: usize| match limit {
        0 => Ok(Page { events: Vec::new(), next: Some(from) }),
        limit => page(context, &room, &mut shown, &filter, (Some(from), None), (back, limit)),
    };
    let earlier = side(before, true, limit / 2)?;
    let later = side(here, false, limit - limit / 2)?;
    let last = later.events.last().unwrap_or(&event);
    let at = room.current_after(context.read, last)?;
    let everyone = || earlier.events.iter().chain(core::iter::once(&event)).chain(later.events.iter());
    let mut state = room.state_events(context.read, at, None)?;
    if filter.lazy_load_members {
        let keep: BTreeSet<String> = everyone().map(|event| String::from(event.header.sender.as_str())).collect();
        state.retain(|event| {
            event.header.kind != "m.room.member"
                || event.header.state_key.as_ref().is_some_and(|key| keep.contains(key))
        });
    }

    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(b"{\"end\":");
    let end = later.next.unwrap_or(Place(last.header.order));
    encode_str(&format_place(end), &mut out);
    out.extend_from_slice(b",\"event\":");
    event_format::write(context, &room, &mut shown, &event, &mut out)?;
    out.extend_from_slice(b",\"events_after\":");
    event_format::write_all(context, &room, &mut shown, &later.events, &mut out)?;
    out.extend_from_slice(b",\"events_before\":");
    event_format::write_all(context, &room, &mut shown, &earlier.events, &mut out)?;
    out.extend_from_slice(b",\"start\":");
    let first = earlier.events.last().unwrap_or(&event);
    encode_str(&format_place(earlier.next.unwrap_or(Place(first.header.order - 1))), &mut out);
    out.extend_from_slice(b",\"state\":");
    event_format::write_all(context, &room, &mut shown, &state, &mut out)?;
    out.push(b'}');
    Ok(Response::json_bytes(200, out.into()))
}
