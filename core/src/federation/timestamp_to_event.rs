//! Asking other servers for an event that is closer to a time than what is known here (Server-Server API,
//! `GET /timestamp_to_event/{roomId}`).

use alloc::format;
use core::cell::Cell;
use core::ops::ControlFlow;

use super::fetch_events::Asked;
use super::outgoing::Outgoing;
use super::receive_pdu::PduError;
use crate::canonical_json::Value;
use crate::error::ApiError;
use crate::flow::{Cx, Lane};
use crate::http::percent_encode;
use crate::identifiers::{EventId, RoomId};
use crate::limits::{BACKFILL_TIMEOUT, GAP_PLACES, MAX_BACKFILL_SERVERS, QUERY_TIMEOUT};
use crate::room::receive::{Gap, Told, find_gap, has_gaps, not_in_graph, store_history};
use crate::room::timeline::{self, Place};
use crate::room::timestamp::{Direction, closest};
use crate::room::{Room, StoredEvent, servers};
use crate::store::{Read, StorageError};
use crate::time::Timestamp;

/// The gap beside the closest event that is known here, on the side of the time: what is missing there may be closer.
pub fn gap_at(
    read: &(impl Read + ?Sized),
    room: &Room,
    asked: (Timestamp, Direction),
) -> Result<Option<Gap>, StorageError> {
    if !room.is_resident() || !has_gaps(read, room)? {
        return Ok(None);
    }
    let found = closest::<StorageError>(read, room, asked, |_| Ok(true))?;
    let place = match (&found, asked.1) {
        // Between the event and the one before it.
        (Some(event), Direction::Forward) => Place(event.header.order - 1),
        // Between it and the next one; or before all that is known.
        (Some(event), Direction::Backward) => Place(event.header.order),
        (None, Direction::Backward) => Place::START,
        // Whatever is sent now comes here.
        (None, Direction::Forward) => return Ok(None),
    };
    find_gap(read, room, place, (0, None))
}

/// Asks other servers for an event in the gap where the closest one may be, and puts it there. If none has one that holds,
/// everything stays as it is.
pub async fn timestamp_to_event(
    cx: &Cx,
    room_id: &RoomId,
    (wanted, direction): (Timestamp, Direction),
) -> Result<(), ApiError> {
    cx.outlive_request();
    let _lane = cx.lane(Lane::History(room_id.clone())).await;
    let plan = cx.step(|step| {
        let Some(room) = Room::find(step, room_id)? else { return Ok(None) };
        let Some(gap) = gap_at(step, &room, (wanted, direction))? else { return Ok(None) };
        let known = closest::<StorageError>(step, &room, (wanted, direction), |_| Ok(true))?;
        let mut servers = servers::servers_in(step, &room)?;
        servers.retain(|server| *server != step.config.server_name);
        Ok(Some((room.info.version, gap, known, servers)))
    })?;
    let Some((version, gap, known, servers)) = plan else { return Ok(()) };
    let until = cx.now() + BACKFILL_TIMEOUT;
    let distance = |sent: Timestamp| direction.distance(wanted, sent);
    let closest = known.and_then(|event| distance(event.header.origin_server_ts));
    let is_closer = |sent: Timestamp| distance(sent).is_some_and(|far| closest.is_none_or(|closest| far < closest));
    for server in servers.iter().take(MAX_BACKFILL_SERVERS) {
        let no_answer = Cell::new(false);
        let asked = Asked { cx, server, room_id, version, until, no_answer: &no_answer };
        match asked.event_at((wanted, direction), &gap, &is_closer).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(PduError::Internal(error)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

impl Asked<'_> {
    /// Whether the server knew an event that is closer, which is in the timeline now.
    async fn event_at(
        &self,
        (wanted, direction): (Timestamp, Direction),
        gap: &Gap,
        is_closer: &impl Fn(Timestamp) -> bool,
    ) -> Result<bool, PduError> {
        let room = percent_encode(self.room_id);
        let query = format!("{room}?ts={}&dir={}", wanted.0, direction.as_str());
        let target = format!("/_matrix/federation/v1/timestamp_to_event/{query}");
        let Ok(answer) = self.ask(Outgoing::get(target).timeout(QUERY_TIMEOUT)).await else { return Ok(false) };
        let event_id = answer.get("event_id").and_then(Value::as_str).and_then(|text| EventId::parse(text).ok());
        let Some(event_id) = event_id else { return Ok(false) };
        let in_graph = |event: StoredEvent| !event.header.outlier;
        if self.in_room(|step, room| Ok(room.event(step, &event_id)?.is_some_and(in_graph)))? {
            return Ok(false);
        }
        let Some(pdu) = self.single_events(&[event_id]).await.pop() else { return Ok(false) };
        // What it said of the time does not count, but what the event says.
        if !is_closer(pdu.timestamp()) {
            return Ok(false);
        }
        let after = self.in_room(|step, room| Ok(not_in_graph(step, room, &pdu)?))?;
        let states = self.states_after(&pdu, &after).await?;
        // In the midst of the gap, so that there are places on both sides for what is fetched later.
        let below = i64::try_from((gap.places / 2).min(GAP_PLACES / 2)).unwrap_or_default();
        let stored = self.in_room(|step, room| {
            let mut taken = false;
            let (from, to) = (Place(gap.before - below - 2), Some(Place(gap.before - below - 1)));
            timeline::forward::<StorageError>(step, room, from, to, 1, |_, _| {
                taken = true;
                Ok(ControlFlow::Break(()))
            })?;
            if taken { Ok(0) } else { store_history(step, room, gap.before - below, &[(pdu, Told { after, states })]) }
        })?;
        Ok(stored > 0)
    }
}
