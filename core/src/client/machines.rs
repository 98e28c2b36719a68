//! The machines: what lives in memory and reacts to many inputs.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::last_seen::LastSeen;
use super::presence::Presence;
use super::rate_limit::RateLimiter;
use super::request::{ClientRequest, Limit, QueryContext};
use super::sync::machine::{Moment, SyncMachine};
use super::sync::memory::Memory;
use super::sync::request::SyncRequest;
use super::told_servers::ToldServers;
use super::typing::Typing;
use crate::effect::Effect;
use crate::error::ApiError;
use crate::federation::destinations::Destinations;
use crate::flow::Notice;
use crate::identifiers::{ServerName, UserId};
use crate::input::RequestId;
use crate::limits::REMOTE_TYPING_TIMEOUT;
use crate::store::tables::{Position, RoomNum};
use crate::time::Timestamp;

/// Every machine of the client API. Lost in a crash, and nothing that anyone was promised with it.
#[derive(Debug)]
pub struct Machines {
    rate_limiter: RateLimiter,
    pub(crate) last_seen: LastSeen,
    pub(super) typing: Typing,
    pub(super) presence: Presence,
    sync: SyncMachine,
    told_servers: ToldServers,
    /// Who has come into which room, of which their servers are to be told.
    joined: Vec<(UserId, RoomNum)>,
    came_in: Vec<(ServerName, RoomNum, bool)>,
    boot: u32,
}

impl Machines {
    /// `boot` numbers this life of the server.
    #[must_use]
    pub fn new(boot: u32, _seed: &[u8; 32]) -> Machines {
        Machines {
            rate_limiter: RateLimiter::default(),
            last_seen: LastSeen::default(),
            typing: Typing::default(),
            presence: Presence::default(),
            sync: SyncMachine::default(),
            joined: Vec::new(),
            came_in: Vec::new(),
            told_servers: ToldServers::default(),
            boot,
        }
    }

    /// Counts a request against its rate limit, and takes note of who is active.
    pub fn limit(&mut self, limit: Limit, request: &ClientRequest, context: &QueryContext<'_>) -> Result<(), ApiError> {
        self.rate_limiter.count(&context.config.rate_limits, context.now, limit, request)?;
        if let Some(requester) = request.requester.as_ref().filter(|_| limit == Limit::Message)
            && context.config.presence
        {
            let device = (&requester.user_id, &requester.device_id);
            self.presence.active(context.read, device, context.now)?;
        }
        Ok(())
    }

    /// The syncs that wait for news.
    #[must_use]
    pub fn waiting_syncs(&self) -> usize {
        self.sync.waiting()
    }

    /// `/sync`: answers now or keeps the request until there is something to say.
    pub fn sync(&mut self, context: &QueryContext<'_>, position: Position, request: ClientRequest) -> Vec<Effect> {
        let id = request.id;
        let failed = |error: ApiError| alloc::vec![Effect::Reply { id, response: error.response() }];
        let asked = match SyncRequest::parse(context, &request, position) {
            Ok(asked) => asked,
            Err(error) => return failed(error),
        };
        if context.config.presence {
            let requester = request.requester();
            let device = (&requester.user_id, &requester.device_id);
            let until = context.now + asked.timeout;
            if let Err(error) = self.presence.connected(context.read, device, context.now, asked.set_presence, until) {
                return failed(error.into());
            }
        }
        let (sync, moment) = self.moment(context, position);
        let mut effects = sync.sync(moment, request, asked).unwrap_or_else(failed);
        effects.extend(sync.tell_presence(moment));
        effects
    }

    /// The sync machine, and what it sees at this moment.
    fn moment<'m>(
        &'m mut self,
        context: &'m QueryContext<'m>,
        position: Position,
    ) -> (&'m mut SyncMachine, Moment<'m>) {
        let memory = Memory { boot: self.boot, typing: &self.typing, presence: &self.presence };
        (&mut self.sync, Moment { context, position, memory })
    }

    /// A step was committed.
    pub fn committed(&mut self, context: &QueryContext<'_>, position: Position, notices: &[Notice]) -> Vec<Effect> {
        let mut typing_changed = BTreeSet::new();
        for notice in notices {
            match notice {
                Notice::Membership { user_id, room, joined: false } => {
                    self.typing.set(*room, user_id, None);
                }
                Notice::Membership { user_id, room, joined: true } => self.joined.push((user_id.clone(), *room)),
                Notice::CameIn { server, room, joins } => self.came_in.push((server.clone(), *room, *joins)),
                Notice::LoggedOut { user_id, device_id } => {
                    self.presence.logged_out(user_id, device_id.as_ref(), context.now);
                }
                Notice::Profile(user_id) => self.presence.profile_changed(user_id),
                Notice::RemoteTyping { room, user_id, typing } => {
                    let until = typing.then(|| context.now + REMOTE_TYPING_TIMEOUT);
                    if self.typing.set(*room, user_id, until) {
                        typing_changed.insert(*room);
                    }
                }
                Notice::RemotePresence { user_id, update } if context.config.presence => {
                    // One that cannot be followed is as if it had been lost on the way.
                    let _ = self.presence.set_remote(context.read, user_id, context.now, update);
                }
                Notice::RemotePresence { .. } => {}
                Notice::Room(_)
                | Notice::Read { .. }
                | Notice::Redacted(_)
                | Notice::PushRules(_)
                | Notice::Foreign(_)
                | Notice::User(_)
                | Notice::DeviceList(_)
                | Notice::Typing(_)
                | Notice::Presence
                | Notice::Servers(_)
                | Notice::QueuedEdu(_)
                | Notice::ServerIsUp(_) => {}
            }
        }
        let (sync, moment) = self.moment(context, position);
        let mut effects = sync.committed(moment, notices);
        effects.extend(sync.tell_rooms(moment, &typing_changed));
        effects.extend(sync.tell_presence(moment));
        effects
    }

    /// Tells other servers what has changed of the moment.
    pub fn tell_servers(&mut self, context: &QueryContext<'_>, destinations: &mut Destinations) {
        self.told_servers.tell(context, (&self.typing, &self.presence), destinations);
    }

    /// The local users who are joined since this was last asked, or whose membership was repeated.
    pub fn take_joined(&mut self) -> Vec<(UserId, RoomNum)> {
        core::mem::take(&mut self.joined)
    }

    /// Which servers have come into which rooms since this was last asked, and whether by a join.
    pub fn take_came_in(&mut self) -> Vec<(ServerName, RoomNum, bool)> {
        core::mem::take(&mut self.came_in)
    }

    /// The client of a request is gone.
    pub fn hangup(&mut self, id: RequestId) {
        self.sync.hangup(id);
    }

    /// When [`Machines::wake`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.typing.next_deadline(),
            self.presence.next_deadline(),
            self.sync.next_deadline(),
            self.told_servers.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The time has come.
    pub fn wake(&mut self, context: &QueryContext<'_>, position: Position) -> Vec<Effect> {
        let no_longer_typing = self.typing.expire(context.now);
        self.presence.expire(context.now);
        let (sync, moment) = self.moment(context, position);
        let mut effects = sync.tell_rooms(moment, &no_longer_typing);
        effects.extend(sync.tell_presence(moment));
        effects.extend(sync.wake(moment));
        effects
    }
}
