//! Who changed their devices, and when (Client-Server API, "Tracking the device list for a user"; Server-Server API, "Device
//! Management").

use alloc::collections::BTreeSet;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use crate::flow::{Notice, Step};
use crate::identifiers::UserId;
use crate::store::log::{self, LogEntry};
use crate::store::tables::{Position, Table, tags};
use crate::store::{Order, Read, StorageError};

/// When a user's device list changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The last change of devices or of cross-signing keys.
    last: Position,
    /// The last change of a device: the `stream_id` that other servers know it by.
    pub stream: Position,
    /// The change of a device before it.
    pub previous: Option<Position>,
}

const VERSIONS: Table<UserId, Version> = Table::new(tags::DEVICE_LIST);
/// Each user has one row: their last change.
const BY_POSITION: Table<Position, UserId> = Table::new(tags::DEVICE_LIST_BY_POSITION);

/// Writes down that a device of a user changed, and tells those who share a room with them.
pub fn changed(step: &mut Step<'_>, user_id: &UserId) -> Result<(), StorageError> {
    note(step, user_id, true)
}

/// The same of a user's cross-signing keys, which is not part of the sequence of device changes.
pub fn signing_keys_changed(step: &mut Step<'_>, user_id: &UserId) -> Result<(), StorageError> {
    note(step, user_id, false)
}

fn note(step: &mut Step<'_>, user_id: &UserId, is_device: bool) -> Result<(), StorageError> {
    let before = VERSIONS.get(step, user_id)?;
    if let Some(before) = before {
        BY_POSITION.delete(step, before.last);
    }
    let last = step.next_position();
    let Version { stream, previous, .. } = before.unwrap_or_default();
    let version = if is_device {
        Version { last, stream: last, previous: Some(stream).filter(|stream| *stream != Position(0)) }
    } else {
        Version { last, stream, previous }
    };
    VERSIONS.put(step, user_id, &version);
    BY_POSITION.put(step, last, user_id);
    log::append(step, last, &LogEntry::DeviceList { user_id: user_id.clone() });
    step.notify(Notice::DeviceList(user_id.clone()));
    Ok(())
}

/// The version of a user's device list; the default if it never changed.
pub fn version(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Version, StorageError> {
    Ok(VERSIONS.get(read, user_id)?.unwrap_or_default())
}

/// The users whose device lists changed after a position.
pub fn changed_since(read: &(impl Read + ?Sized), after: Position) -> Result<BTreeSet<UserId>, StorageError> {
    let mut users = BTreeSet::new();
    let from = Position(after.0.saturating_add(1));
    BY_POSITION.scan_range::<StorageError>(read, from, None::<()>, Order::Ascending, |_, user_id| {
        users.insert(user_id);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(users)
}
