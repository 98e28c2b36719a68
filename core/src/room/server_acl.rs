//! Server access control lists (Client-Server API, "m.room.server_acl"; Server-Server API, "Server Access Control Lists
//! (ACLs)"): which servers may take part in a room.
//!
//! They are judged by the room's current state, on every endpoint that names a room. A room without a list costs one lookup.

use alloc::string::String;
use alloc::vec::Vec;

use super::state::Room;
use crate::canonical_json::{Object, Value};
use crate::error::ApiError;
use crate::identifiers::ServerName;
use crate::store::{Read, StorageError};

/// A list as it is asked. Contents come from anybody: whatever is not what the specification says counts as absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAcl {
    allow_ip_literals: bool,
    // Both in lower case.
    allow: Vec<String>,
    deny: Vec<String>,
}

impl ServerAcl {
    #[must_use]
    pub fn of(content: &Object) -> ServerAcl {
        let patterns = |name: &str| {
            let patterns = content.array(name).unwrap_or_default().iter().filter_map(Value::as_str);
            patterns.map(str::to_ascii_lowercase).collect()
        };
        ServerAcl {
            allow_ip_literals: content.bool("allow_ip_literals") != Some(false),
            allow: patterns("allow"),
            deny: patterns("deny"),
        }
    }

    #[must_use]
    pub fn allows(&self, server: &ServerName) -> bool {
        if !self.allow_ip_literals && server.ip_address().is_some() {
            return false;
        }
        let host = server.host().to_ascii_lowercase();
        let one_of = |patterns: &[String]| patterns.iter().any(|pattern| glob(pattern.as_bytes(), host.as_bytes()));
        !one_of(&self.deny) && one_of(&self.allow)
    }
}

/// The list in force; `None` lets everybody in.
pub fn of(read: &(impl Read + ?Sized), room: &Room) -> Result<Option<ServerAcl>, StorageError> {
    Ok(room.current_content(read, "m.room.server_acl", "")?.as_ref().map(ServerAcl::of))
}

/// Whether `server` may take part in the room.
pub fn allows(read: &(impl Read + ?Sized), room: &Room, server: &ServerName) -> Result<bool, StorageError> {
    Ok(of(read, room)?.is_none_or(|list| list.allows(server)))
}

/// Refuses a server that may not take part with `403 M_FORBIDDEN`.
pub fn require(read: &(impl Read + ?Sized), room: &Room, server: &ServerName) -> Result<(), ApiError> {
    if allows(read, room, server)? {
        return Ok(());
    }
    Err(ApiError::forbidden("The room's access control list does not let your server take part"))
}

/// Glob-style matching (Appendices): `*` is any number of characters, `?` is one. The time is at most the product of the
/// lengths, and a server name has few bytes.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Greedy: a `*` that took too little is the only thing ever to go back to.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                star = Some((p, t));
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((after, taken)) = star else { return false };
                (p, t) = (after, taken + 1);
                star = Some((p, t));
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
