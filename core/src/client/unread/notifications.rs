//! `GET /notifications`: the events that notified a user, the newest first (Client-Server API, "Listing Notifications").

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::event_format::{self, Shown};
use super::super::filter::EventFormat;
use super::super::json_writer::{Items, Members};
use super::super::push_rules::judge::PushRules;
use super::super::request::{Answer, Auth, ClientRequest, Handler, Limit, QueryContext};
use super::super::routes::Route;
use super::Reader;
use super::read_marks::ReadMarks;
use super::tally::{self, Judged};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::http::{Method, Response};
use crate::limits::{DEFAULT_NOTIFICATIONS, MAX_NOTIFICATIONS, MAX_NOTIFICATIONS_SCANNED};
use crate::room::history_visibility::Viewer;
use crate::room::tables::UserRoom;
use crate::room::timeline::{self, Place};
use crate::room::{Room, StoredEvent, membership};
use crate::store::StorageError;
use crate::store::tables::RoomNum;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Get,
    "/_matrix/client/v3/notifications",
    Auth::Required,
    Limit::None,
    Handler::HeavyQuery(notifications),
)];

/// A joined room that is looked through.
struct Joined {
    room: Room,
    row: UserRoom,
    marks: Option<ReadMarks>,
}

fn notifications(context: &QueryContext<'_>, request: &ClientRequest) -> Answer {
    let only_highlights = match request.query("only") {
        None => false,
        Some("highlight") => true,
        Some(_) => return Err(ApiError::invalid_param("only is not highlight")),
    };
    // Tokens are places in the stream of all that happens.
    let before = match request.query("from").map(str::parse::<i64>) {
        None => i64::MAX,
        Some(Ok(before)) if before > 0 => before,
        Some(_) => return Err(ApiError::invalid_param("from is not a token of this list")),
    };
    let limit = request.query_integer("limit")?.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(DEFAULT_NOTIFICATIONS).clamp(1, MAX_NOTIFICATIONS);

    let read = context.read;
    let reader = Reader::load(read, request.user_id(), || Rc::new(PushRules::defaults()))?;
    let mut rooms = BTreeMap::new();
    // Where to look next in each room: no event of it that was not looked at comes after that.
    let mut next: BTreeSet<(i64, RoomNum)> = BTreeSet::new();
    for (num, row) in membership::rooms_of(read, request.user_id())? {
        if row.membership == Membership::Join {
            let room = Room::expect(read, num)?;
            next.insert((room.head.last.order().min(before - 1), num));
            rooms.insert(num, Joined { room, row, marks: None });
        }
    }
    let mut out = Vec::with_capacity(1024);
    let mut answer = Members::begin(&mut out);
    let mut items = Items::begin(answer.name("notifications"));
    let mut more = None;
    let mut scanned = 0;
    while let Some((place, num)) = next.pop_last() {
        if items.count == limit || scanned == MAX_NOTIFICATIONS_SCANNED {
            more = Some(place + 1);
            break;
        }
        scanned += 1;
        let joined = rooms.get_mut(&num).expect("only rooms that are there are looked through");
        let Some(event) = newest(context, joined, Place(place))? else { continue };
        let order = event.header.order;
        if order < place && next.last().is_some_and(|(other, _)| *other > order) {
            next.insert((order, num));
            continue;
        }
        next.insert((order - 1, num));
        write_if_it_notifies(context, request, (joined, &reader), &event, only_highlights, &mut items)?;
    }
    items.end();
    if let Some(more) = more {
        answer.string("next_token", &more.to_string());
    }
    answer.end();
    Ok(Response::json_bytes(200, out.into()))
}

/// The newest event up to a place, as far as the user has been in the room.
fn newest(context: &QueryContext<'_>, joined: &Joined, place: Place) -> Result<Option<StoredEvent>, StorageError> {
    let since = joined.row.joined_at.map_or(Place::START, Place::after);
    let mut found = None;
    timeline::backward::<StorageError>(context.read, &joined.room, Some(place), since, 1, |_, event| {
        found = Some(event);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

fn write_if_it_notifies(
    context: &QueryContext<'_>,
    request: &ClientRequest,
    (joined, reader): (&mut Joined, &Reader),
    event: &StoredEvent,
    only_highlights: bool,
    items: &mut Items<'_>,
) -> Result<(), StorageError> {
    let read = context.read;
    let room = (&joined.room, &joined.row);
    let mut viewer = Viewer::with_row(request.user_id(), Some(joined.row.clone()));
    let Some(Judged { rule, thread }) = tally::judge(read, room, reader, &mut viewer, event)? else { return Ok(()) };
    if !rule.notify || only_highlights && !rule.highlight {
        return Ok(());
    }
    let marks = match &mut joined.marks {
        Some(marks) => marks,
        none => none.insert(ReadMarks::of(read, &joined.room, request.user_id())?),
    };
    let is_read = marks.has_read(thread.as_deref(), event.header.order);
    let mut members = Members::begin(items.item());
    members.name("actions").extend_from_slice(rule.actions.as_bytes());
    let mut shown = Shown::in_sync(viewer, request.requester(), EventFormat::Client, None);
    event_format::write(context, &joined.room, &mut shown, event, members.name("event"))?;
    members.name("read").extend_from_slice(if is_read { b"true" } else { b"false" });
    members.string("room_id", joined.room.room_id());
    members.integer("ts", event.header.origin_server_ts);
    members.end();
    Ok(())
}
