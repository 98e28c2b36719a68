//! Telling other servers of changes of a user's devices and keys (Server-Server API, "Device Management", "End-to-End
//! Encryption"): those that share a room with the user.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::restored;
use crate::canonical_json::{Object, Value};
use crate::client::account::accounts;
use crate::client::account::session::DEVICES;
use crate::encryption::cross_signing::{self, Usage};
use crate::encryption::device_lists::Version;
use crate::encryption::{device_keys, device_lists, list_changes, list_readers};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::federation::edus;
use crate::flow::Step;
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::room::{Room, membership, servers};
use crate::store::tables::{Position, RoomNum};
use crate::store::{Read, StorageError};

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

/// The servers that are told of changes of a user's devices: none if this server talks with no other.
fn told_of(step: &mut Step<'_>, user_id: &UserId) -> Result<BTreeSet<ServerName>, StorageError> {
    if !step.config.federation.enabled {
        return Ok(BTreeSet::new());
    }
    let mut servers = servers_of(step, &step.config.server_name, user_id)?;
    servers.extend(list_readers::recent(step, user_id)?);
    Ok(servers)
}

/// Tells of a change.
fn queue(step: &mut Step<'_>, user_id: &UserId, kind: &str, content: &Object) -> Result<(), ApiError> {
    if step.config.federation.enabled {
        list_changes::note(step, user_id);
    }
    let servers = told_of(step, user_id)?;
    queue_for(step, servers, kind, content)
}

fn queue_for(step: &mut Step<'_>, servers: BTreeSet<ServerName>, kind: &str, content: &Object) -> Result<(), ApiError> {
    for server in servers {
        match edus::queue_edu(step, &server, kind, content) {
            // A server for which so much waits asks for the whole list when it is back: the sequence has a gap.
            Err(error) if error.status == 429 => {}
            other => other?,
        }
    }
    Ok(())
}

/// A user of this server has come into a room, or was in it already: tells servers that shared no room with them before. One
/// device is enough: whoever does not know what went before it asks for all. The signing keys are no part of that sequence.
pub fn joined(step: &mut Step<'_>, user_id: &UserId, room: RoomNum) -> Result<(), ApiError> {
    let own = &step.config.server_name;
    let is_new = membership::of(step, user_id, room)?.is_some_and(|row| row.joined_at == Some(row.position));
    if !is_new || !step.config.federation.enabled {
        return Ok(());
    }
    let in_room = servers::servers_since(step, room)?;
    let mut told: BTreeSet<ServerName> =
        in_room.into_iter().map(|(server, _)| server).filter(|server| server != own).collect();
    if told.is_empty() {
        return Ok(());
    }
    // Of one who never had a device there is nothing to tell.
    if device_lists::version(step, user_id)?.stream == Position::default() {
        return Ok(());
    }
    for other in membership::joined_rooms_of(step, user_id)?.into_iter().filter(|other| *other != room) {
        for (server, _) in servers::servers_since(step, other)? {
            told.remove(&server);
        }
    }
    // Who knew the list before rooms were last shared may have missed changes of other devices, and takes this for none of them.
    tell_of_gap(step, user_id, told)
}

/// A server has come into a room, as far as this one knows. It may know the devices of those here who were in the room already, and
/// think that it was told of every change: where it `joins`, only of those who changed something lately, or if what it knows was lost
/// with an older store; otherwise it may never have been out, as it sees it. Whoever comes into a room themself tells of themself
/// ([`joined`]).
pub fn came_in(step: &mut Step<'_>, server: &ServerName, room: RoomNum, joins: bool) -> Result<(), ApiError> {
    if !step.config.federation.enabled {
        return Ok(());
    }
    let room = Room::expect(step, room)?;
    let Some(since) = servers::since(step, &room, server)? else { return Ok(()) };
    // Where this server has just come in itself, all others have come in with that.
    if servers::since(step, &room, &step.config.server_name)?.is_none_or(|own| own >= since) {
        return Ok(());
    }
    let users =
        if joins && !restored::is_recent(step)? { list_changes::recent(step)? } else { accounts::all_users(step)? };
    for user_id in users {
        let row = membership::of(step, &user_id, room.num)?.filter(|row| row.membership == Membership::Join);
        if row.and_then(|row| row.joined_at).is_some_and(|joined_at| joined_at < since) {
            tell_of_gap(step, &user_id, [server.clone()].into())?;
        }
    }
    Ok(())
}

/// The store is an older one, and others may know what it does not: says of one device what is known of it, as something that comes
/// after what nobody was ever told, so that they ask for all.
pub fn restored(step: &mut Step<'_>, user_id: &UserId) -> Result<(), ApiError> {
    let told = told_of(step, user_id)?;
    tell_of_gap(step, user_id, told)
}

/// Tells servers of one device as something that follows what only they have who have missed nothing, and of the signing keys.
fn tell_of_gap(step: &mut Step<'_>, user_id: &UserId, told: BTreeSet<ServerName>) -> Result<(), ApiError> {
    let device_id = match device_keys::of_user(step, user_id)?.pop() {
        Some((device_id, _)) => device_id,
        // They have none any more, or a backup has none of theirs. One that there never was is as good.
        None => DeviceId::parse("NONE").map_err(|_| ApiError::internal("The name of a device"))?,
    };
    let content = device_update(step, user_id, &device_id, |version| Some(version.stream))?;
    queue_for(step, told.clone(), "m.device_list_update", &content)?;
    let content = signing_keys(step, user_id)?;
    if content.len() > 1 { queue_for(step, told, "m.signing_key_update", &content) } else { Ok(()) }
}

/// Tells what has become of a device: its keys and its name, or that it is no more.
pub fn device_changed(step: &mut Step<'_>, user_id: &UserId, device_id: &DeviceId) -> Result<(), ApiError> {
    let content = device_update(step, user_id, device_id, |version| version.previous)?;
    queue(step, user_id, "m.device_list_update", &content)
}

/// The content of an `m.device_list_update`, which says that it comes after what it `follows`.
fn device_update(
    step: &Step<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
    follows: fn(&Version) -> Option<Position>,
) -> Result<Object, StorageError> {
    let version = device_lists::version(step, user_id)?;
    let prev_id: Vec<Value> = follows(&version).into_iter().map(|position| Value::from(position.0)).collect();
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
    Ok(content)
}

/// Tells a user's master and self-signing keys.
pub fn signing_keys_changed(step: &mut Step<'_>, user_id: &UserId) -> Result<(), ApiError> {
    let content = signing_keys(step, user_id)?;
    queue(step, user_id, "m.signing_key_update", &content)
}

/// The content of an `m.signing_key_update`.
fn signing_keys(step: &Step<'_>, user_id: &UserId) -> Result<Object, StorageError> {
    let mut content = Object::new().with("user_id", user_id);
    for usage in Usage::ALL.into_iter().filter(|usage| usage.is_public()) {
        if let Some(key) = cross_signing::visible(step, user_id, usage, None)? {
            content.insert(usage.member(), key);
        }
    }
    Ok(content)
}
