//! The messages to the client's device in a sync (Client-Server API, "Send-to-Device messaging").

use alloc::vec::Vec;

use super::super::json_writer::{Items, Members};
use super::answer::Inputs;
use crate::encryption::inbox::{self, Message};
use crate::limits::MAX_TO_DEVICE_MESSAGES;
use crate::store::StorageError;
use crate::store::tables::Position;

/// The messages of one answer.
#[derive(Debug)]
pub(super) struct ToDevice {
    messages: Vec<(Position, Message)>,
    more: bool,
}

impl ToDevice {
    /// Everything that waits and was not acknowledged by the token, as far as an answer has place for it.
    pub fn load(sync: &Inputs<'_>) -> Result<ToDevice, StorageError> {
        if sync.changes.is_some_and(|changes| !changes.to_device) {
            return Ok(ToDevice { messages: Vec::new(), more: false });
        }
        let device = (&sync.requester.user_id, &sync.requester.device_id);
        let after = sync.request.since.map(|token| token.to_device_position()).unwrap_or_default();
        let range = (after, sync.until);
        let mut messages = inbox::between(sync.context.read, device, range, MAX_TO_DEVICE_MESSAGES + 1)?;
        let more = messages.len() > MAX_TO_DEVICE_MESSAGES;
        messages.truncate(MAX_TO_DEVICE_MESSAGES);
        Ok(ToDevice { messages, more })
    }

    /// The last message that the answer has, if others follow it.
    pub fn continues_after(&self) -> Option<Position> {
        self.messages.last().filter(|_| self.more).map(|message| message.0)
    }

    /// Appends the messages as an array, and returns how many there are.
    pub fn write(&self, out: &mut Vec<u8>) -> usize {
        let mut items = Items::begin(out);
        for (_, message) in &self.messages {
            let mut members = Members::begin(items.item());
            members.name("content").extend_from_slice(&message.content);
            members.string("sender", &message.sender);
            members.string("type", &message.kind);
            members.end();
        }
        items.end()
    }
}
