//! Data: the snapshot that the host provides, what is committed on top of it but not yet durable, and one step's own writes.

pub mod codec;
mod overlay;
mod read;
pub mod tables;

pub use codec::{Decode, Key, KeyReader, Record};
pub use overlay::Overlay;
pub use read::{Order, Read, Storage, StorageError, Visit};

#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod tests;
