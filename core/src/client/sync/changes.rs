//! Which rooms a sync has to look at: those, and not every room of the user.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::ControlFlow;

use super::super::account_data::{changed_since, decides_notifications};
use crate::encryption::device_lists;
use crate::event::content::Membership;
use crate::identifiers::UserId;
use crate::limits::MAX_LOG_SCAN;
use crate::room::tables::{HEAD, UserRoom};
use crate::room::{membership, receipts};
use crate::store::log::{self, LogEntry};
use crate::store::tables::{Position, RoomNum};
use crate::store::{Read, StorageError};

/// The rooms that a user has or had a membership of.
#[derive(Clone, Debug, Default)]
pub struct UserRooms(pub BTreeMap<RoomNum, UserRoom>);

impl UserRooms {
    pub fn load(read: &dyn Read, user_id: &UserId) -> Result<UserRooms, StorageError> {
        membership::rooms_of(read, user_id).map(|rooms| UserRooms(rooms.into_iter().collect()))
    }

    #[must_use]
    pub fn is_joined(&self, room: RoomNum) -> bool {
        self.0.get(&room).is_some_and(|row| row.membership == Membership::Join)
    }

    pub fn joined(&self) -> impl Iterator<Item = RoomNum> + '_ {
        self.0.iter().filter(|(_, row)| row.membership == Membership::Join).map(|(room, _)| *room)
    }
}

/// What of a room may have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomChange {
    /// Its timeline, and with it its state and the user's membership.
    pub events: bool,
    pub receipts: bool,
    pub account_data: bool,
}

impl RoomChange {
    pub const EVERYTHING: RoomChange = RoomChange { events: true, receipts: true, account_data: true };
}

/// What may have changed for a user between two positions. What is not here has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub rooms: BTreeMap<RoomNum, RoomChange>,
    /// Global account data.
    pub account_data: bool,
    /// What of it decides which events notify the user.
    pub push_rules: bool,
    /// The users whose device lists changed, whether or not the user shares a room with them.
    pub device_lists: BTreeSet<UserId>,
    /// Messages to the user's devices.
    pub to_device: bool,
}

impl Changes {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && !self.account_data && self.device_lists.is_empty() && !self.to_device
    }

    /// The rooms beside those in which something changed that there may be something to tell of: where somebody types, and, as different
    /// events notify the user now, all that they are in.
    #[must_use]
    pub fn quiet_rooms(&self, rooms: &UserRooms, typing: impl Iterator<Item = RoomNum>) -> BTreeSet<RoomNum> {
        let counted = rooms.joined().filter(|_| self.push_rules);
        typing.chain(counted).filter(|room| !self.rooms.contains_key(room)).collect()
    }

    /// Takes an entry of the log into account, if it is the user's business. `since` is where the user's sync begins.
    pub fn record(&mut self, entry: &LogEntry, user_id: &UserId, rooms: &UserRooms, since: Position) {
        match entry {
            LogEntry::Event { room, .. } => {
                // Of a room that the user is not in, they are told of their own membership only.
                let concerns = |row: &UserRoom| row.membership == Membership::Join || row.position > since;
                if rooms.0.get(room).is_some_and(concerns) {
                    self.rooms.entry(*room).or_default().events = true;
                }
            }
            LogEntry::Receipt { room, user_id: reader, private } => {
                if rooms.is_joined(*room) && (!private || reader == user_id) {
                    self.rooms.entry(*room).or_default().receipts = true;
                }
            }
            LogEntry::AccountData { user_id: owner, room, kind } if owner == user_id => {
                self.record_account_data(*room, kind);
            }
            LogEntry::Membership { user_id: member, room } if member == user_id => {
                self.rooms.entry(*room).or_default().events = true;
            }
            LogEntry::DeviceList { user_id: other } => {
                self.device_lists.insert(other.clone());
            }
            LogEntry::ToDevice { recipients } => self.to_device |= recipients.contains(user_id),
            LogEntry::AccountData { .. } | LogEntry::Membership { .. } => {}
        }
    }

    fn record_account_data(&mut self, room: Option<RoomNum>, kind: &str) {
        match room {
            Some(room) => self.rooms.entry(room).or_default().account_data = true,
            None => {
                self.account_data = true;
                self.push_rules |= decides_notifications(kind);
            }
        }
    }

    /// What changed with `since < position <= until`: from the log if that is short, else by asking each room.
    pub fn since(
        read: &dyn Read,
        user_id: &UserId,
        rooms: &UserRooms,
        (since, until): (Position, Position),
    ) -> Result<Changes, StorageError> {
        // A few entries of the log are read in the time in which one room is asked.
        let short = MAX_LOG_SCAN.max(4 * rooms.0.len() as u64);
        if until.0.saturating_sub(since.0) > short {
            return Changes::of_rooms(read, user_id, rooms, (since, until));
        }
        let mut changes = Changes::default();
        log::scan::<StorageError>(read, since, until, |_, entry| {
            changes.record(&entry, user_id, rooms, since);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(changes)
    }

    fn of_rooms(
        read: &dyn Read,
        user_id: &UserId,
        rooms: &UserRooms,
        (since, until): (Position, Position),
    ) -> Result<Changes, StorageError> {
        let mut changes =
            Changes { device_lists: device_lists::changed_since(read, since)?, to_device: true, ..Changes::default() };
        for (num, row) in &rooms.0 {
            let change = if row.membership == Membership::Join {
                let events = HEAD.get(read, *num, ())?.is_some_and(|head| head.last > since);
                RoomChange { events, receipts: receipts::any_since(read, *num, since)?, account_data: false }
            } else {
                RoomChange { events: row.position > since, ..RoomChange::default() }
            };
            if change != RoomChange::default() {
                changes.rooms.insert(*num, change);
            }
        }
        for data in changed_since(read, user_id, since, until)? {
            changes.record_account_data(data.room, &data.kind);
        }
        Ok(changes)
    }
}
