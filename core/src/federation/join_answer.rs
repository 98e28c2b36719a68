//! What a server answers to `send_join`: the state of the room before the join, and its auth chain. All of it is checked before any
//! of it counts (Server-Server API, "Joining Rooms").

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::receive_pdu::check_pdus;
use crate::canonical_json::{Object, Value};
use crate::event::Pdu;
use crate::event::content::Create;
use crate::flow::{Cx, join_all};
use crate::identifiers::{EventId, RoomId};
use crate::limits::{JOIN_CHECKS_AT_ONCE, JOIN_EVENTS_AT_ONCE, MAX_JOIN_EVENTS};
use crate::room::install::RoomState;
use crate::room::receive::sort_by_auth_events;
use crate::room_version::{RoomIdFormat, RoomVersion};

/// An answer of which only the outer form was looked at.
pub(super) struct JoinAnswer {
    version: RoomVersion,
    state: Vec<Object>,
    auth_chain: Vec<Object>,
}

/// State whose loss would change who may do what: without it, what is left is not the room.
const ESSENTIAL: [&str; 5] =
    ["m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.server_acl", "m.room.history_visibility"];

impl JoinAnswer {
    pub fn read(mut answer: Object, version: RoomVersion) -> Result<JoinAnswer, &'static str> {
        if answer.bool("members_omitted") == Some(true) {
            return Err("it omits members, which was not asked for");
        }
        let mut events = |name| {
            let Some(Value::Array(items)) = answer.remove(name) else { return None };
            let objects = items.into_iter().map(|item| match item {
                Value::Object(event) => Some(event),
                _ => None,
            });
            objects.collect::<Option<Vec<Object>>>()
        };
        let state = events("state").ok_or("its state is not an array of events")?;
        let auth_chain = events("auth_chain").ok_or("its auth_chain is not an array of events")?;
        if state.len() + auth_chain.len() > MAX_JOIN_EVENTS {
            return Err("it has too many events");
        }
        Ok(JoinAnswer { version, state, auth_chain })
    }

    /// Checks each event by itself, and that together they are the state of the room `room_id`. An event that fails is left out,
    /// and so is what builds on it; an old room has events whose servers are gone with their keys, and others cannot be reached at
    /// the moment. The state that decides who may do what must be whole.
    pub async fn check(self, cx: &Cx, room_id: &RoomId) -> Result<RoomState, String> {
        let version = self.version;
        let mut events = Vec::with_capacity(self.state.len() + self.auth_chain.len());
        let mut state = Vec::with_capacity(self.state.len());
        let mut left_out = Vec::new();
        let mut parts = Vec::new();
        for (mut objects, is_state) in [(self.state, true), (self.auth_chain, false)] {
            while !objects.is_empty() {
                let rest = objects.split_off(objects.len().min(JOIN_EVENTS_AT_ONCE));
                parts.push((objects, is_state));
                objects = rest;
            }
        }
        // While signatures of some are checked, the format of others is.
        let checks = parts.into_iter().map(|(objects, is_state)| async move {
            let kinds: Vec<Option<&'static str>> =
                objects.iter().map(|event| essential(event).filter(|_| is_state)).collect();
            check_pdus(cx, version, objects).await.into_iter().zip(kinds).map(move |event| (event, is_state))
        });
        for ((checked, essential), is_state) in join_all(checks, JOIN_CHECKS_AT_ONCE).await.into_iter().flatten() {
            match checked {
                Ok(pdu) if pdu.room_id != *room_id => {
                    return Err(format!("{} is of another room", pdu.event_id));
                }
                Ok(pdu) => {
                    if is_state {
                        let Some(state_key) = &pdu.state_key else {
                            return Err(format!("{} is no state event", pdu.event_id));
                        };
                        state.push((pdu.kind.clone(), state_key.clone(), pdu.event_id.clone()));
                    }
                    events.push(pdu);
                }
                Err(error) => {
                    if let Some(kind) = essential {
                        return Err(format!("its {kind} is not good: {error}"));
                    }
                    left_out.extend(error.event_id().filter(|_| is_state).cloned());
                }
            }
        }
        let keys: BTreeSet<(&str, &str)> = state.iter().map(|(kind, key, _)| (kind.as_str(), key.as_str())).collect();
        if keys.len() != state.len() {
            return Err("its state has two events for one key".to_string());
        }
        let create = events.iter().find(|event| event.is_state_of("m.room.create", ""));
        let create = create.ok_or("it has no create event")?;
        let names_room = version.rules().room_ids != RoomIdFormat::CreateHash || create.names_room(room_id);
        if !names_room || Create(&create.content).room_version() != Some(version.as_str()) {
            return Err("its create event is of another room, or another version".to_string());
        }
        if !state.iter().any(|(_, _, event_id)| *event_id == create.event_id) {
            return Err("its state lacks the create event".to_string());
        }
        let events = complete(sort_by_auth_events(events));
        let kept: BTreeSet<&EventId> = events.iter().map(|event| &event.event_id).collect();
        if let Some((kind, ..)) =
            state.iter().find(|(kind, _, id)| !kept.contains(id) && ESSENTIAL.contains(&kind.as_str()))
        {
            return Err(format!("the auth chain of its {kind} is not complete"));
        }
        left_out
            .extend(state.extract_if(.., |(_, _, event_id)| !kept.contains(event_id)).map(|(_, _, event_id)| event_id));
        Ok(RoomState { events, state, left_out, essential: &ESSENTIAL })
    }
}

fn essential(event: &Object) -> Option<&'static str> {
    let kind = event.str("type")?;
    ESSENTIAL.into_iter().find(|essential| *essential == kind && event.str("state_key") == Some(""))
}

/// Leaves out the events whose auth events are not all before them.
fn complete(sorted: Vec<Pdu>) -> Vec<Pdu> {
    let mut kept = BTreeSet::new();
    let mut events = Vec::with_capacity(sorted.len());
    for event in sorted {
        if event.auth_events.iter().all(|auth| kept.contains(auth)) {
            kept.insert(event.event_id.clone());
            events.push(event);
        }
    }
    events
}
