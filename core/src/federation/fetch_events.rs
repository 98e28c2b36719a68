//! Events that others refer to and that are not known here: single ones, and auth chains (Server-Server API, "Retrieving events",
//! "Retrieving event's auth chain").

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;

use super::outgoing::{Outgoing, RemoteError, call};
use super::receive_pdu::{Checked, check_pdus, in_room};
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::event::Pdu;
use crate::flow::{Cx, Step, join_all};
use crate::http::percent_encode;
use crate::identifiers::{EventId, RoomId, ServerName};
use crate::limits::{
    AUTH_EVENT_ROUNDS, AUTH_EVENTS_ONE_BY_ONE, EVENT_FETCHES_AT_ONCE, MAX_STATE_ANSWER, OUTLIERS_AT_ONCE,
};
use crate::room::Room;
use crate::room::receive::{found, sort_by_auth_events, store_outliers};
use crate::room_version::RoomVersion;
use crate::time::Timestamp;

/// A room, as one server is asked about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub cx: &'a Cx,
    pub server: &'a ServerName,
    pub room_id: &'a RoomId,
    pub version: RoomVersion,
    /// After that nothing more is asked.
    pub until: Timestamp,
    /// Set once the server did not answer at all.
    pub no_answer: &'a Cell<bool>,
}

impl Asked<'_> {
    /// Looks at the room as it is now, or changes it.
    pub fn in_room<T>(&self, run: impl FnOnce(&mut Step<'_>, &mut Room) -> Result<T, ApiError>) -> Result<T, ApiError> {
        self.cx.step(|step| {
            let room = Room::find(step, self.room_id)?;
            let mut room = room.ok_or_else(|| ApiError::not_found("This server does not know the room"))?;
            run(step, &mut room)
        })
    }

    /// Sends a request, if there is time for it.
    pub async fn ask(&self, request: Outgoing) -> Result<Value, RemoteError> {
        let left = Duration::from_millis(self.until.since(self.cx.now()));
        if left.is_zero() {
            return Err(RemoteError::Unreachable("it has taken too long already".into()));
        }
        let timeout = request.timeout.min(left);
        let answer = call(self.cx, self.server, request.timeout(timeout)).await;
        if answer.as_ref().is_err_and(RemoteError::may_pass) {
            self.no_answer.set(true);
        }
        answer
    }

    /// Checks what an answer holds, and keeps what passes and is of the room.
    pub async fn check(&self, events: Vec<Object>) -> Vec<Checked> {
        let checked = check_pdus(self.cx, self.version, events).await;
        checked.into_iter().filter_map(|checked| Checked::of(in_room(checked, self.room_id)).ok()).collect()
    }

    /// What of that is wanted as outliers. An event without its authoriser's signature is none: it would be rejected, and so is of
    /// no use to what cites it.
    async fn check_outliers(&self, events: Vec<Object>) -> Vec<Pdu> {
        let checked = self.check(events).await;
        checked.into_iter().filter(|checked| checked.authorised).map(|checked| checked.pdu).collect()
    }

    /// The checked events under the names `parts` of the answer to `GET target`. Empty if there is none.
    pub async fn events(&self, target: String, parts: &[&str]) -> Vec<Pdu> {
        let request = Outgoing::get(target).max_body(MAX_STATE_ANSWER);
        let Ok(Value::Object(mut answer)) = self.ask(request).await else { return Vec::new() };
        let mut events = Vec::new();
        for part in parts {
            let Some(Value::Array(part)) = answer.remove(part) else { continue };
            events.extend(part.into_iter().filter_map(|event| match event {
                Value::Object(event) => Some(event),
                _ => None,
            }));
        }
        let mut checked = Vec::with_capacity(events.len());
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(OUTLIERS_AT_ONCE));
            checked.extend(self.check_outliers(events).await);
            events = rest;
        }
        checked
    }

    /// Asks for single events. Those that cannot be had are left out.
    pub async fn single_events(&self, event_ids: &[EventId]) -> Vec<Pdu> {
        let fetches = event_ids.iter().map(|event_id| async move {
            let target = format!("/_matrix/federation/v1/event/{}", percent_encode(event_id));
            let answer = self.ask(Outgoing::get(target)).await.ok()?;
            answer.get("pdus")?.as_array()?.first()?.as_object().cloned()
        });
        let fetched = join_all(fetches, EVENT_FETCHES_AT_ONCE).await;
        let mut events = self.check_outliers(fetched.into_iter().flatten().collect()).await;
        events.retain(|event| event_ids.contains(&event.event_id));
        events
    }

    /// Which of `event_ids` are not stored here in any way.
    pub fn unknown(&self, event_ids: impl IntoIterator<Item = EventId>) -> Result<Vec<EventId>, ApiError> {
        self.in_room(|step, room| {
            let mut unknown = Vec::new();
            for event_id in event_ids {
                if room.index_of(step, &event_id)?.is_none() {
                    unknown.push(event_id);
                }
            }
            Ok(unknown)
        })
    }

    /// Stores those of `pdus` as outliers whose auth events are there or among them.
    pub async fn store_outliers(&self, pdus: Vec<Pdu>) -> Result<(), ApiError> {
        let mut sorted = sort_by_auth_events(pdus);
        while !sorted.is_empty() {
            let rest = sorted.split_off(sorted.len().min(OUTLIERS_AT_ONCE));
            self.in_room(|step, room| {
                let mut complete: Vec<Pdu> = Vec::with_capacity(sorted.len());
                let mut among: BTreeSet<EventId> = BTreeSet::new();
                for pdu in sorted {
                    let mut known = true;
                    for auth in references_to_authority(&pdu) {
                        known = known && (among.contains(&auth) || room.index_of(step, &auth)?.is_some());
                    }
                    if known {
                        among.insert(pdu.event_id.clone());
                        complete.push(pdu);
                    }
                }
                store_outliers(step, room, &complete)?;
                Ok(found(step, room, complete.iter().map(|pdu| &pdu.event_id))?)
            })?;
            self.cx.give_way().await;
            sorted = rest;
        }
        Ok(())
    }

    /// Stores checked events as outliers, after those of their auth events that are not known and can be had.
    pub async fn store_with_auth_events(&self, events: Vec<Pdu>) -> Result<(), ApiError> {
        for pdu in &events {
            let unknown = self.unknown(pdu.auth_events.iter().cloned())?;
            if !unknown.is_empty() {
                self.fetch_auth_events(pdu, unknown).await?;
            }
        }
        self.store_outliers(events).await
    }

    /// Fetches the auth events of `pdu` that are not known, and theirs, and stores them as outliers. Whether that was all of them
    /// is seen when the event is judged.
    ///
    /// A few are asked for one by one; for more than that the whole auth chain is.
    pub async fn fetch_auth_events(&self, pdu: &Pdu, missing: Vec<EventId>) -> Result<(), ApiError> {
        let mut found: BTreeMap<EventId, Pdu> = BTreeMap::new();
        let mut missing = missing;
        for _ in 0..AUTH_EVENT_ROUNDS {
            if missing.is_empty() || found.len() + missing.len() > AUTH_EVENTS_ONE_BY_ONE {
                break;
            }
            let fetched = self.single_events(&missing).await;
            if fetched.is_empty() {
                break;
            }
            let mut cited = BTreeSet::new();
            for pdu in fetched {
                cited.extend(references_to_authority(&pdu));
                found.insert(pdu.event_id.clone(), pdu);
            }
            cited.retain(|event_id| !found.contains_key(event_id));
            missing = self.unknown(cited)?;
        }
        if !missing.is_empty() {
            let target = format!(
                "/_matrix/federation/v1/event_auth/{}/{}",
                percent_encode(self.room_id),
                percent_encode(&pdu.event_id)
            );
            found.extend(self.events(target, &["auth_chain"]).await.into_iter().map(|pdu| (pdu.event_id.clone(), pdu)));
        }
        self.store_outliers(found.into_values().collect()).await
    }
}

/// The events that an event is judged on: its auth events, and the create event in versions where the room ID names it.
fn references_to_authority(pdu: &Pdu) -> impl Iterator<Item = EventId> {
    let cited = pdu.auth_events.clone();
    // Room IDs with a server name are in versions whose events cite the create event.
    let create = (!pdu.room_id.contains(':') && pdu.kind != "m.room.create")
        .then(|| EventId::parse(&format!("${}", &pdu.room_id[1..])).ok())
        .flatten();
    cited.into_iter().chain(create)
}
