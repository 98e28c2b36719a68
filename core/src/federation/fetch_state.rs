//! The state before an event whose history is not known here, as another server tells it (Server-Server API, "Retrieving
//! events", `/state_ids` and `/state`).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use super::fetch_events::Asked;
use super::outgoing::{Outgoing, RemoteError};
use super::receive_pdu::PduError;
use crate::canonical_json::Value;
use crate::event::Pdu;
use crate::http::percent_encode;
use crate::identifiers::EventId;
use crate::limits::{MAX_STATES_TOLD, STATE_EVENTS_ONE_BY_ONE};
use crate::room::StoredEvent;
use crate::room::receive::state_after_outlier;
use crate::store::state_map::StateId;

impl Asked<'_> {
    /// The states after those previous events of an event that are not in the graph, as the server tells them.
    ///
    /// If none of them is in the graph, the state before the event itself says the same. That is also all that there is to be had of
    /// one that was sent before this server came into the room, or with which it was put out of it.
    ///
    /// # Errors
    /// As [`Asked::fetch_state`].
    pub async fn states_after(&self, pdu: &Pdu, missing: &[EventId]) -> Result<Vec<StateId>, PduError> {
        let all: BTreeSet<&EventId> = pdu.prev_events.iter().collect();
        if missing.len() < all.len() && missing.len() <= MAX_STATES_TOLD {
            match self.states_after_each(missing).await {
                Err(PduError::Missing(_)) => {}
                result => return result,
            }
        }
        Ok(alloc::vec![self.fetch_state(&pdu.event_id).await?])
    }

    async fn states_after_each(&self, missing: &[EventId]) -> Result<Vec<StateId>, PduError> {
        let unknown = self.unknown(missing.iter().cloned())?;
        let events = self.single_events(&unknown).await;
        self.store_with_auth_events(events).await?;
        let mut states = Vec::with_capacity(missing.len());
        for event_id in missing {
            let before = self.fetch_state(event_id).await?;
            let after = self.in_room(|step, room| Ok(state_after_outlier(step, room, event_id, before)?))?;
            states.push(after.ok_or_else(|| PduError::Missing(event_id.clone()))?);
        }
        Ok(states)
    }

    /// Fetches what is not known of the state before an event and of its auth chain, and stores it as outliers. The events that the
    /// server lists make the state, those excepted that are rejected.
    ///
    /// # Errors
    /// The server does not tell the state, or it tells one without the room's create event, or with events that cannot be had.
    pub async fn fetch_state(&self, event_id: &EventId) -> Result<StateId, PduError> {
        let missing = || PduError::Missing(event_id.clone());
        let room = percent_encode(self.room_id);
        let query = format!("{room}?event_id={}", percent_encode(event_id));
        let ids = Outgoing::get(format!("/_matrix/federation/v1/state_ids/{query}"));
        let answer = self.ask(ids).await.map_err(|error| match error {
            RemoteError::Internal(error) => PduError::Internal(error),
            _ => missing(),
        })?;
        let list = |name: &str| -> BTreeSet<EventId> {
            let ids = answer.get(name).and_then(Value::as_array).unwrap_or_default();
            ids.iter().filter_map(|id| EventId::parse(id.as_str()?).ok()).collect()
        };
        let (state, chain) = (list("pdu_ids"), list("auth_chain_ids"));
        let unknown = self.unknown(state.union(&chain).cloned())?;
        if unknown.len() <= STATE_EVENTS_ONE_BY_ONE {
            self.store_outliers(self.single_events(&unknown).await).await?;
        }
        if !self.unknown(state.iter().cloned())?.is_empty() {
            // Many at once; or they are not told one by one, as to a server that the event puts out of the room.
            let whole = format!("/_matrix/federation/v1/state/{query}");
            self.store_outliers(self.events(whole, &["pdus", "auth_chain"]).await).await?;
        }
        if !self.unknown(state.iter().cloned())?.is_empty() {
            // Mostly the keys of a server cannot be had at the moment. Without its events the state would be another one than others
            // have, and stay so.
            self.no_answer.set(true);
            return Err(missing());
        }
        let state = self.in_room(|step, room| {
            let mut events = Vec::with_capacity(state.len());
            let mut keys = BTreeSet::new();
            for event_id in &state {
                let Some(index) = room.index_of(step, event_id)? else { continue };
                let event = StoredEvent::expect(step, room.num, index)?;
                let Some(state_key) = event.header.state_key.clone() else { continue };
                if !event.is_rejected() && keys.insert((event.header.kind.clone(), state_key)) {
                    events.push(index);
                }
            }
            let state = room.state_of(step, &events)?;
            let create = room.state_index(step, state, "m.room.create", "")?;
            let own = room.state_index(step, room.head.state, "m.room.create", "")?;
            Ok((create.is_some() && create == own).then_some(state))
        })?;
        state.ok_or_else(missing)
    }
}
