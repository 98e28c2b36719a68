//! The sync machine: who syncs, who waits, and what wakes them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::super::request::{ClientRequest, QueryContext};
use super::super::token::StreamToken;
use super::super::unread::tallies::Tallies;
use super::super::unread::tally::Tally;
use super::super::unread::{Reader, Unread};
use super::account_data;
use super::active::{ActiveUsers, Slot};
use super::answer::{self, Inputs, SyncAnswer};
use super::changes::{Changes, UserRooms};
use super::ephemeral::{Ephemeral, PresenceEvent};
use super::lazy_members::SentMembers;
use super::memory::Memory;
use super::request::SyncRequest;
use super::waiter::{Waiter, Waiters};
use crate::effect::{Effect, Query};
use crate::error::ApiError;
use crate::event::content::Membership;
use crate::flow::Notice;
use crate::http::Response;
use crate::identifiers::{DeviceId, UserId};
use crate::input::RequestId;
use crate::limits::{MAX_INLINE_ROOMS, MAX_INLINE_STATE, MAX_INLINE_UNREAD, MAX_SYNCS_PER_DEVICE, MAX_WAITING_SYNCS};
use crate::room::Room;
use crate::room::tables::HEAD;
use crate::room::timeline::Place;
use crate::store::log::{self, LogEntry};
use crate::store::tables::{Position, RoomNum};
use crate::store::{Read, Record, StorageError};
use crate::time::Timestamp;

/// The machine. Requests wait here until there is something to say, their time is over, or they are gone.
#[derive(Debug, Default)]
pub struct SyncMachine {
    active: ActiveUsers,
    waiters: Waiters,
    /// What those who are active have not read.
    tallies: Tallies,
    /// How far the log, and the changes of presence, have been looked at for those who wait.
    seen: Position,
    seen_presence: u64,
}

/// The moment at which the machine acts.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub context: &'a QueryContext<'a>,
    /// The last one taken, which `context` shows.
    pub position: Position,
    pub memory: Memory<'a>,
}

impl SyncMachine {
    /// A sync: answered now, handed to the host, or kept.
    pub fn sync(
        &mut self,
        moment: Moment<'_>,
        request: ClientRequest,
        asked: SyncRequest,
    ) -> Result<Vec<Effect>, ApiError> {
        let Moment { context, position, memory } = moment;
        // Whoever waits has been told of everything up to now.
        self.seen = position;
        let slot = self.active.activate(context.read, request.user_id())?;
        let device_id = request.requester().device_id.clone();
        let Some(token) = asked.since.filter(|_| !asked.full_state) else {
            // A client that begins anew knows nobody.
            if asked.since.is_none() {
                self.active.user_mut(slot).forget_device(&device_id);
            }
            return Ok(alloc::vec![self.hand_over(moment, slot, &request, &asked)?]);
        };
        let user = self.active.user(slot);
        let mut changes = Changes::since(context.read, &user.user_id, &user.rooms, (token.position, position))?;
        changes.to_device |= token.to_device.is_some();
        let waiter = Waiter {
            slot,
            asked: Rc::new(asked),
            since: token.position,
            ephemeral: token.ephemeral,
            deadline: context.now,
            request: Rc::new(request),
        };
        if let Some(effect) = self.try_answer(moment, &waiter, &changes)? {
            return Ok(alloc::vec![effect]);
        }
        let waiter = Waiter {
            since: position,
            ephemeral: memory.token(),
            deadline: context.now + waiter.asked.timeout,
            ..waiter
        };
        if waiter.asked.timeout.is_zero() {
            return Ok(alloc::vec![nothing(context.read, &waiter)]);
        }
        Ok(self.wait(context.read, waiter, &device_id))
    }

    /// Keeps a sync, and lets go of others if there are too many: of the same device the one that has waited longest (its
    /// client has most likely given it up), of all the one whose time would be over first.
    fn wait(&mut self, read: &dyn Read, waiter: Waiter, device_id: &DeviceId) -> Vec<Effect> {
        let id = waiter.request.id;
        let waiting = &self.active.user(waiter.slot).waiting;
        let same_device = |id: &&RequestId| {
            self.waiters.get(**id).is_some_and(|waiter| waiter.request.requester().device_id == *device_id)
        };
        let mut too_many = Vec::new();
        if waiting.iter().filter(same_device).count() >= MAX_SYNCS_PER_DEVICE {
            too_many.extend(waiting.iter().find(same_device).copied());
        } else if self.waiters.len() >= MAX_WAITING_SYNCS {
            too_many.extend(self.waiters.first().map(|(_, id)| id));
        }
        let effects =
            too_many.into_iter().filter_map(|id| self.remove(id)).map(|waiter| nothing(read, &waiter)).collect();
        self.active.user_mut(waiter.slot).waiting.push(id);
        self.waiters.add(waiter);
        effects
    }

    fn remove(&mut self, id: RequestId) -> Option<Waiter> {
        let waiter = self.waiters.remove(id)?;
        self.active.user_mut(waiter.slot).waiting.retain(|other| *other != id);
        Some(waiter)
    }

    /// The answer of a sync for which `changes` may be news; `None` if they are not.
    fn try_answer(
        &mut self,
        moment: Moment<'_>,
        waiter: &Waiter,
        changes: &Changes,
    ) -> Result<Option<Effect>, StorageError> {
        let Moment { context, position, .. } = moment;
        let requester = waiter.request.requester();
        let user = self.active.user(waiter.slot);
        let since = StreamToken { position: waiter.since, ephemeral: waiter.ephemeral, to_device: None };
        let ephemeral = self.ephemeral(moment, waiter.slot, Some(since), Some(changes))?;
        if changes.is_empty() && ephemeral.is_empty() {
            return Ok(None);
        }
        let is_heavy = is_heavy(context, waiter, changes, &user.rooms)?;
        let reader = self.active.reader(context.read, waiter.slot)?;
        let unread = match is_heavy {
            true => None,
            false => self.count_unread(moment, (waiter.slot, &reader), changes, &ephemeral)?,
        };
        let Some(unread) = unread else {
            return self.hand_over(moment, waiter.slot, &waiter.request, &waiter.asked).map(Some);
        };
        let sent = self.active.user_mut(waiter.slot).take_sent_members(&requester.device_id);
        let answer = self.answer(moment, waiter, (changes, &ephemeral), (&reader, unread), &sent);
        let mut sent = sent;
        let effect = match answer {
            Ok(SyncAnswer { is_empty: true, .. }) => Ok(None),
            Ok(SyncAnswer { body, sent: told, .. }) => {
                sent.record(told, position);
                let response = Response::json_bytes(200, body.into());
                Ok(Some(Effect::Reply { id: waiter.request.id, response }))
            }
            Err(error) => Err(error),
        };
        self.active.user_mut(waiter.slot).put_sent_members(&requester.device_id, sent);
        effect
    }

    /// What is unread in the rooms that an answer may tell of; `None` if there is much to count. What was counted is remembered, so that
    /// later there is less.
    fn count_unread(
        &mut self,
        moment: Moment<'_>,
        (slot, reader): (Slot, &Reader),
        changes: &Changes,
        ephemeral: &Ephemeral,
    ) -> Result<Option<BTreeMap<RoomNum, Unread>>, StorageError> {
        let read = moment.context.read;
        let rooms = &self.active.user(slot).rooms;
        let mut nums = changes.quiet_rooms(rooms, ephemeral.typing.keys().copied());
        nums.extend(changes.rooms.keys());
        if nums.len() > MAX_INLINE_ROOMS {
            return Ok(None);
        }
        let mut budget = MAX_INLINE_UNREAD;
        let mut unread = BTreeMap::new();
        for num in nums {
            let Some(row) = rooms.0.get(&num).filter(|row| row.membership == Membership::Join) else { continue };
            let room = Room::expect(read, num)?;
            let mut tally = match self.tallies.take(slot.number(), num) {
                Some(tally) if tally.is_good(read, &room, row)? => tally,
                _ => Tally::begin(read, &room, row, reader)?,
            };
            let done = tally.count(read, (&room, row), reader, Place::after(moment.position), &mut budget)?;
            let counted = tally.unread();
            self.tallies.put(slot.number(), num, tally);
            if !done {
                return Ok(None);
            }
            unread.insert(num, counted);
        }
        Ok(Some(unread))
    }

    fn answer(
        &self,
        moment: Moment<'_>,
        waiter: &Waiter,
        (changes, ephemeral): (&Changes, &Ephemeral),
        (reader, unread): (&Reader, BTreeMap<RoomNum, Unread>),
        sent_before: &SentMembers,
    ) -> Result<SyncAnswer, StorageError> {
        let requester = waiter.request.requester();
        let read = moment.context.read;
        let any_account_data = changes.account_data || changes.rooms.values().any(|change| change.account_data);
        let account_data = if any_account_data {
            account_data::since(read, &requester.user_id, Some(waiter.since), moment.position)?
        } else {
            account_data::ByRoom::new()
        };
        answer::answer(&Inputs {
            context: *moment.context,
            requester,
            request: &waiter.asked,
            since: Some(waiter.since),
            until: moment.position,
            rooms: &self.active.user(waiter.slot).rooms,
            changes: Some(changes),
            ephemeral,
            sent_before,
            account_data,
            reader,
            unread,
        })
    }

    /// What of memory is news to a user; `changes` are what the log has, if that is known.
    fn ephemeral(
        &self,
        moment: Moment<'_>,
        slot: Slot,
        since: Option<StreamToken>,
        changes: Option<&Changes>,
    ) -> Result<Ephemeral, StorageError> {
        let Moment { context, memory, .. } = moment;
        let user = self.active.user(slot);
        let joined = |num: &RoomNum| {
            let row = user.rooms.0.get(num).filter(|row| row.membership == Membership::Join);
            row.zip(since).is_some_and(|(row, since)| row.joined_at > Some(since.position))
        };
        let changed: Vec<RoomNum> = match changes {
            Some(changes) => changes.rooms.keys().copied().filter(joined).collect(),
            None => user.rooms.0.keys().copied().filter(joined).collect(),
        };
        let since = since.map(|since| since.ephemeral);
        let typing = memory.typing_since(since, &user.rooms, changed.into_iter());
        let mut presence = Vec::new();
        for other in memory.presence_since(since) {
            if *other != user.user_id && self.active.share_a_room(context.read, slot, other)? {
                let content = memory.presence.content(context.read, other, context.now)?.to_bytes();
                presence.push(PresenceEvent { sender: other.clone(), content });
            }
        }
        Ok(Ephemeral { token: memory.token(), typing, presence })
    }

    /// Lets the host answer on another thread ([`super::query`]).
    fn hand_over(
        &self,
        moment: Moment<'_>,
        slot: Slot,
        request: &ClientRequest,
        asked: &SyncRequest,
    ) -> Result<Effect, StorageError> {
        let ephemeral = self.ephemeral(moment, slot, asked.since, None)?;
        let query = Query {
            request: request.raw.clone(),
            requester: request.requester.clone(),
            origin: None,
            ephemeral: Some(ephemeral.encode().into()),
        };
        Ok(Effect::Query { id: request.id, query })
    }

    /// A step was committed: tells those whom it concerns.
    pub fn committed(&mut self, moment: Moment<'_>, notices: &[Notice]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for notice in notices {
            match notice {
                Notice::Read { user_id, room } => {
                    if let Some(slot) = self.active.slot(user_id) {
                        self.tallies.take(slot.number(), *room);
                    }
                }
                Notice::Redacted(room) => {
                    for slot in self.active.in_room(*room) {
                        self.tallies.take(slot.number(), *room);
                    }
                }
                Notice::PushRules(user_id) => {
                    if let Some(slot) = self.active.slot(user_id) {
                        self.active.user_mut(slot).forget_reader();
                        self.tallies.forget(slot.number());
                    }
                }
                Notice::Membership { user_id, room, .. } => {
                    // Without its row a user cannot be told anything right: they begin anew with their next sync.
                    if self.active.follow(moment.context.read, user_id, *room).is_err() {
                        effects.extend(self.drop_user(user_id));
                    }
                }
                Notice::LoggedOut { user_id, device_id } => effects.extend(self.log_out(user_id, device_id.as_ref())),
                Notice::Room(_)
                | Notice::User(_)
                | Notice::DeviceList(_)
                | Notice::Profile(_)
                | Notice::Typing(_)
                | Notice::Presence
                | Notice::RemoteTyping { .. }
                | Notice::RemotePresence { .. }
                | Notice::Foreign(_)
                | Notice::Servers(_)
                | Notice::CameIn { .. }
                | Notice::QueuedEdu(_)
                | Notice::ServerIsUp(_) => {}
            }
        }
        let mut concerned = BTreeSet::new();
        for notice in notices {
            match notice {
                Notice::Room(room) | Notice::Typing(room) => concerned.extend(self.active.waiting_in(*room)),
                Notice::User(user_id) | Notice::Membership { user_id, .. } => {
                    concerned.extend(self.active.slot(user_id));
                }
                Notice::DeviceList(user_id) => {
                    // Who cannot be read now is told with the next sync.
                    let rooms = self.active.joined_rooms_of(moment.context.read, user_id).unwrap_or_default();
                    concerned.extend(rooms.into_iter().flat_map(|room| self.active.waiting_in(room)));
                    concerned.extend(self.active.slot(user_id));
                }
                _ => {}
            }
        }
        effects.extend(self.tell(moment, &concerned));
        effects
    }

    /// Something that lives in memory changed in these rooms.
    pub fn tell_rooms(&mut self, moment: Moment<'_>, rooms: &BTreeSet<RoomNum>) -> Vec<Effect> {
        let concerned = rooms.iter().flat_map(|room| self.active.waiting_in(*room)).collect();
        self.tell(moment, &concerned)
    }

    /// Tells changes of presence to those who share a room with the user.
    pub fn tell_presence(&mut self, moment: Moment<'_>) -> Vec<Effect> {
        let presence = moment.memory.presence;
        let seen = core::mem::replace(&mut self.seen_presence, presence.serial());
        if self.waiters.len() == 0 {
            return Vec::new();
        }
        let mut concerned = BTreeSet::new();
        for user_id in presence.changed_since(seen) {
            // Who cannot be read now is told with the next sync.
            let rooms = self.active.joined_rooms_of(moment.context.read, user_id).unwrap_or_default();
            concerned.extend(rooms.into_iter().flat_map(|room| self.active.waiting_in(room)));
        }
        self.tell(moment, &concerned)
    }

    /// Answers those of the users' syncs for which the newest entries of the log are news.
    fn tell(&mut self, moment: Moment<'_>, concerned: &BTreeSet<Slot>) -> Vec<Effect> {
        let seen = core::mem::replace(&mut self.seen, moment.position);
        let waiting: Vec<RequestId> =
            concerned.iter().flat_map(|slot| self.active.user(*slot).waiting.iter().copied()).collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        let mut entries: Vec<LogEntry> = Vec::new();
        let read = log::scan::<StorageError>(moment.context.read, seen, moment.position, |_, entry| {
            entries.push(entry);
            Ok(ControlFlow::Continue(()))
        });
        let mut effects = Vec::new();
        for id in waiting {
            let Some(waiter) = self.waiters.get(id).cloned() else { continue };
            let user = self.active.user(waiter.slot);
            let mut changes = Changes::default();
            for entry in &entries {
                changes.record(entry, &user.user_id, &user.rooms, waiter.since);
            }
            let answer = read.clone().and_then(|()| self.try_answer(moment, &waiter, &changes));
            match answer {
                Ok(None) => self.waiters.advance(id, moment.position, moment.memory.token()),
                Ok(Some(effect)) => {
                    self.remove(id);
                    effects.push(effect);
                }
                Err(error) => {
                    self.remove(id);
                    effects.push(Effect::Reply { id, response: ApiError::from(error).response() });
                }
            }
        }
        effects
    }

    fn log_out(&mut self, user_id: &UserId, device_id: Option<&DeviceId>) -> Vec<Effect> {
        let Some(slot) = self.active.slot(user_id) else { return Vec::new() };
        let gone = |waiter: &Waiter| device_id.is_none_or(|device| waiter.request.requester().device_id == *device);
        let ids = self.active.user(slot).waiting.clone();
        let ids: Vec<RequestId> = ids.into_iter().filter(|id| self.waiters.get(*id).is_some_and(gone)).collect();
        if let Some(device_id) = device_id {
            self.active.user_mut(slot).forget_device(device_id);
        }
        let error = ApiError::new(401, "M_UNKNOWN_TOKEN", "You were logged out").with("soft_logout", false);
        ids.into_iter()
            .filter_map(|id| self.remove(id))
            .map(|waiter| Effect::Reply { id: waiter.request.id, response: error.response() })
            .collect()
    }

    fn drop_user(&mut self, user_id: &UserId) -> Vec<Effect> {
        let Some(slot) = self.active.slot(user_id) else { return Vec::new() };
        let ids = self.active.user(slot).waiting.clone();
        let waiters: Vec<Waiter> = ids.into_iter().filter_map(|id| self.remove(id)).collect();
        self.active.remove(slot);
        let error = ApiError::internal("The server could not read its storage");
        waiters.iter().map(|waiter| Effect::Reply { id: waiter.request.id, response: error.response() }).collect()
    }

    /// The client of a request is gone.
    pub fn hangup(&mut self, id: RequestId) {
        self.remove(id);
    }

    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.waiters.first().map(|(deadline, _)| deadline)
    }

    /// Answers those whose time is over. Nothing up to `position` was news to them, so they need not look there again.
    pub fn wake(&mut self, moment: Moment<'_>) -> Vec<Effect> {
        let Moment { context, position, memory } = moment;
        let mut effects = Vec::new();
        while let Some((deadline, id)) = self.waiters.first()
            && deadline <= context.now
        {
            if let Some(waiter) = self.remove(id) {
                let waiter = Waiter { since: position, ephemeral: memory.token(), ..waiter };
                effects.push(nothing(context.read, &waiter));
            }
        }
        effects
    }

    /// Syncs that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }
}

/// The empty answer of a sync: where to go on.
fn nothing(read: &dyn Read, waiter: &Waiter) -> Effect {
    let token = StreamToken { position: waiter.since, ephemeral: waiter.ephemeral, to_device: None };
    let response = match answer::nothing(read, waiter.request.requester(), token) {
        Ok(body) => Response::json_bytes(200, body.into()),
        Err(error) => ApiError::from(error).response(),
    };
    Effect::Reply { id: waiter.request.id, response }
}

/// Whether an answer may cost more than the core's thread should give to one request: very many rooms, or the whole state
/// of a large one.
fn is_heavy(
    context: &QueryContext<'_>,
    waiter: &Waiter,
    changes: &Changes,
    rooms: &UserRooms,
) -> Result<bool, StorageError> {
    if changes.rooms.len() > MAX_INLINE_ROOMS {
        return Ok(true);
    }
    if waiter.asked.filter.room.state.lazy_load_members {
        return Ok(false);
    }
    let is_new = |num: &RoomNum| rooms.0.get(num).is_some_and(|row| row.joined_at.is_some_and(|at| at > waiter.since));
    let mut members = 0;
    for num in changes.rooms.keys().filter(|num| is_new(num)) {
        members += HEAD.get(context.read, *num, ())?.map_or(0, |head| head.joined);
    }
    Ok(members > MAX_INLINE_STATE)
}
