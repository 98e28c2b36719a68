//! Typing notifications (Client-Server API, "Typing Notifications"): who types in which room, until when.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use super::machines::Machines;
use super::request::{Answer, Auth, BodyExt as _, ClientRequest, Handler, Limit};
use super::routes::Route;
use crate::error::ApiError;
use crate::flow::{Notice, Step};
use crate::http::{Method, Response};
use crate::identifiers::UserId;
use crate::limits::{DEFAULT_TYPING_TIMEOUT, MAX_TYPING_ROOMS, MAX_TYPING_TIMEOUT};
use crate::room::{Room, membership};
use crate::store::tables::RoomNum;
use crate::time::Timestamp;

pub const ROUTES: &[Route] = &[Route::new(
    Method::Put,
    "/_matrix/client/v3/rooms/{roomId}/typing/{userId}",
    Auth::Required,
    Limit::Write,
    Handler::Machine(put),
)];

/// Who types where. Every change of a room's list takes the next serial.
#[derive(Debug, Default)]
pub struct Typing {
    serial: u64,
    /// At most [`MAX_TYPING_ROOMS`]: beyond that, the room that has not changed for longest is forgotten.
    rooms: BTreeMap<RoomNum, TypingRoom>,
    by_serial: BTreeMap<u64, RoomNum>,
    deadlines: BTreeSet<(Timestamp, RoomNum, UserId)>,
}

/// A room in which somebody types, or typed.
#[derive(Debug, Default)]
struct TypingRoom {
    changed: u64,
    /// Until when each types.
    users: BTreeMap<UserId, Timestamp>,
}

impl Typing {
    /// The serial of the last change.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Who types in a room, if that changed after `serial`.
    #[must_use]
    pub fn changed_since(&self, room: RoomNum, serial: u64) -> Option<Vec<UserId>> {
        let room = self.rooms.get(&room).filter(|room| room.changed > serial)?;
        Some(room.users.keys().cloned().collect())
    }

    /// The rooms that changed after `serial`, the earlier first.
    pub fn rooms_since(&self, serial: u64) -> impl Iterator<Item = RoomNum> + '_ {
        self.by_serial.range(serial.saturating_add(1)..).map(|(_, room)| *room)
    }

    /// The user types until then, or stops. `true` if that changes the room's list.
    pub fn set(&mut self, room: RoomNum, user_id: &UserId, until: Option<Timestamp>) -> bool {
        let before = self.rooms.get(&room).and_then(|room| room.users.get(user_id)).copied();
        if let Some(before) = before {
            self.deadlines.remove(&(before, room, user_id.clone()));
        }
        let changed = before.is_some() != until.is_some();
        if before.is_none() && until.is_none() {
            return false;
        }
        let typing = self.rooms.entry(room).or_default();
        match until {
            Some(until) => {
                typing.users.insert(user_id.clone(), until);
                self.deadlines.insert((until, room, user_id.clone()));
            }
            None => {
                typing.users.remove(user_id);
            }
        }
        if changed {
            self.mark(room);
        }
        changed
    }

    /// Gives the room the next serial.
    fn mark(&mut self, room: RoomNum) {
        self.serial += 1;
        let typing = self.rooms.entry(room).or_default();
        self.by_serial.remove(&typing.changed);
        typing.changed = self.serial;
        self.by_serial.insert(self.serial, room);
        if self.rooms.len() > MAX_TYPING_ROOMS
            && let Some((_, room)) = self.by_serial.pop_first()
            && let Some(forgotten) = self.rooms.remove(&room)
        {
            for (user_id, until) in forgotten.users {
                self.deadlines.remove(&(until, room, user_id));
            }
        }
    }

    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|deadline| deadline.0)
    }

    /// Ends what has run out, and returns the rooms that this changes.
    pub fn expire(&mut self, now: Timestamp) -> BTreeSet<RoomNum> {
        let mut changed = BTreeSet::new();
        while let Some((until, room, user_id)) = self.deadlines.first().cloned()
            && until <= now
        {
            self.set(room, &user_id, None);
            changed.insert(room);
        }
        changed
    }
}

/// `PUT /rooms/{roomId}/typing/{userId}`.
fn put(machines: &mut Machines, step: &mut Step<'_>, request: &ClientRequest) -> Answer {
    let user_id = request.user_id();
    if request.param(1) != user_id.as_str() {
        return Err(ApiError::forbidden("You may not type for others"));
    }
    let body = request.object()?;
    let typing = body.opt_bool("typing")?.ok_or_else(|| ApiError::missing_param("typing is missing"))?;
    let timeout = match body.opt_integer("timeout")? {
        Some(millis) => Duration::from_millis(u64::try_from(millis).unwrap_or(0)).min(MAX_TYPING_TIMEOUT),
        None => DEFAULT_TYPING_TIMEOUT,
    };
    let room = Room::require(step, request.param(0))?;
    membership::require_joined(step, user_id, &room)?;
    let until = (typing && !timeout.is_zero()).then(|| step.now + timeout);
    if machines.typing.set(room.num, user_id, until) {
        step.notify(Notice::Typing(room.num));
    }
    Ok(Response::empty())
}

#[cfg(test)]
mod tests;
