//! The disk. A commit becomes durable in the [`journal`]; the [`database`] takes the journal over many commits at a time;
//! what is in the one and not yet in the other is kept in memory ([`memtable`]), and a [`Snapshot`] reads all of it as one.
//!
//! Why not write each commit to the database: a message changes seven rows that lie far apart, and a B-tree writes a page
//! for each and the path above it. Measured with 32 rooms on two cores: 96 kB and 344 us of CPU a message alone, 38 kB and
//! 111 us sixteen together. Through the journal it is 3.5 kB and 18 us sixteen together, database included.

mod checkpoint;
pub mod database;
pub mod journal;
pub mod memtable;
mod snapshot;
mod store;

pub use snapshot::{Shared, Snapshot};
pub use store::{OpenError, Options, Store, WriteError};

#[cfg(test)]
mod tests;
