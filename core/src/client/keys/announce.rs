//! Telling other servers of changes of a user's devices and keys (Server-Server API, "Device Management", "End-to-End
//! Encryption"): those that share a room with the user.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::canonical_json::Object;
use crate::client::account::session::DEVICES;
use crate::encryption::cross_signing::{self, Usage};
use crate::encryption::{device_keys, device_lists};
use crate::federation::edus;
use crate::flow::Step;
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::room::{membership, servers};
use crate::store::StorageError;
use crate::{error::ApiError, store::Read};

/// The other servers that share a room with a user.
fn servers_of(
    read: &(impl Read + ?Sized),
    own: &ServerName,
    user_id: &UserId,
) -> Result<BTreeSet<ServerName>, StorageError> {
    let mut found = BTreeSet::new();
    for room in membership::joined_rooms_of(read, user_id)? {
        let servers = servers::servers_since(read, room)?;
        found.extend(servers.into_iter().map(|(server, _)| server).filter(|server| server != own));
    }
    Ok(found)
}

fn queue(step: &mut Step<'_>, user_id: &UserId, kind: &str, content: &Object) -> Result<(), ApiError> {
    if !step.config.federation.enabled {
        return Ok(());
    }
    for server in servers_of(step, &step.config.server_name, user_id)? {
        match edus::queue_edu(step, &server, kind, content) {
            // A server for which so much waits asks for the whole list when it is back: the sequence has a gap.
            Err(error) if error.status == 429 => {}
            other => other?,
        }
    }
    Ok(())
}

/// Tells what has become of a device: its keys and its name, or that it is no more.
pub fn device_changed(step: &mut Step<'_>, user_id: &UserId, device_id: &DeviceId) -> Result<(), ApiError> {
    let version = device_lists::version(step, user_id)?;
    let prev_id: Vec<u64> = version.previous.into_iter().map(|position| position.0).collect();
    let prev_id: Vec<_> = prev_id.into_iter().map(crate::canonical_json::Value::from).collect();
    let mut content = Object::new()
        .with("device_id", device_id)
        .with("prev_id", prev_id)
        .with("stream_id", version.stream.0)
        .with("user_id", user_id);
    match device_keys::get(step, user_id, device_id)? {
        None => {
            content.insert("deleted", true);
        }
        Some(mut keys) => {
            cross_signing::attach(step, &mut keys, (user_id, device_id), None)?;
            content.insert("keys", keys);
            let name = DEVICES.get(step, (user_id, device_id))?.and_then(|device| device.display_name);
            if let Some(name) = name {
                content.insert("device_display_name", name);
            }
        }
    }
    queue(step, user_id, "m.device_list_update", &content)
}

/// Tells a user's master and self-signing keys.
pub fn signing_keys_changed(step: &mut Step<'_>, user_id: &UserId) -> Result<(), ApiError> {
    let mut content = Object::new().with("user_id", user_id);
    for usage in Usage::ALL.into_iter().filter(|usage| usage.is_public()) {
        if let Some(key) = cross_signing::visible(step, user_id, usage, None)? {
            content.insert(usage.member(), key);
        }
    }
    queue(step, user_id, "m.signing_key_update", &content)
}
