//! The authorization rules of every room version ("Authorisation rules" on each version's page): whether an event may be.
//!
//! An event is judged by [`check_auth_events`] once, on the auth events it cites, and by [`authorize`] on each state that
//! matters: that of its auth events, that before it and the room's current one (Server-Server API, "Checks performed on
//! receipt of a PDU"). Both name the rule that decided.
//!
//! The rules do not say that a room has one create event: one without previous events passes rule 1 at any time. Whoever puts
//! events into rooms sees to that.

mod auth_events;
mod authorize;
mod create;
mod legacy;
mod levels;
mod member;
mod power_levels;
mod rule;
mod select_auth_events;
mod state;
mod third_party_invite;
mod verdict;

pub use auth_events::{CitedEvent, check_auth_events};
pub use authorize::{allows, authorize, not_signed_by_authoriser};
pub use levels::{LevelField, PowerLevel, PowerLevels, read_level};
pub use rule::{Rule, RuleId, UnknownRule};
pub use select_auth_events::{AUTH_EVENT_KINDS, select_auth_events};
pub use state::{AuthState, StateView};
pub use verdict::Verdict;

#[cfg(test)]
mod tests;
