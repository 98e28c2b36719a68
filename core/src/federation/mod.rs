//! Talking with other servers (Server-Server API): who they are, where they are, what is asked of them and what is sent to them.
//! What they ask of this server is [`crate::server_server`].

pub mod again;
pub mod backfill;
pub mod check;
pub mod claim_keys;
pub mod discovery;
pub mod hierarchy;
pub mod handshake;
pub mod invite;
pub mod join;
mod join_answer;
pub mod knock;
pub mod leave;
mod fetch_events;
mod fetch_state;
pub mod fill_holes;
mod missing_events;
pub mod outgoing;
pub mod partings;
pub mod policy_sign;
pub mod public_rooms;
pub mod query_alias;
pub mod query_keys;
pub mod query_profile;
pub mod receive_pdu;
pub mod remote_summary;
pub mod remote_server;
pub mod request_auth;
pub mod server_keys;
pub mod third_party_invite;
pub mod x_matrix;
pub mod edus;
pub mod relay;
mod room_servers;
pub mod timestamp_to_event;
mod transaction;
mod catch_up;
pub mod destination;
pub mod destinations;

#[cfg(test)]
mod tests;
