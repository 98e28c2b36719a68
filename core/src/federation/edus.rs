//! EDUs on their way to other servers (Server-Server API, "EDUs"). Some must not be lost: messages to devices, and what tells of
//! devices and their keys. Those are stored for each destination until it has them. The others live in memory, and only the last
//! word of each counts.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

use crate::canonical_json::{self, Object, Value};
use crate::error::ApiError;
use crate::flow::{Notice, Step};
use crate::identifiers::{RoomId, ServerName, UserId};
use crate::limits::{MAX_EPHEMERAL_EDUS, MAX_QUEUED_EDUS};
use crate::store::tables::{Table, Write, tags};
use crate::store::{Order, Read, StorageError};

/// An EDU that waits for its destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct QueuedEdu {
    kind: String,
    /// As canonical JSON.
    content: Vec<u8>,
}

/// By destination and number, the oldest first.
const QUEUED: Table<(ServerName, u64), QueuedEdu> = Table::new(tags::QUEUED_EDU);

/// Stores an EDU for another server, which gets it however long that takes: `m.device_list_update`, `m.signing_key_update`.
/// `429 M_LIMIT_EXCEEDED` if too many wait for that server already.
pub fn queue_edu(step: &mut Step<'_>, destination: &ServerName, kind: &str, content: &Object) -> Result<(), ApiError> {
    let (mut first, mut last) = (None, None);
    for (order, found) in [(Order::Ascending, &mut first), (Order::Descending, &mut last)] {
        QUEUED.scan::<StorageError>(step, (destination,), order, |(_, number), _| {
            *found = Some(number);
            Ok(ControlFlow::Break(()))
        })?;
    }
    if let (Some(first), Some(last)) = (first, last)
        && last - first >= MAX_QUEUED_EDUS
    {
        return Err(ApiError::new(
            429,
            "M_LIMIT_EXCEEDED",
            "Too much waits for the other server, which does not answer",
        ));
    }
    let number = last.map_or(0, |last| last + 1);
    QUEUED.put(step, (destination, number), &QueuedEdu { kind: kind.to_string(), content: content.to_bytes() });
    step.notify(Notice::QueuedEdu(destination.clone()));
    Ok(())
}

/// Stores messages to devices of another server's users: `messages` has them by user and device (Server-Server API,
/// "Send-to-device messaging"). The server gets them once each, under an ID of their own.
pub fn queue_to_device(
    step: &mut Step<'_>,
    destination: &ServerName,
    (sender, kind): (&UserId, &str),
    messages: Object,
) -> Result<(), ApiError> {
    let content = Object::new()
        .with("message_id", step.random.token(24))
        .with("messages", messages)
        .with("sender", sender)
        .with("type", kind);
    queue_edu(step, destination, "m.direct_to_device", &content)
}

/// The oldest EDUs that are stored for a destination, with their numbers.
pub(super) fn queued(
    read: &(impl Read + ?Sized),
    destination: &ServerName,
    (most, most_bytes): (usize, usize),
) -> Result<Vec<(u64, Value)>, StorageError> {
    let mut found = Vec::new();
    let mut bytes = 0;
    QUEUED.scan::<StorageError>(read, (destination,), Order::Ascending, |(_, number), edu| {
        bytes += edu.content.len();
        let content = canonical_json::parse(&edu.content)
            .map_err(|error| StorageError(alloc::format!("a queued EDU for {destination}: {error}")))?;
        found.push((number, object(&edu.kind, content)));
        Ok(if found.len() < most && bytes < most_bytes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(found)
}

/// The destination has these.
pub(super) fn forget(write: &mut (impl Write + ?Sized), destination: &ServerName, numbers: &[u64]) {
    for number in numbers {
        QUEUED.delete(write, (destination, number));
    }
}

/// Every destination for which something is stored.
pub(super) fn destinations(read: &(impl Read + ?Sized)) -> Result<Vec<ServerName>, StorageError> {
    let mut found: Vec<ServerName> = Vec::new();
    loop {
        let mut next = None;
        let visit = |(destination, _), _| {
            next = Some(destination);
            Ok(ControlFlow::Break(()))
        };
        match found.last() {
            None => QUEUED.scan::<StorageError>(read, (), Order::Ascending, visit)?,
            Some(last) => {
                let after = (last, u64::MAX);
                QUEUED.scan_range::<StorageError>(read, after, None::<()>, Order::Ascending, visit)?;
            }
        }
        match next {
            Some(next) => found.push(next),
            None => return Ok(found),
        }
    }
}

fn object(kind: &str, content: impl Into<Value>) -> Value {
    Object::new().with("content", content).with("edu_type", kind).into()
}

/// What a destination is to be told of the moment: who types, who is there. Lost if the destination does not answer, because by
/// then it is no longer true.
#[derive(Debug, Default)]
pub struct Ephemeral {
    typing: BTreeMap<(RoomId, UserId), bool>,
    presence: BTreeMap<UserId, Object>,
}

impl Ephemeral {
    /// Beyond [`MAX_EPHEMERAL_EDUS`] who begins to type is not told; who stops is, once it was told that they began.
    pub fn typing(&mut self, room_id: &RoomId, user_id: &UserId, typing: bool) {
        if self.typing.len() < MAX_EPHEMERAL_EDUS || !typing {
            self.typing.insert((room_id.clone(), user_id.clone()), typing);
        }
    }

    /// `update` is an item of `push`. Beyond [`MAX_EPHEMERAL_EDUS`] it is not told.
    pub fn presence(&mut self, user_id: &UserId, update: Object) {
        if self.presence.len() < MAX_EPHEMERAL_EDUS || self.presence.contains_key(user_id) {
            self.presence.insert(user_id.clone(), update);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.typing.is_empty() && self.presence.is_empty()
    }

    /// Takes what fits in `most` EDUs.
    pub(super) fn take(&mut self, most: usize) -> Vec<Value> {
        let mut edus = Vec::new();
        while edus.len() + 1 < most
            && let Some(((room_id, user_id), typing)) = self.typing.pop_first()
        {
            let content = Object::new().with("room_id", &room_id).with("typing", typing).with("user_id", &user_id);
            edus.push(object("m.typing", content));
        }
        if most > 0 && !self.presence.is_empty() {
            let push: Vec<Object> = core::mem::take(&mut self.presence).into_values().collect();
            edus.push(object("m.presence", Object::new().with("push", push)));
        }
        edus
    }
}

/// Receipts in as few EDUs as can be: an EDU has room for one receipt of a user in a room, and users have one for each thread.
#[derive(Debug, Default)]
pub(super) struct ReceiptEdus {
    layers: Vec<BTreeMap<RoomId, BTreeMap<UserId, Object>>>,
}

impl ReceiptEdus {
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    pub fn add(&mut self, room_id: &RoomId, receipt: &crate::room::receipts::Receipt) {
        let mut data = Object::new().with("ts", receipt.ts);
        if let Some(thread_id) = &receipt.thread_id {
            data.insert("thread_id", thread_id.as_str());
        }
        let event_ids = alloc::vec![Value::from(receipt.event_id.as_str())];
        let details = Object::new().with("data", data).with("event_ids", event_ids);
        let taken = |layer: &BTreeMap<RoomId, BTreeMap<UserId, Object>>| {
            layer.get(room_id).is_some_and(|users| users.contains_key(&receipt.user_id))
        };
        let at = self.layers.iter().position(|layer| !taken(layer)).unwrap_or_else(|| {
            self.layers.push(BTreeMap::new());
            self.layers.len() - 1
        });
        self.layers[at].entry(room_id.clone()).or_default().insert(receipt.user_id.clone(), details);
    }

    pub fn into_edus(self) -> impl Iterator<Item = Value> {
        self.layers.into_iter().map(|rooms| {
            let rooms: Object = rooms
                .into_iter()
                .map(|(room_id, users)| {
                    let users: Object =
                        users.into_iter().map(|(user_id, details)| (user_id.to_string(), details)).collect();
                    (room_id.to_string(), Object::new().with("m.read", users))
                })
                .collect();
            object("m.receipt", rooms)
        })
    }
}
