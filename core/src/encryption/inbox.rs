//! The messages that wait for devices of this server (Client-Server API, "Send-to-Device messaging"). A message stays until a
//! later sync shows that its device has it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::canonical_json::Object;
use crate::flow::{Notice, Step};
use crate::identifiers::{DeviceId, UserId};
use crate::limits::{MAX_TO_DEVICE_TRANSACTIONS, MAX_TO_DEVICE_WAITING};
use crate::store::log::{self, LogEntry};
use crate::store::tables::{Position, Table, tags};
use crate::store::{Order, Read, StorageError};

/// A message to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub sender: UserId,
    pub kind: String,
    /// In canonical JSON.
    pub content: Vec<u8>,
}

/// By user, device and arrival.
const MESSAGES: Table<(UserId, DeviceId, Position), Message> = Table::new(tags::TO_DEVICE);
/// How many wait for a device.
const WAITING: Table<(UserId, DeviceId), u32> = Table::new(tags::TO_DEVICE_COUNT);
/// The hashes of a device's last transactions, oldest first.
const TRANSACTIONS: Table<(UserId, DeviceId), Vec<[u8; 16]>> = Table::new(tags::TO_DEVICE_TRANSACTION);

fn hash(parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

/// Delivers messages of one kind by one sender, at most one for each device, all at one position.
pub fn deliver(
    step: &mut Step<'_>,
    (sender, kind): (&UserId, &str),
    messages: &[(UserId, DeviceId, &Object)],
) -> Result<(), StorageError> {
    if messages.is_empty() {
        return Ok(());
    }
    let position = step.next_position();
    let mut recipients: Vec<UserId> = Vec::new();
    for (user_id, device_id, content) in messages {
        let message = Message { sender: sender.clone(), kind: kind.to_string(), content: content.to_bytes() };
        MESSAGES.put(step, (user_id, device_id, position), &message);
        let waiting = WAITING.get(step, (user_id, device_id))?.unwrap_or(0);
        if waiting < MAX_TO_DEVICE_WAITING {
            WAITING.put(step, (user_id, device_id), &(waiting + 1));
        } else if let Some(oldest) = first(step, user_id, device_id)? {
            MESSAGES.delete(step, (user_id, device_id, oldest));
        }
        if !recipients.contains(user_id) {
            recipients.push(user_id.clone());
            step.notify(Notice::User(user_id.clone()));
        }
    }
    log::append(step, position, &LogEntry::ToDevice { recipients });
    Ok(())
}

/// The arrival of the oldest message that waits.
fn first(
    read: &(impl Read + ?Sized),
    user_id: &UserId,
    device_id: &DeviceId,
) -> Result<Option<Position>, StorageError> {
    let mut first = None;
    MESSAGES.scan::<StorageError>(read, (user_id, device_id), Order::Ascending, |key, _| {
        first = Some(key.2);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first)
}

/// The messages that arrived with `after < position <= until`, oldest first, at most `limit`, with their arrivals.
pub fn between(
    read: &(impl Read + ?Sized),
    (user_id, device_id): (&UserId, &DeviceId),
    (after, until): (Position, Position),
    limit: usize,
) -> Result<Vec<(Position, Message)>, StorageError> {
    let mut found = Vec::new();
    if after >= until {
        return Ok(found);
    }
    let from = (user_id, device_id, Position(after.0 + 1));
    let to = (user_id, device_id, Position(until.0.saturating_add(1)));
    MESSAGES.scan_range::<StorageError>(read, from, Some(to), Order::Ascending, |(_, _, position), message| {
        found.push((position, message));
        Ok(if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(found)
}

/// Whether anything waits that a device which has everything up to a position does not need any more.
pub fn is_acknowledged(
    read: &(impl Read + ?Sized),
    (user_id, device_id): (&UserId, &DeviceId),
    up_to: Position,
) -> Result<bool, StorageError> {
    Ok(first(read, user_id, device_id)?.is_some_and(|first| first <= up_to))
}

/// A device has everything up to a position.
pub fn acknowledge(
    step: &mut Step<'_>,
    (user_id, device_id): (&UserId, &DeviceId),
    up_to: Position,
) -> Result<(), StorageError> {
    let gone = between(step, (user_id, device_id), (Position(0), up_to), usize::MAX)?;
    for (position, _) in &gone {
        MESSAGES.delete(step, (user_id, device_id, position));
    }
    let waiting = WAITING.get(step, (user_id, device_id))?.unwrap_or(0);
    let gone = u32::try_from(gone.len()).unwrap_or(u32::MAX);
    WAITING.put(step, (user_id, device_id), &waiting.saturating_sub(gone));
    Ok(())
}

/// Takes note of a device's transaction. `false` if it is known: its messages were delivered.
pub fn begin_transaction(
    step: &mut Step<'_>,
    (user_id, device_id): (&UserId, &DeviceId),
    (kind, transaction_id): (&str, &str),
) -> Result<bool, StorageError> {
    let mut known = TRANSACTIONS.get(step, (user_id, device_id))?.unwrap_or_default();
    let hash = hash(&[kind, transaction_id]);
    if known.contains(&hash) {
        return Ok(false);
    }
    if known.len() >= MAX_TO_DEVICE_TRANSACTIONS {
        known.remove(0);
    }
    known.push(hash);
    TRANSACTIONS.put(step, (user_id, device_id), &known);
    Ok(true)
}

/// Deletes what waits for a device, and what is remembered of what it sent.
pub(super) fn forget(step: &mut Step<'_>, user_id: &UserId, device_id: &DeviceId) -> Result<(), StorageError> {
    let waiting = between(step, (user_id, device_id), (Position(0), Position(u64::MAX)), usize::MAX)?;
    for (position, _) in waiting {
        MESSAGES.delete(step, (user_id, device_id, position));
    }
    WAITING.delete(step, (user_id, device_id));
    TRANSACTIONS.delete(step, (user_id, device_id));
    Ok(())
}
