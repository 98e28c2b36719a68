//! Rooms: what is stored of them, how an event becomes part of one, and what a user may see.

pub mod reason;
pub mod tables;
mod packing;
pub mod stored_event;
pub mod state;
pub mod membership;
pub mod timeline;
pub mod timestamp;
pub mod history_visibility;
pub mod server_acl;
pub mod server_visibility;
pub mod receipts;
pub mod relation;
pub mod extremities;
mod redaction;
mod resolution;
mod arrival;
pub mod servers;
pub mod policy_server;
pub mod append;
pub mod receive;
pub mod explain;
pub mod outside;
pub mod restricted_join;
pub mod stripped_state;
pub mod install;

pub use append::{Appended, Draft};
pub use reason::{JudgedOn, Reason};
pub use state::Room;
pub use stored_event::{Standing, StoredEvent};
pub use tables::EventIndex;
