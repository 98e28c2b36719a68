//! Steps: one instant of reads and one atomic batch of writes.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::canonical_json::Object;
use crate::config::Config;
use crate::effect::Batch;
use crate::event::{Consulted, Question};
use crate::identifiers::{DeviceId, ServerName, UserId};
use crate::random::Random;
use crate::signing::SigningKey;
use crate::state_res::Resolutions;
use crate::store::tables::{Position, RoomNum, Write};
use crate::store::{Order, Read, StorageError, Visit, Writes, layered_get, scan_writes};
use crate::time::Timestamp;

/// One step in the making. Dropped, nothing of it happened; finished, all of it did.
pub struct Step<'a> {
    pub now: Timestamp,
    pub config: &'a Config,
    /// What events of this server are signed with.
    pub signing_key: &'a SigningKey,
    pub random: &'a mut Random,
    pub policy: PolicyAnswers,
    /// What states were resolved for it.
    pub resolutions: Resolutions,
    below: &'a dyn Read,
    writes: Writes,
    position: Position,
    /// The first position that this life of the server may take.
    first: Position,
    room: Option<RoomNum>,
    notices: Vec<Notice>,
}

/// What a step knows of policy servers. A step cannot wait for one: if it makes an event that one has to sign, it leaves the
/// question here and fails, and is run again with the answer (`federation::policy_sign`).
#[derive(Debug, Default)]
pub struct PolicyAnswers {
    /// What they have said so far of events that the step makes.
    pub consulted: Vec<Consulted>,
    pub question: Option<Question>,
    /// The room that the step itself makes: nobody is in it whom a policy server could keep something from.
    pub new_room: Option<RoomNum>,
}

/// What a step changed that somebody may be waiting for. Handed to the machines once the step is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something in a room that its members see in `/sync`.
    Room(RoomNum),
    /// Something that only this user sees: account data, an invite, a membership.
    User(UserId),
    /// A receipt of a local user moved in a room.
    Read { user_id: UserId, room: RoomNum },
    /// An event of the room's timeline lost its content.
    Redacted(RoomNum),
    /// What decides which events notify the user changed.
    PushRules(UserId),
    /// The user's membership of a room changed; `joined` says to what.
    Membership { user_id: UserId, room: RoomNum, joined: bool },
    /// These sessions are no more: `None` is every device of the user.
    LoggedOut { user_id: UserId, device_id: Option<DeviceId> },
    /// The user's profile changed, which presence repeats.
    Profile(UserId),
    /// Who types in a room changed, in memory only.
    Typing(RoomNum),
    /// The user's device list changed: of interest to those who share a room with them.
    DeviceList(UserId),
    /// Somebody's presence changed, in memory only.
    Presence,
    /// A user of another server types in a room, or no longer does.
    RemoteTyping { room: RoomNum, user_id: UserId, typing: bool },
    /// What another server says of the presence of one of its users: a checked item of the EDU's `push`.
    RemotePresence { user_id: UserId, update: Object },
    /// The event at this position of the log was made by another server.
    Foreign(Position),
    /// Which servers are in a room changed, or the membership of a user of another server.
    Servers(RoomNum),
    /// A server came into a room in which it had no users, by an event that brings its user in (`joins`), or because it turned out that
    /// one was in all the time.
    CameIn { server: ServerName, room: RoomNum, joins: bool },
    /// An EDU was stored for another server.
    QueuedEdu(ServerName),
    /// A server that did not answer has shown that it is there.
    ServerIsUp(ServerName),
}

/// What a finished step leaves behind.
#[derive(Debug)]
pub struct Finished {
    pub batch: Batch,
    pub position: Position,
    pub notices: Vec<Notice>,
    pub resolutions: Resolutions,
}

impl<'a> Step<'a> {
    /// `position` is the last one taken.
    pub fn new(
        now: Timestamp,
        (config, signing_key): (&'a Config, &'a SigningKey),
        random: &'a mut Random,
        below: &'a dyn Read,
        position: Position,
    ) -> Step<'a> {
        Step {
            now,
            config,
            signing_key,
            random,
            policy: PolicyAnswers::default(),
            resolutions: Resolutions::default(),
            below,
            writes: Writes::new(),
            position,
            first: Position(0),
            room: None,
            notices: Vec::new(),
        }
    }

    /// Takes the next position of the server-wide stream.
    pub fn next_position(&mut self) -> Position {
        self.position = Position(self.position.0 + 1).max(self.first);
        self.position
    }

    /// Positions before this one are not taken any more.
    pub fn begin_at(&mut self, first: Position) {
        self.first = first;
    }

    /// Leaves out so many positions: the next one that is taken comes after them.
    pub fn skip_positions(&mut self, count: u64) {
        self.position.0 += count;
    }

    /// The last position taken.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    pub fn notify(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    #[must_use]
    pub fn finish(self) -> Finished {
        assert!(self.policy.question.is_none(), "a step that waits for a policy server's word fails");
        Finished {
            batch: Batch { writes: self.writes.into_iter().collect() },
            position: self.position,
            notices: self.notices,
            resolutions: self.resolutions,
        }
    }
}

impl Read for Step<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        layered_get(&self.writes, self.below, key)
    }
    fn scan(&self, from: &[u8], to: &[u8], order: Order, visit: Visit<'_>) -> Result<(), StorageError> {
        scan_writes(&self.writes, self.below, from, to, order, visit)
    }
}

impl Write for Step<'_> {
    fn write(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        if let Some(room) = crate::store::tables::room_of(&key) {
            // Rooms are the unit that could live elsewhere (invariant "one room a step").
            assert!(*self.room.get_or_insert(room) == room, "a step writes to at most one room");
        }
        self.writes.insert(key.into(), value);
    }
}

impl core::fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Step")
            .field("writes", &self.writes.len())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
