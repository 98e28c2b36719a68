//! What other servers are told of the moment: who types here, and who is there (Server-Server API, "Typing Notifications",
//! "Presence"). It is said when it changes, and again before they would take it to be over.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::presence::{Presence, PresenceState};
use super::request::QueryContext;
use super::typing::Typing;
use crate::event::content::Membership;
use crate::federation::destinations::Destinations;
use crate::identifiers::UserId;
use crate::limits::{PRESENCE_REPEAT, TYPING_REPEAT};
use crate::room::{Room, membership};
use crate::store::StorageError;
use crate::store::tables::RoomNum;
use crate::time::Timestamp;

/// What they were told, and when to tell it again.
#[derive(Debug, Default)]
pub struct ToldServers {
    typing_serial: u64,
    presence_serial: u64,
    /// The local users of whom others know that they type.
    typing: BTreeMap<(RoomNum, UserId), Timestamp>,
    repeats: BTreeSet<(Timestamp, RoomNum, UserId)>,
    /// The users of whom others know that they are there. Of one who was not there they need not hear that they are not.
    present: BTreeSet<UserId>,
    repeat_presence: Option<Timestamp>,
}

impl ToldServers {
    /// Tells what has changed since the last time. What cannot be read is not told; it would be too late soon.
    pub fn tell(
        &mut self,
        context: &QueryContext<'_>,
        (typing, presence): (&Typing, &Presence),
        destinations: &mut Destinations,
    ) {
        let typing_serial = core::mem::replace(&mut self.typing_serial, typing.serial());
        if typing_serial != self.typing_serial {
            for room in typing.rooms_since(typing_serial) {
                let _ = self.tell_typing(context, typing, room, destinations);
            }
        }
        self.repeat_typing(context, destinations);
        let presence_serial = core::mem::replace(&mut self.presence_serial, presence.serial());
        if presence_serial != self.presence_serial {
            self.repeat_presence.get_or_insert(context.now + PRESENCE_REPEAT);
            for user_id in presence.changed_since(presence_serial) {
                let _ = self.tell_presence(context, presence, user_id, destinations);
            }
        }
        if self.repeat_presence.is_some_and(|at| at <= context.now) {
            let mut any = false;
            for user_id in presence.present() {
                any |= self.tell_presence(context, presence, user_id, destinations).unwrap_or(false);
            }
            self.repeat_presence = any.then(|| context.now + PRESENCE_REPEAT);
        }
    }

    fn tell_typing(
        &mut self,
        context: &QueryContext<'_>,
        typing: &Typing,
        room: RoomNum,
        destinations: &mut Destinations,
    ) -> Result<(), StorageError> {
        if !destinations.is_shared(context.read, room)? {
            return Ok(());
        }
        let Some(Room { info, .. }) = Room::get(context.read, room)? else { return Ok(()) };
        let own = context.config.server_name.as_str();
        let now_typing: BTreeSet<UserId> = typing
            .changed_since(room, 0)
            .unwrap_or_default()
            .into_iter()
            .filter(|user| user.server_str() == own)
            .collect();
        let told: Vec<UserId> = self.told_in(room).cloned().collect();
        for user_id in told.iter().filter(|user_id| !now_typing.contains(*user_id)) {
            self.forget(room, user_id);
            destinations.typing(context.read, context.now, (room, &info.room_id), user_id, false)?;
        }
        for user_id in now_typing.iter().filter(|user_id| !told.contains(user_id)) {
            self.remember(room, user_id, context.now + TYPING_REPEAT);
            destinations.typing(context.read, context.now, (room, &info.room_id), user_id, true)?;
        }
        Ok(())
    }

    fn repeat_typing(&mut self, context: &QueryContext<'_>, destinations: &mut Destinations) {
        while let Some((_, room, user_id)) = self.repeats.first().filter(|repeat| repeat.0 <= context.now).cloned() {
            self.forget(room, &user_id);
            self.remember(room, &user_id, context.now + TYPING_REPEAT);
            if let Ok(Some(Room { info, .. })) = Room::get(context.read, room) {
                let _ = destinations.typing(context.read, context.now, (room, &info.room_id), &user_id, true);
            }
        }
    }

    fn told_in(&self, room: RoomNum) -> impl Iterator<Item = &UserId> {
        self.typing.keys().filter(move |told| told.0 == room).map(|told| &told.1)
    }

    fn remember(&mut self, room: RoomNum, user_id: &UserId, repeat: Timestamp) {
        self.typing.insert((room, user_id.clone()), repeat);
        self.repeats.insert((repeat, room, user_id.clone()));
    }

    fn forget(&mut self, room: RoomNum, user_id: &UserId) {
        if let Some(repeat) = self.typing.remove(&(room, user_id.clone())) {
            self.repeats.remove(&(repeat, room, user_id.clone()));
        }
    }

    /// Tells the servers that share a room with the user. `true` if it is a user of this server, and there.
    fn tell_presence(
        &mut self,
        context: &QueryContext<'_>,
        presence: &Presence,
        user_id: &UserId,
        destinations: &mut Destinations,
    ) -> Result<bool, StorageError> {
        if user_id.server_str() != context.config.server_name.as_str() {
            return Ok(false);
        }
        let rooms: Vec<RoomNum> = membership::rooms_of(context.read, user_id)?
            .into_iter()
            .filter(|(_, row)| row.membership == Membership::Join)
            .map(|(room, _)| room)
            .collect();
        let view = presence.view(context.read, user_id, context.now)?;
        let is_there = view.state != PresenceState::Offline;
        let was_there = if is_there { !self.present.insert(user_id.clone()) } else { self.present.remove(user_id) };
        if !is_there && !was_there && view.status_msg.is_none() {
            return Ok(false);
        }
        // A user who was never there has not done anything for as long as there has been time.
        let last_active_ago = view.last_active_ago.unwrap_or(context.now.0);
        let update = view.content().with("last_active_ago", last_active_ago).with("user_id", user_id);
        destinations.presence(context.read, context.now, &rooms, user_id, &update)?;
        Ok(is_there)
    }

    /// When something is to be said again.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.repeats.first().map(|repeat| repeat.0).into_iter().chain(self.repeat_presence).min()
    }
}
