//! Events as servers exchange them (Server-Server API, "PDUs") and as clients see them (Client-Server API, "Events").

mod build;
mod client_event;
pub mod content;
mod essentials;
mod format;
mod members;
mod pdu;
mod policy_server;
mod received;
pub mod redaction;
mod stripped;

pub use build::{BuildError, NewEvent, ReferenceHashOf};
pub use client_event::{ClientEvent, Unsigned};
pub use essentials::{Essentials, Places};
pub use format::FormatError;
pub use pdu::Pdu;
pub use policy_server::{Consulted, POLICY_KEY_ID, PolicyServer, Question, Recommendation};
pub use received::ReceivedPdu;
pub use stripped::{STRIPPED_STATE, prune_stripped_state, write_stripped};

#[cfg(test)]
mod tests;
