//! Messages that wait for a device (Client-Server API, "Send-to-Device messaging"). Each is in the log, as everything is that a
//! client gets to know by `/sync`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::account::session;
use crate::canonical_json::Object;
use crate::flow::{Notice, Step};
use crate::identifiers::{DeviceId, UserId};
use crate::limits::MAX_WAITING_MESSAGES;
use crate::store::log::{self, LogEntry};
use crate::store::tables::{Position, Table, tags};
use crate::store::{Order, Read, StorageError};

/// A message to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToDeviceMessage {
    pub sender: UserId,
    pub kind: String,
    /// As canonical JSON.
    pub content: Vec<u8>,
}

/// By device, the oldest first.
const WAITING: Table<(UserId, DeviceId, Position), ToDeviceMessage> = Table::new(tags::TO_DEVICE);
/// How many messages wait for a device.
const COUNTS: Table<(UserId, DeviceId), u32> = Table::new(tags::TO_DEVICE_COUNT);

/// The devices that a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    One(DeviceId),
    /// `*`: all of the user's devices.
    All,
}

/// Lays a message down for devices of a local user. A device for which [`MAX_WAITING_MESSAGES`] wait gets no more until it has
/// taken some; one that does not exist gets none.
pub fn deliver(
    step: &mut Step<'_>,
    (sender, kind): (&UserId, &str),
    user_id: &UserId,
    recipients: &Recipients,
    content: &Object,
) -> Result<(), StorageError> {
    let mut devices: Vec<DeviceId> =
        session::devices_of(step, user_id)?.into_iter().map(|(device, _)| device).collect();
    if let Recipients::One(device_id) = recipients {
        devices.retain(|device| device == device_id);
    }
    let message = ToDeviceMessage { sender: sender.clone(), kind: kind.to_string(), content: content.to_bytes() };
    for device_id in devices {
        let waiting = COUNTS.get(step, (user_id, &device_id))?.unwrap_or(0);
        if waiting >= MAX_WAITING_MESSAGES {
            continue;
        }
        let position = step.next_position();
        COUNTS.put(step, (user_id, &device_id), &(waiting + 1));
        WAITING.put(step, (user_id, &device_id, position), &message);
        log::append(step, position, &LogEntry::ToDevice { user_id: user_id.clone(), device_id });
        step.notify(Notice::User(user_id.clone()));
    }
    Ok(())
}

/// The oldest messages that wait for a device, at most `most`, each with its position.
pub fn waiting(
    read: &(impl Read + ?Sized),
    (user_id, device_id): (&UserId, &DeviceId),
    most: usize,
) -> Result<Vec<(Position, ToDeviceMessage)>, StorageError> {
    let mut messages = Vec::new();
    if most == 0 {
        return Ok(messages);
    }
    WAITING.scan::<StorageError>(read, (user_id, device_id), Order::Ascending, |(_, _, position), message| {
        messages.push((position, message));
        Ok(if messages.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(messages)
}

/// The device is no more, and what waits for it is for nobody.
pub fn forget_device(step: &mut Step<'_>, user_id: &UserId, device_id: &DeviceId) -> Result<(), StorageError> {
    for (position, _) in waiting(step, (user_id, device_id), usize::MAX)? {
        WAITING.delete(step, (user_id, device_id, position));
    }
    COUNTS.delete(step, (user_id, device_id));
    Ok(())
}
