//! The state before an event whose history is not known here, as another server tells it (Server-Server API, "Retrieving
//! events", `/state_ids` and `/state`).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use super::fetch_events::Asked;
use super::outgoing::{Outgoing, RemoteError};
use super::receive_pdu::PduError;
use crate::canonical_json::Value;
use crate::http::percent_encode;
use crate::identifiers::EventId;
use crate::limits::STATE_EVENTS_ONE_BY_ONE;
use crate::room::StoredEvent;
use crate::store::state_map::StateId;

impl Asked<'_> {
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
