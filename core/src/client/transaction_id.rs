//! Transaction IDs (Client-Server API, "Transaction identifiers"): a retried request has the effect and the answer of the
//! first, per device and endpoint, across restarts.

use sha2::{Digest, Sha256};

use super::request::ClientRequest;
use crate::error::ApiError;
use crate::flow::Step;
use crate::identifiers::EventId;
use crate::room::{Appended, EventIndex, StoredEvent};
use crate::store::tables::{RoomNum, Table, tags};

/// By hash of device and endpoint with the transaction ID: the event that the first request made.
const TRANSACTIONS: Table<[u8; 16], (RoomNum, EventIndex)> = Table::new(tags::TRANSACTION);

/// What a request with a transaction ID is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionKey([u8; 16]);

impl TransactionKey {
    /// The request's path names endpoint, room and transaction ID alike; decoded, since clients encode it in several ways.
    #[must_use]
    pub fn of(request: &ClientRequest, endpoint: &str) -> TransactionKey {
        let requester = request.requester();
        let mut hash = Sha256::new();
        let parts = [requester.user_id.as_str(), requester.device_id.as_str(), endpoint];
        for part in parts.into_iter().chain(request.params.iter().map(|param| param.as_str())) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        TransactionKey(key)
    }

    /// The event that this transaction made before, if it did.
    pub fn find(self, step: &Step<'_>) -> Result<Option<EventId>, ApiError> {
        match TRANSACTIONS.get(step, self.0)? {
            Some((room, index)) => Ok(Some(StoredEvent::expect(step, room, index)?.header.event_id)),
            None => Ok(None),
        }
    }

    pub fn record(self, step: &mut Step<'_>, room: RoomNum, appended: &Appended) {
        TRANSACTIONS.put(step, self.0, &(room, appended.index));
    }
}
