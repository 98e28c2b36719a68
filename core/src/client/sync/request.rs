//! The parameters of a sync.

use core::cmp::min;
use core::time::Duration;

use super::super::filter::Filter;
use super::super::filters;
use super::super::presence::PresenceState;
use super::super::request::{ClientRequest, QueryContext};
use super::super::token::StreamToken;
use crate::error::ApiError;
use crate::limits::MAX_SYNC_TIMEOUT;
use crate::store::tables::Position;

/// A sync, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    pub since: Option<StreamToken>,
    pub filter: Filter,
    pub full_state: bool,
    pub timeout: Duration,
    pub set_presence: PresenceState,
    pub state: StateSection,
}

/// Which state goes with a timeline, and under which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateSection {
    /// `state`: at the start of the timeline.
    Before,
    /// `state_after`: at its end.
    After,
    /// The same for clients that know it from its proposal only.
    AfterUnstable,
}

impl StateSection {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StateSection::Before => "state",
            StateSection::After => "state_after",
            StateSection::AfterUnstable => "org.matrix.msc4222.state_after",
        }
    }
}

impl SyncRequest {
    /// Reads a request to a server that has come to `now`.
    pub fn parse(context: &QueryContext<'_>, request: &ClientRequest, now: Position) -> Result<SyncRequest, ApiError> {
        let since = request.query("since").map(|since| StreamToken::require(context.read, since, now)).transpose()?;
        let filter = match request.query("filter") {
            None => Filter::default(),
            Some(text) => filters::of_query(context.read, request.user_id(), text)?,
        };
        let state = if request.query_bool("use_state_after")? == Some(true) {
            StateSection::After
        } else if request.query_bool("org.matrix.msc4222.use_state_after")? == Some(true) {
            StateSection::AfterUnstable
        } else {
            StateSection::Before
        };
        let set_presence = match request.query("set_presence") {
            None => PresenceState::Online,
            Some(name) => PresenceState::parse(name)
                .ok_or_else(|| ApiError::invalid_param("set_presence is not online, offline or unavailable"))?,
        };
        let timeout = Duration::from_millis(request.query_integer("timeout")?.unwrap_or(0));
        Ok(SyncRequest {
            since,
            filter,
            full_state: request.query_bool("full_state")?.unwrap_or(false),
            timeout: min(timeout, MAX_SYNC_TIMEOUT),
            set_presence,
            state,
        })
    }

    /// Whether the answer goes out even if there is nothing in it.
    #[must_use]
    pub fn is_immediate(&self) -> bool {
        self.since.is_none() || self.full_state || self.timeout.is_zero()
    }
}
