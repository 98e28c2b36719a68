//! What `/sync` tells of the machines whose news live in memory only.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::presence::Presence;
use super::super::token::EphemeralToken;
use super::super::typing::Typing;
use super::changes::UserRooms;
use crate::identifiers::UserId;
use crate::store::tables::RoomNum;

/// The machines as they are now.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'m> {
    /// The number of this life of the server.
    pub boot: u32,
    pub typing: &'m Typing,
    pub presence: &'m Presence,
}

impl<'m> Memory<'m> {
    /// Everything up to now.
    #[must_use]
    pub fn token(&self) -> EphemeralToken {
        EphemeralToken { boot: self.boot, typing: self.typing.serial(), presence: self.presence.serial() }
    }

    /// The token, unless its serials are those of another life.
    fn of_this_life(&self, token: Option<EphemeralToken>) -> Option<EphemeralToken> {
        token.filter(|token| token.boot == self.boot)
    }

    /// Who types in the rooms where that has changed, and in those that the user came into after the token.
    pub(super) fn typing_since(
        &self,
        since: Option<EphemeralToken>,
        rooms: &UserRooms,
        joined: impl Iterator<Item = RoomNum>,
    ) -> BTreeMap<RoomNum, Vec<UserId>> {
        let serial = self.of_this_life(since).map_or(0, |since| since.typing);
        let changed = self.typing.rooms_since(serial).filter(|room| rooms.is_joined(*room));
        let mut typing: BTreeMap<RoomNum, Vec<UserId>> =
            changed.filter_map(|room| Some((room, self.typing.changed_since(room, serial)?))).collect();
        // While the user was out, whoever they had seen typing there may have stopped, in this life or an earlier one.
        for room in joined {
            typing.entry(room).or_insert_with(|| self.typing.changed_since(room, 0).unwrap_or_default());
        }
        // A client that saw anyone type in another life is told that they have stopped: who did, and where, is forgotten.
        if since.is_some_and(|since| since.boot != self.boot && since.typing > 0) {
            for room in rooms.joined() {
                typing.entry(room).or_default();
            }
        }
        typing
    }

    /// Those whose presence changed; all who are there for a client that has not seen any of this life.
    pub(super) fn presence_since(&self, since: Option<EphemeralToken>) -> Vec<&'m UserId> {
        match self.of_this_life(since) {
            Some(since) => self.presence.changed_since(since.presence).collect(),
            None => self.presence.present().collect(),
        }
    }
}
