//! The devices of users of other servers, as far as they are kept here (Server-Server API, "Device Management"): only while a
//! room is shared, because only then their server tells of changes.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use super::cross_signing::{self, Usage};
use super::device_keys::object;
use super::{device_lists, key_shapes};
use crate::canonical_json::Object;
use crate::flow::Step;
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::limits::MAX_REMOTE_DEVICES;
use crate::room::membership;
use crate::store::tables::{Position, Table, tags};
use crate::store::{Order, Read, StorageError};

/// What is known of a user's device list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    synced: Synced,
    /// The greatest `stream_id` that the user's server told of.
    seen: u64,
    /// When the list was asked for: who has not shared a room since then may have changed it unheard.
    asked: Position,
    /// When what the rows of the list say was asked for: answers may overtake each other.
    answered: Position,
    /// When the user's server last told of cross-signing keys.
    keys_told: Option<Position>,
}

/// Whether the rows of a list are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Synced {
    /// No answer has come yet, so nobody here believes anything.
    Never,
    /// As of this `stream_id`.
    UpTo(u64),
    /// They were: what has changed since then is news to those who believe them.
    Lost,
}

impl Synced {
    fn up_to(self) -> Option<u64> {
        match self {
            Self::UpTo(stream_id) => Some(stream_id),
            Self::Never | Self::Lost => None,
        }
    }

    fn lost(self) -> Self {
        match self {
            Self::Never => Self::Never,
            Self::UpTo(_) | Self::Lost => Self::Lost,
        }
    }
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteDevice {
    pub device_id: DeviceId,
    pub keys: Object,
    pub display_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    /// In canonical JSON.
    keys: Vec<u8>,
    display_name: Option<String>,
}

const LISTS: Table<UserId, List> = Table::new(tags::REMOTE_DEVICE_LIST);
const DEVICES: Table<(UserId, DeviceId), Row> = Table::new(tags::REMOTE_DEVICE);

/// A user's whole device list, as their server answers it.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    pub stream_id: u64,
    pub devices: Vec<RemoteDevice>,
    /// Only those that may be public.
    pub cross_signing: Vec<(Usage, Object)>,
}

/// An `m.device_list_update`.
#[derive(Clone, Debug)]
pub struct Update {
    pub user_id: UserId,
    pub device_id: DeviceId,
    pub stream_id: u64,
    pub prev_id: Vec<u64>,
    /// `None` is a device that was deleted, or one without keys.
    pub device: Option<RemoteDevice>,
}

/// What an update leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Nothing more: it was applied, was known already, or nobody here is concerned.
    Done,
    /// There is a gap before it: the list has to be asked for.
    Gap,
}

/// The devices of a user, if they are kept here and right.
pub fn of_user(
    read: &(impl Read + ?Sized),
    own: &ServerName,
    user_id: &UserId,
) -> Result<Option<Vec<RemoteDevice>>, StorageError> {
    let Some(list) = LISTS.get(read, user_id)? else { return Ok(None) };
    if list.synced.up_to().is_none_or(|synced| synced < list.seen) || !is_continuous(read, own, user_id, list.asked)? {
        return Ok(None);
    }
    let mut devices = Vec::new();
    DEVICES.scan::<StorageError>(read, (user_id,), Order::Ascending, |(_, device_id), row| {
        devices.push(RemoteDevice { device_id, keys: object(&row.keys)?, display_name: row.display_name });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Some(devices))
}

/// Whether a room has been shared with the user since the list was asked for.
fn is_continuous(
    read: &(impl Read + ?Sized),
    own: &ServerName,
    user_id: &UserId,
    asked: Position,
) -> Result<bool, StorageError> {
    Ok(membership::shared_since(read, own, user_id)?.is_some_and(|since| since <= asked))
}

/// Forgets all lists, so that each is asked for when it is needed: of whom.
pub fn forget_all(step: &mut Step<'_>) -> Result<Vec<UserId>, StorageError> {
    let mut users = Vec::new();
    LISTS.scan::<StorageError>(step, (), Order::Ascending, |user_id, _| {
        users.push(user_id);
        Ok(ControlFlow::Continue(()))
    })?;
    for user_id in &users {
        LISTS.delete(step, user_id);
    }
    Ok(users)
}

/// The list is about to be asked for: what the answer is to be [taken](answered) as one to. `None` if it is not kept, because no room is
/// shared.
pub fn ask(step: &mut Step<'_>, user_id: &UserId) -> Result<Option<Position>, StorageError> {
    if membership::shared_since(step, &step.config.server_name, user_id)?.is_none() {
        return Ok(None);
    }
    let asked = step.position();
    let list = match LISTS.get(step, user_id)? {
        Some(list) => {
            let is_right = is_continuous(step, &step.config.server_name, user_id, list.asked)?;
            List { synced: if is_right { list.synced } else { list.synced.lost() }, asked, ..list }
        }
        None => List { synced: Synced::Never, seen: 0, asked, answered: Position::default(), keys_told: None },
    };
    LISTS.put(step, user_id, &list);
    Ok(Some(asked))
}

/// The answer to what was [asked](ask). Users who share a room are told if it is news.
pub fn answered(step: &mut Step<'_>, user_id: &UserId, asked: Position, answer: &Answered) -> Result<(), StorageError> {
    let Some(mut list) = LISTS.get(step, user_id)?.filter(|list| list.answered <= asked) else { return Ok(()) };
    let mut before = Vec::new();
    DEVICES.scan::<StorageError>(step, (user_id,), Order::Ascending, |(_, device_id), row| {
        before.push((device_id, row));
        Ok(ControlFlow::Continue(()))
    })?;
    let mut changed = false;
    for (device_id, _) in &before {
        if !answer.devices.iter().any(|device| device.device_id == *device_id) {
            DEVICES.delete(step, (user_id, device_id));
            changed = true;
        }
    }
    for device in answer.devices.iter().take(MAX_REMOTE_DEVICES) {
        changed |= put(step, user_id, device)?;
    }
    for usage in Usage::ALL.into_iter().filter(|usage| usage.is_public()) {
        let key = answer.cross_signing.iter().find(|key| key.0 == usage).map(|key| &key.1);
        changed |= cross_signing::put(step, user_id, usage, key)?;
    }
    let was_known = list.synced != Synced::Never;
    list.answered = asked;
    // Keys that were told of since then may be newer than the answer.
    let is_overtaken = list.keys_told.is_some_and(|told| told > asked);
    let is_continuous = is_continuous(step, &step.config.server_name, user_id, asked)?;
    list.synced = if is_overtaken || !is_continuous { Synced::Lost } else { Synced::UpTo(answer.stream_id) };
    LISTS.put(step, user_id, &list);
    if changed && was_known {
        device_lists::changed(step, user_id)?;
    }
    Ok(())
}

/// Stores a device. Returns whether that is a change.
fn put(step: &mut Step<'_>, user_id: &UserId, device: &RemoteDevice) -> Result<bool, StorageError> {
    let row = Row { keys: device.keys.to_bytes(), display_name: device.display_name.clone() };
    if DEVICES.get(step, (user_id, &device.device_id))?.as_ref() == Some(&row) {
        return Ok(false);
    }
    DEVICES.put(step, (user_id, &device.device_id), &row);
    Ok(true)
}

/// Applies an update if it follows what is kept.
pub fn update(step: &mut Step<'_>, update: &Update) -> Result<Applied, StorageError> {
    let user_id = &update.user_id;
    let own = &step.config.server_name;
    if membership::shared_since(step, own, user_id)?.is_none() {
        return Ok(Applied::Done);
    }
    let list = match LISTS.get(step, user_id)? {
        Some(list) if is_continuous(step, own, user_id, list.asked)? => list,
        // Nobody has asked, so nothing is kept; whoever shares a room may want to ask now.
        _ => {
            device_lists::changed(step, user_id)?;
            return Ok(Applied::Done);
        }
    };
    if list.synced.up_to().is_some_and(|synced| update.stream_id <= synced) {
        return Ok(Applied::Done);
    }
    device_lists::changed(step, user_id)?;
    let follows = |synced: u64| {
        synced >= list.seen && !update.prev_id.is_empty() && update.prev_id.iter().all(|prev| *prev <= synced)
    };
    let seen = list.seen.max(update.stream_id);
    if !list.synced.up_to().is_some_and(follows) || !is_room_for(step, update)? {
        LISTS.put(step, user_id, &List { seen, ..list });
        return Ok(if list.seen < update.stream_id { Applied::Gap } else { Applied::Done });
    }
    match &update.device {
        Some(device) => {
            put(step, user_id, device)?;
        }
        None => DEVICES.delete(step, (user_id, &update.device_id)),
    }
    LISTS.put(step, user_id, &List { synced: Synced::UpTo(update.stream_id), seen, ..list });
    Ok(Applied::Done)
}

fn is_room_for(read: &(impl Read + ?Sized), update: &Update) -> Result<bool, StorageError> {
    let mut others = 0;
    DEVICES.scan::<StorageError>(read, (&update.user_id,), Order::Ascending, |(_, device_id), _| {
        others += usize::from(device_id != update.device_id);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(update.device.is_none() || others < MAX_REMOTE_DEVICES)
}

/// New cross-signing keys of a user, as `m.signing_key_update` tells them. It has no number, so it may be one that was held up, and what
/// came before it the newer: it counts for now, and the list has to be asked for.
pub fn update_signing_keys(
    step: &mut Step<'_>,
    user_id: &UserId,
    keys: &[(Usage, Object)],
) -> Result<Applied, StorageError> {
    if membership::shared_since(step, &step.config.server_name, user_id)?.is_none() {
        return Ok(Applied::Done);
    }
    device_lists::signing_keys_changed(step, user_id)?;
    let mut changed = false;
    for (usage, key) in keys.iter().filter(|key| key.0.is_public()) {
        changed |= cross_signing::put(step, user_id, *usage, Some(key))?;
    }
    let Some(list) = LISTS.get(step, user_id)? else { return Ok(Applied::Done) };
    let synced = if changed { list.synced.lost() } else { list.synced };
    let keys_told = Some(step.position());
    LISTS.put(step, user_id, &List { synced, keys_told, ..list });
    Ok(if changed { Applied::Gap } else { Applied::Done })
}

/// Reads a device as another server describes it; `None` if its keys are not keys of this device.
#[must_use]
pub fn read_device(
    user_id: &UserId,
    device_id: &DeviceId,
    keys: Option<&Object>,
    display_name: Option<&str>,
) -> Option<RemoteDevice> {
    let mut keys = keys?.clone();
    keys.remove("unsigned");
    key_shapes::check_device_keys(&keys, user_id, device_id).ok()?;
    let display_name = display_name.filter(|name| name.len() <= crate::limits::MAX_DEVICE_DISPLAY_NAME);
    Some(RemoteDevice { device_id: device_id.clone(), keys, display_name: display_name.map(String::from) })
}
