//! The machines: what lives in memory and reacts to many inputs.

use alloc::vec::Vec;

use super::request::{ClientRequest, Limit, QueryContext};
use crate::effect::Effect;
use crate::error::ApiError;
use crate::flow::Notice;
use crate::input::RequestId;
use crate::store::tables::Position;
use crate::time::Timestamp;

/// Every machine of the client API. Lost in a crash, and nothing that anyone was promised with it.
#[derive(Debug)]
pub struct Machines {}

impl Machines {
    /// `boot` numbers this life of the server.
    #[must_use]
    pub fn new(_boot: u32, _seed: &[u8; 32]) -> Machines {
        Machines {}
    }

    /// Counts a request against its rate limit.
    pub fn limit(
        &mut self,
        _limit: Limit,
        _request: &ClientRequest,
        _context: &QueryContext<'_>,
    ) -> Result<(), ApiError> {
        Ok(())
    }

    /// `/sync`: answers now or keeps the request until there is something to say.
    pub fn sync(&mut self, _context: &QueryContext<'_>, _position: Position, request: ClientRequest) -> Vec<Effect> {
        alloc::vec![Effect::Reply { id: request.id, response: ApiError::unrecognized(404).response() }]
    }

    /// A step was committed.
    pub fn committed(&mut self, _context: &QueryContext<'_>, _position: Position, _notices: &[Notice]) -> Vec<Effect> {
        Vec::new()
    }

    /// The client of a request is gone.
    pub fn hangup(&mut self, _id: RequestId) {}

    /// When [`Machines::wake`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    /// The time has come.
    pub fn wake(&mut self, _context: &QueryContext<'_>, _position: Position) -> Vec<Effect> {
        Vec::new()
    }
}
