//! Data: the snapshot that the host provides, what is committed on top of it but not yet durable, and one step's own writes.

pub mod codec;
mod overlay;
mod read;
pub mod state_map;
pub mod tables;
pub mod log;
pub mod auth_chain;
pub mod meta;
pub mod ring;

pub use codec::{Decode, Key, KeyReader, Record};
pub use overlay::Overlay;
pub(crate) use overlay::{Writes, layered_get, scan_writes};
pub use read::{Order, Read, Storage, StorageError, Visit};

#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod tests;
