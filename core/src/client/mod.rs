//! The Client-Server API.

pub mod token;
pub mod request;
pub mod filter;
pub mod rate_limit;
pub mod last_seen;
pub mod machines;
pub mod discovery;
pub mod capabilities;
pub mod account;
pub mod profile;
pub mod push_rules;
pub mod account_data;
pub mod tags;
pub mod filters;
pub mod event_format;
pub mod json_writer;
pub mod transaction_id;
pub mod rooms;
pub mod every_room;
pub mod typing;
pub mod presence;
pub mod admin;
pub mod sync;
pub mod devices;
pub mod openid;
pub mod routes;
