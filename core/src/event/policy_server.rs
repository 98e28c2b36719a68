//! The policy server that an `m.room.policy` names (Server-Server API, "Policy Servers"), and what it says of an event.

use super::pdu::Pdu;
use crate::canonical_json::Object;
use crate::error::ApiError;
use crate::identifiers::ServerName;
use crate::room_version::RoomVersion;
use crate::signing::base64;

/// The key ID of every policy server's signatures.
pub const POLICY_KEY_ID: &str = "ed25519:policy_server";

/// A policy server, by its name and by the key of its signatures in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyServer {
    pub via: ServerName,
    /// `None` if what the room gives is not a key: then no signature is good.
    pub key: Option<[u8; 32]>,
}

impl PolicyServer {
    /// The server that the content of an `m.room.policy` names, if the content is valid.
    #[must_use]
    pub fn of(content: &Object) -> Option<PolicyServer> {
        let via = content.str("via")?;
        let key = content.object("public_keys")?.str("ed25519")?;
        // What is not a server name has no users, and so is in no room.
        let via = ServerName::parse(via).ok()?;
        Some(PolicyServer { via, key: base64::decode_array(key).ok() })
    }

    /// Whether an event of this type and state key needs no word of a policy server: the one that sets it, so that a room can
    /// always do without.
    #[must_use]
    pub fn is_exempt(kind: &str, state_key: Option<&str>) -> bool {
        kind == "m.room.policy" && state_key == Some("")
    }
}

/// What a policy server says of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    pub by: PolicyServer,
    /// The event has its signature, which is good; or why not, as a client is told it.
    pub result: Result<(), ApiError>,
}

impl Recommendation {
    /// The event has the signature of `by`, which was checked.
    #[must_use]
    pub fn signed(by: PolicyServer) -> Recommendation {
        Recommendation { by, result: Ok(()) }
    }
}

/// An event of this server that may become part of its room once the room's policy server has signed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub pdu: Pdu,
    pub version: RoomVersion,
    pub to: PolicyServer,
}

/// An event of this server, as its policy server knows it: with its signature, or as it was when the server did not sign it.
#[derive(Clone, Debug, PartialEq)]
pub struct Consulted {
    pub pdu: Pdu,
    pub recommendation: Recommendation,
}
