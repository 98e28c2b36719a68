//! Events of other servers (Server-Server API, "Checks performed on receipt of a PDU").

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

use super::server_keys::{self, ToVerify};
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::event::{Pdu, ReceivedPdu};
use crate::flow::{Cx, Lane};
use crate::identifiers::{RoomId, ServerName};
use crate::room::receive_next::receive_next;
use crate::room::{Room, Standing};
use crate::room_version::{KeyValidity, RoomVersion};

/// Why an event was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PduError(pub String);

impl fmt::Display for PduError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for PduError {}

/// Checks 1 to 3: format, signatures, hashes. An event whose content hash does not match is redacted; one that fails fails alone.
pub async fn check_pdus(cx: &Cx, version: RoomVersion, events: Vec<Object>) -> Vec<Result<Pdu, PduError>> {
    let rules = version.rules();
    let mut items = Vec::with_capacity(events.len());
    let mut parsed = Vec::with_capacity(events.len());
    for event in events {
        let received = ReceivedPdu::parse(event, version).map_err(|error| PduError(error.to_string()));
        parsed.push(received.and_then(|received| {
            let signers = received.required_signers(rules).ok_or_else(|| PduError("its ID names no server".into()))?;
            let signed_bytes = Bytes::from(received.signed_bytes);
            let count = signers.len();
            items.extend(signers.into_iter().map(|server| ToVerify {
                server,
                object_signatures: received.signatures.clone(),
                signed_bytes: signed_bytes.clone(),
                valid_at: (rules.key_validity == KeyValidity::Enforced).then(|| received.pdu.timestamp()),
            }));
            Ok((received.pdu, received.content_hash_matches, count))
        }));
    }
    let mut good = match server_keys::verify(cx, items).await {
        Ok(good) => good.into_iter(),
        Err(error) => return parsed.into_iter().map(|_| Err(PduError(error.message.clone()))).collect(),
    };
    let judged = parsed.into_iter().map(|parsed| {
        let (pdu, hash_matches, signers) = parsed?;
        if !good.by_ref().take(signers).fold(true, |all, good| all & good) {
            return Err(PduError(alloc::format!("{} lacks a valid signature", pdu.event_id)));
        }
        Ok(if hash_matches { pdu } else { pdu.redacted(rules) })
    });
    judged.collect()
}

/// Checks 4 to 6, and adds the event to its room.
pub async fn receive_pdu(cx: &Cx, _origin: &ServerName, room_id: &RoomId, pdu: Pdu) -> Result<Standing, PduError> {
    let _lane = cx.lane(Lane::Room(room_id.clone())).await;
    let received = cx.step(|step| {
        let room = Room::find(step, room_id)?.filter(Room::is_resident);
        let mut room = room.ok_or_else(|| ApiError::not_found("This server is not in the room"))?;
        match room.event(step, &pdu.event_id)? {
            Some(event) if !event.header.outlier => Ok(event.header.standing),
            _ => receive_next(step, &mut room, &pdu),
        }
    });
    received.map_err(|error| PduError(error.message))
}
