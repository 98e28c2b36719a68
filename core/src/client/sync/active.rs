//! The users who sync: what the machine keeps of them so that an event finds, without looking at the room's members, those
//! whom it concerns.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::super::push_rules::judge::PushRules;
use super::super::unread::Reader;
use super::changes::UserRooms;
use super::lazy_members::SentMembers;
use crate::event::content::Membership;
use crate::identifiers::{DeviceId, UserId};
use crate::input::RequestId;
use crate::limits::{MAX_ACTIVE_USERS, MAX_DEVICES_REMEMBERED};
use crate::room::membership;
use crate::store::tables::RoomNum;
use crate::store::{Read, StorageError};

/// Names a user for as long as they are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u64);

impl Slot {
    /// Of all slots there ever are, this one only has it.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// A user who syncs.
#[derive(Debug)]
pub(super) struct ActiveUser {
    pub user_id: UserId,
    pub rooms: UserRooms,
    /// Oldest first.
    pub waiting: Vec<RequestId>,
    /// By device; the least recently used is dropped when there are more than [`MAX_DEVICES_REMEMBERED`].
    sent: Vec<(DeviceId, SentMembers)>,
    used: u64,
    /// Once they were asked for.
    reader: Option<Reader>,
}

impl ActiveUser {
    /// The user's push rules, or whom they ignore, changed.
    pub fn forget_reader(&mut self) {
        self.reader = None;
    }

    /// Takes the memberships that a device was sent, until they are put back.
    pub fn take_sent_members(&mut self, device_id: &DeviceId) -> SentMembers {
        let at = self.sent.iter().position(|(device, _)| device == device_id);
        at.map(|at| self.sent.remove(at).1).unwrap_or_default()
    }

    pub fn put_sent_members(&mut self, device_id: &DeviceId, sent: SentMembers) {
        if self.sent.len() >= MAX_DEVICES_REMEMBERED {
            self.sent.remove(0);
        }
        self.sent.push((device_id.clone(), sent));
    }

    pub fn forget_device(&mut self, device_id: &DeviceId) {
        self.sent.retain(|(device, _)| device != device_id);
    }
}

/// The active users. Bounded by [`MAX_ACTIVE_USERS`]: beyond it the one who synced longest ago and is not waiting is dropped,
/// and read from storage again when they come back.
#[derive(Debug, Default)]
pub(super) struct ActiveUsers {
    users: BTreeMap<Slot, ActiveUser>,
    by_user: BTreeMap<UserId, Slot>,
    /// Joined rooms only.
    by_room: BTreeMap<RoomNum, BTreeSet<Slot>>,
    /// By when they last synced.
    by_use: BTreeMap<u64, Slot>,
    last: u64,
    /// The push rules of those who have changed none.
    default_rules: Option<Rc<PushRules>>,
}

impl ActiveUsers {
    /// The slot of a user who syncs now.
    pub fn activate(&mut self, read: &dyn Read, user_id: &UserId) -> Result<Slot, StorageError> {
        self.last += 1;
        let now = self.last;
        if let Some(&slot) = self.by_user.get(user_id) {
            let user = self.users.get_mut(&slot).expect("every slot has its user");
            self.by_use.remove(&user.used);
            user.used = now;
            self.by_use.insert(now, slot);
            return Ok(slot);
        }
        let rooms = UserRooms::load(read, user_id)?;
        self.make_room();
        let slot = Slot(now);
        for room in rooms.joined() {
            self.by_room.entry(room).or_default().insert(slot);
        }
        let user = ActiveUser {
            user_id: user_id.clone(),
            rooms,
            waiting: Vec::new(),
            sent: Vec::new(),
            used: now,
            reader: None,
        };
        self.users.insert(slot, user);
        self.by_user.insert(user_id.clone(), slot);
        self.by_use.insert(now, slot);
        Ok(slot)
    }

    fn make_room(&mut self) {
        while self.users.len() >= MAX_ACTIVE_USERS {
            let idle =
                self.by_use.values().find(|slot| self.users.get(slot).is_some_and(|user| user.waiting.is_empty()));
            // Those who wait are bounded too, by a smaller number.
            let Some(&slot) = idle else { return };
            self.remove(slot);
        }
    }

    pub fn remove(&mut self, slot: Slot) {
        let Some(user) = self.users.remove(&slot) else { return };
        self.by_user.remove(&user.user_id);
        self.by_use.remove(&user.used);
        for room in user.rooms.joined() {
            self.leave(room, slot);
        }
    }

    fn leave(&mut self, room: RoomNum, slot: Slot) {
        if let Some(slots) = self.by_room.get_mut(&room) {
            slots.remove(&slot);
            if slots.is_empty() {
                self.by_room.remove(&room);
            }
        }
    }

    pub fn slot(&self, user_id: &UserId) -> Option<Slot> {
        self.by_user.get(user_id).copied()
    }

    /// A user; their slot must be of this moment.
    pub fn user(&self, slot: Slot) -> &ActiveUser {
        self.users.get(&slot).expect("a slot is not kept longer than its user")
    }

    pub fn user_mut(&mut self, slot: Slot) -> &mut ActiveUser {
        self.users.get_mut(&slot).expect("a slot is not kept longer than its user")
    }

    /// A user's push rules and whom they ignore.
    pub fn reader(&mut self, read: &dyn Read, slot: Slot) -> Result<Reader, StorageError> {
        let user = self.users.get_mut(&slot).expect("a slot is not kept longer than its user");
        if let Some(reader) = &user.reader {
            return Ok(reader.clone());
        }
        let defaults = || self.default_rules.get_or_insert_with(|| Rc::new(PushRules::defaults())).clone();
        Ok(user.reader.insert(Reader::load(read, &user.user_id, defaults)?).clone())
    }

    /// The rooms that a user, active or not, of this server or another, is in.
    pub fn joined_rooms_of(&self, read: &dyn Read, user_id: &UserId) -> Result<Vec<RoomNum>, StorageError> {
        match self.slot(user_id) {
            Some(slot) => Ok(self.user(slot).rooms.joined().collect()),
            None => membership::joined_rooms_of(read, user_id),
        }
    }

    /// Whether an active user is in a room with another one, who may or may not be active.
    pub fn share_a_room(&self, read: &dyn Read, slot: Slot, other: &UserId) -> Result<bool, StorageError> {
        let rooms = &self.user(slot).rooms;
        match self.slot(other) {
            Some(other) => {
                let theirs = &self.user(other).rooms;
                let (few, many) = if rooms.0.len() < theirs.0.len() { (rooms, theirs) } else { (theirs, rooms) };
                Ok(few.joined().any(|room| many.is_joined(room)))
            }
            None => Ok(UserRooms::load(read, other)?.joined().any(|room| rooms.is_joined(room))),
        }
    }

    /// The users in a room.
    pub fn in_room(&self, room: RoomNum) -> impl Iterator<Item = Slot> + '_ {
        self.by_room.get(&room).into_iter().flatten().copied()
    }

    /// The users in a room who are waiting.
    pub fn waiting_in(&self, room: RoomNum) -> impl Iterator<Item = Slot> + '_ {
        self.in_room(room).filter(|slot| !self.user(*slot).waiting.is_empty())
    }

    /// Follows a change of a user's membership.
    pub fn follow(&mut self, read: &dyn Read, user_id: &UserId, room: RoomNum) -> Result<(), StorageError> {
        let Some(slot) = self.slot(user_id) else { return Ok(()) };
        let row = membership::of(read, user_id, room)?;
        let joined = row.as_ref().is_some_and(|row| row.membership == Membership::Join);
        let rooms = &mut self.user_mut(slot).rooms.0;
        match row {
            Some(row) => rooms.insert(room, row),
            None => rooms.remove(&room),
        };
        if joined {
            self.by_room.entry(room).or_default().insert(slot);
        } else {
            self.leave(room, slot);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
