//! An event as it arrives from another server, with what is needed to check it (Server-Server API, "Checks performed on receipt
//! of a PDU").

use alloc::vec::Vec;
use sha2::{Digest, Sha256};

use super::content::Membership;
use super::format::{self, FormatError, Header};
use super::members::{Layout, Member, write_object};
use super::pdu::{self, Pdu};
use super::redaction;
use crate::canonical_json::Object;
use crate::identifiers::ServerName;
use crate::limits::MAX_PREV_EVENTS;
use crate::room_version::{RoomVersion, RoomVersionRules};
use crate::signing::base64;

/// An event that has passed check 1, its format. Checks 2 (signatures) and 3 (hashes) are the caller's: every server of
/// [`ReceivedPdu::required_signers`] must have signed [`ReceivedPdu::signed_bytes`], or the event is dropped; if the content
/// hash does not match, [`Pdu::redacted`] takes the event's place.
#[derive(Clone, Debug)]
pub struct ReceivedPdu {
    pub pdu: Pdu,
    /// `signatures`: objects of strings, by entity.
    pub signatures: Object,
    /// What signatures cover.
    pub signed_bytes: Vec<u8>,
    pub content_hash_matches: bool,
}

impl ReceivedPdu {
    /// Checks the format and computes ID and hashes.
    pub fn parse(event: Object, version: RoomVersion) -> Result<ReceivedPdu, FormatError> {
        ReceivedPdu::parse_with(event, version, MAX_PREV_EVENTS)
    }

    /// The same for events of the past: before there was a limit, some had more previous events, and they are still in the graphs of
    /// their rooms (Server-Server API, `GET /backfill/{roomId}`). Their size is limit enough.
    pub fn parse_history(event: Object, version: RoomVersion) -> Result<ReceivedPdu, FormatError> {
        ReceivedPdu::parse_with(event, version, usize::MAX)
    }

    fn parse_with(
        mut event: Object,
        version: RoomVersion,
        most_prev_events: usize,
    ) -> Result<ReceivedPdu, FormatError> {
        let rules = version.rules();
        event.remove("unsigned");
        if rules.strict_canonical_json {
            event.require_strict().map_err(FormatError::NotCanonical)?;
        }
        let mut json = Vec::with_capacity(1024);
        let layout = Layout::encode(&event, "unsigned", &mut json);
        format::check_size(json.len())?;
        let Header { event_id, parts, signatures, sha256: claimed } = format::check(event, rules, most_prev_events)?;

        let signed_bytes = redaction::signed_bytes(layout.members(&json), &parts.kind, &parts.content, rules);
        let event_id = pdu::event_id(event_id, &sha256(&signed_bytes), rules);
        let content_hash_matches = base64::decode_array(&claimed) == Ok(content_hash(layout.members(&json)));
        let content_at = layout.place(&json, "content").expect("checked with the format");
        let pdu = Pdu::from_parts(parts, event_id, json, content_at);
        Ok(ReceivedPdu { pdu, signatures, signed_bytes, content_hash_matches })
    }

    /// The servers that must have signed the event, or it is dropped (Server-Server API, "Validating hashes and signatures on
    /// received events"): the sender's, unless the event is an invite by a third party's token, and the event ID's in versions
    /// where events state it. The signature that [`Pdu::authorising_server`] asks for is a matter of the authorization rules.
    ///
    /// `None` if the event ID names no server: then nobody can have signed for it.
    #[must_use]
    pub fn required_signers(&self, rules: &RoomVersionRules) -> Option<Vec<ServerName>> {
        let pdu = &self.pdu;
        let mut signers = Vec::with_capacity(2);
        let invite = pdu.membership() == Some(Membership::Invite);
        if !(invite && pdu.content.contains("third_party_invite")) {
            signers.push(pdu.sender.server_name());
        }
        if rules.event_id_server_signs {
            let (_, server) = pdu.event_id.split_once(':')?;
            let server = ServerName::parse(server).ok()?;
            if !signers.contains(&server) {
                signers.push(server);
            }
        }
        Some(signers)
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The content hash (Server-Server API, "Calculating the content hash for an event") of an event's members without `unsigned`.
pub(super) fn content_hash<'a>(members: impl Iterator<Item = Member<'a>>) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(1024);
    write_object(members.filter(|member| !matches!(member.name, b"hashes" | b"signatures")), &mut bytes);
    sha256(&bytes)
}
