//! Messages to devices: each that was acknowledged comes to each device that it was for, once, and to no other; and what a person
//! sends after the answer to something comes after it.
//!
//! A device counts as one that a message was for if it had its session before the message was sent, and has it until the end. A
//! sync whose answer was lost may repeat its messages; that is not seen here, since only answers that came are looked at, and each
//! of them goes on from the one before.

use std::collections::BTreeMap;

use orrery_core::canonical_json::Object;

use super::ledger::OP;
use super::restores::Restore;
use crate::clock::Time;
use crate::failure::Failure;

const CHECKER: &str = "to-device";

/// All devices of a user.
pub const EVERY_DEVICE: &str = "*";

/// A user ID and a device ID.
pub type Address = (String, String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub sender: String,
    pub kind: String,
    /// To whom; the device may be [`EVERY_DEVICE`].
    pub recipients: Vec<Address>,
    pub began: Time,
    /// The sender's server does not lie.
    pub honest: bool,
    pub acknowledged: Option<Time>,
    /// A server has lost what it knew of it, or may have: it may be gone for some, and come twice.
    pub torn: bool,
}

impl Message {
    fn is_for(&self, (user_id, device_id): &Address) -> bool {
        let names = |to: &Address| to.0 == *user_id && (to.1 == *device_id || to.1 == EVERY_DEVICE);
        self.recipients.iter().any(names)
    }
}

/// What a session was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mailbox {
    began: Time,
    /// Somebody has asked for its end.
    ended: bool,
    /// The operations whose messages came, in their order.
    got: Vec<u32>,
    /// Those that came before a backup was restored, and may come again.
    before: Vec<u32>,
}

/// Every message and every mailbox.
#[derive(Debug, Default)]
pub struct Messages {
    /// By operation.
    sent: BTreeMap<u32, Message>,
    mailboxes: BTreeMap<Address, Mailbox>,
}

fn fail(evidence: String) -> Result<(), Failure> {
    Err(Failure::safety(CHECKER, evidence))
}

impl Messages {
    pub fn session_begins(&mut self, address: Address, now: Time) {
        let mailbox = self.mailboxes.entry(address).or_default();
        mailbox.began = now;
        mailbox.ended = false;
    }

    pub fn session_ends(&mut self, address: &Address) {
        if let Some(mailbox) = self.mailboxes.get_mut(address) {
            mailbox.ended = true;
        }
    }

    /// A backup is restored on the server of users whose IDs end in this. What it had of messages is gone unless its own users had sent
    /// them before the backup, and those that it handed out since are there again.
    pub fn restored(&mut self, restore: Restore, suffix: &str) {
        let is_of = |user_id: &str| user_id.ends_with(suffix);
        for message in self.sent.values_mut() {
            let is_for = message.recipients.iter().any(|recipient| is_of(&recipient.0));
            let loses = is_of(&message.sender) && restore.may_lose(message.acknowledged);
            message.torn |= loses || (is_for && !is_of(&message.sender));
        }
        for (_, mailbox) in self.mailboxes.iter_mut().filter(|(address, _)| is_of(&address.0)) {
            mailbox.before.append(&mut mailbox.got);
        }
    }

    pub fn send(&mut self, op: u32, message: Message) {
        self.sent.insert(op, message);
    }

    pub fn acknowledge(&mut self, op: u32, now: Time) {
        if let Some(message) = self.sent.get_mut(&op) {
            message.acknowledged = Some(now);
        }
    }

    /// A message in an answer that the device goes on from.
    pub fn arrives(&mut self, address: &Address, event: &Object) -> Result<(), Failure> {
        let Some((op, message)) = self.sent_as(event) else { return Ok(()) };
        if !message.honest {
            return Ok(());
        }
        let shown = format!("{address:?} got {event:?}");
        if !message.is_for(address) {
            return fail(format!("{shown}, and operation {op} was for {:?}", message.recipients));
        }
        if event.str("sender") != Some(&message.sender) || event.str("type") != Some(&message.kind) {
            return fail(format!("{shown}, and operation {op} is a {} by {}", message.kind, message.sender));
        }
        let may_repeat = message.torn;
        let mailbox = self.mailboxes.entry(address.clone()).or_default();
        if mailbox.got.contains(&op) && !may_repeat {
            return fail(format!("{shown} twice"));
        }
        mailbox.got.push(op);
        Ok(())
    }

    /// A message in the answer to a sync from the start, by a device that has acknowledged everything that came to it.
    pub fn arrives_afresh(&self, address: &Address, event: &Object) -> Result<(), Failure> {
        match self.sent_as(event) {
            Some((op, message))
                if message.honest
                    && !message.torn
                    && self.mailbox(address).is_some_and(|box_| box_.got.contains(&op)) =>
            {
                fail(format!("{address:?} has acknowledged {event:?}, and got it again"))
            }
            _ => Ok(()),
        }
    }

    fn mailbox(&self, address: &Address) -> Option<&Mailbox> {
        self.mailboxes.get(address)
    }

    fn sent_as(&self, event: &Object) -> Option<(u32, &Message)> {
        let op = event.object("content")?.integer(OP).and_then(|op| u32::try_from(op).ok())?;
        Some((op, self.sent.get(&op)?))
    }

    /// Once everything has come: that nothing is missing, and the order. `is_checked` says of which users.
    pub fn check(&self, is_checked: impl Fn(&str) -> bool) -> Result<(), Failure> {
        for (address, mailbox) in self.mailboxes.iter().filter(|(address, _)| is_checked(&address.0)) {
            for (op, message) in &self.sent {
                let due = message.honest
                    && message.acknowledged.is_some()
                    && !message.torn
                    && message.is_for(address)
                    && mailbox.began <= message.began
                    && !mailbox.ended;
                if due && !mailbox.got.contains(op) && !mailbox.before.contains(op) {
                    return fail(format!("{address:?} never got the message of operation {op}: {message:?}"));
                }
            }
            self.check_order(address, mailbox)?;
        }
        Ok(())
    }

    fn check_order(&self, address: &Address, mailbox: &Mailbox) -> Result<(), Failure> {
        for (at, later) in mailbox.got.iter().enumerate() {
            for earlier in &mailbox.got[..at] {
                let (first, second) = (&self.sent[earlier], &self.sent[later]);
                let reversed = second.acknowledged.is_some_and(|acknowledged| acknowledged < first.began);
                if first.sender == second.sender && reversed && !first.torn && !second.torn {
                    return fail(format!(
                        "{address:?} got the message of operation {earlier} before that of {later}, which was acknowledged \
                         before the other was sent"
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
