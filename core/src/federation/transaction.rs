//! Transactions (Server-Server API, "Transactions"): what is sent to another server in one request.

use alloc::string::String;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

use super::edus::ReceiptEdus;
use super::outgoing::Outgoing;
use crate::canonical_json::{self, Object, Value};
use crate::identifiers::{RoomId, ServerName};
use crate::limits::{MAX_TRANSACTION_EDUS, MAX_TRANSACTION_PDUS, MAX_TRANSACTION_SIZE, TRANSACTION_TIMEOUT};
use crate::room::StoredEvent;
use crate::room::receipts::Receipt;
use crate::signing::base64;
use crate::store::StorageError;
use crate::time::Timestamp;

/// A transaction in the making.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pdus: Vec<Value>,
    edus: Vec<Value>,
    receipts: ReceiptEdus,
    /// In bytes, roughly.
    size: usize,
    /// Over the IDs of the events.
    events: Sha256,
}

impl Contents {
    pub fn is_empty(&self) -> bool {
        self.pdus.is_empty() && self.edus.is_empty() && self.receipts.len() == 0
    }

    /// Whether another event fits, of any size.
    pub fn has_room_for_pdu(&self) -> bool {
        self.pdus.len() < MAX_TRANSACTION_PDUS && self.size < MAX_TRANSACTION_SIZE
    }

    /// How many more EDUs fit.
    pub fn room_for_edus(&self) -> usize {
        MAX_TRANSACTION_EDUS.saturating_sub(self.edus.len() + self.receipts.len())
    }

    pub fn add_pdu(&mut self, event: &StoredEvent) -> Result<(), StorageError> {
        let pdu = canonical_json::parse(&event.json)
            .map_err(|error| StorageError(alloc::format!("the stored event {}: {error}", event.header.event_id)))?;
        self.size += event.json.len();
        self.events.update(event.header.event_id.as_bytes());
        self.pdus.push(pdu);
        Ok(())
    }

    pub fn add_edu(&mut self, edu: Value) {
        self.edus.push(edu);
    }

    pub fn add_receipt(&mut self, room_id: &RoomId, receipt: &Receipt) {
        self.receipts.add(room_id, receipt);
    }

    /// The request that sends it. The transaction ID is a digest of what the transaction holds, so that the same content has the
    /// same ID whenever it is sent again, after a restart too; `salt` tells apart what may be said twice with the same words.
    pub fn request(mut self, origin: &ServerName, now: Timestamp, salt: Option<(u32, u64)>) -> Outgoing {
        self.edus.extend(self.receipts.into_edus());
        let (pdus, edus) = (Value::Array(self.pdus), Value::Array(self.edus));
        let mut hash = self.events;
        hash.update(edus.to_bytes());
        if let Some((boot, serial)) = salt {
            hash.update(boot.to_be_bytes());
            hash.update(serial.to_be_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let id: String = base64::encode_url_safe_unpadded(&digest[..18]);
        let mut body = Object::new().with("origin", origin).with("origin_server_ts", now).with("pdus", pdus);
        if edus.as_array().is_some_and(|edus| !edus.is_empty()) {
            body.insert("edus", edus);
        }
        let target = alloc::format!("/_matrix/federation/v1/send/{id}");
        Outgoing::put(target, body.into()).timeout(TRANSACTION_TIMEOUT)
    }
}
