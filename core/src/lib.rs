//! Orrery's core: the Matrix protocol and the whole behaviour of a homeserver, as a deterministic, sans-IO state machine.
//!
//! Nothing here reads a clock, a file, a socket or an entropy source: see [`Homeserver`] for the boundary and
//! `ARCHITECTURE.md` for the map. Modules are listed in the order in which they may import each other: a module uses
//! those above it and none below (`core/tests/tidy.rs` checks it).
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod time;
pub mod limits;
pub mod canonical_json;
pub mod identifiers;
pub mod http;
pub mod error;
pub mod random;
pub mod signing;
pub mod effect;
pub mod input;
pub mod config;
pub mod compute;
pub mod store;
pub mod room_version;
pub mod event;
pub mod auth_rules;
pub mod state_res;
pub mod flow;
pub mod room;
pub mod encryption;
pub mod federation;
pub mod client;
pub mod server_server;
pub mod router;
pub mod query;
pub mod recording;
pub mod homeserver;
#[cfg(test)]
mod testing;

pub use homeserver::{Homeserver, StartError};
