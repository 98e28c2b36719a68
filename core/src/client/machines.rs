//! The machines: what lives in memory and reacts to many inputs.

use alloc::vec::Vec;

use super::presence::Presence;
use super::rate_limit::RateLimiter;
use super::request::{ClientRequest, Limit, QueryContext};
use super::typing::Typing;
use crate::effect::Effect;
use crate::error::ApiError;
use crate::flow::Notice;
use crate::input::RequestId;
use crate::store::tables::Position;
use crate::time::Timestamp;

/// Every machine of the client API. Lost in a crash, and nothing that anyone was promised with it.
#[derive(Debug)]
pub struct Machines {
    rate_limiter: RateLimiter,
    pub(super) typing: Typing,
    pub(super) presence: Presence,
}

impl Machines {
    /// `boot` numbers this life of the server.
    #[must_use]
    pub fn new(_boot: u32, _seed: &[u8; 32]) -> Machines {
        Machines { rate_limiter: RateLimiter::default(), typing: Typing::default(), presence: Presence::default() }
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

    /// `/sync`: answers now or keeps the request until there is something to say.
    pub fn sync(&mut self, _context: &QueryContext<'_>, _position: Position, request: ClientRequest) -> Vec<Effect> {
        alloc::vec![Effect::Reply { id: request.id, response: ApiError::unrecognized(404).response() }]
    }

    /// A step was committed.
    pub fn committed(&mut self, context: &QueryContext<'_>, _position: Position, notices: &[Notice]) -> Vec<Effect> {
        for notice in notices {
            match notice {
                Notice::Membership { user_id, room, joined: false } => {
                    self.typing.set(*room, user_id, None);
                }
                Notice::LoggedOut { user_id, device_id } => {
                    self.presence.logged_out(user_id, device_id.as_ref(), context.now);
                }
                Notice::Profile(user_id) => self.presence.profile_changed(user_id),
                Notice::Membership { .. }
                | Notice::Room(_)
                | Notice::User(_)
                | Notice::Typing(_)
                | Notice::Presence => {}
            }
        }
        Vec::new()
    }

    /// The client of a request is gone.
    pub fn hangup(&mut self, _id: RequestId) {}

    /// When [`Machines::wake`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.typing.next_deadline(), self.presence.next_deadline()].into_iter().flatten().min()
    }

    /// The time has come.
    pub fn wake(&mut self, context: &QueryContext<'_>, _position: Position) -> Vec<Effect> {
        self.typing.expire(context.now);
        self.presence.expire(context.now);
        Vec::new()
    }
}
