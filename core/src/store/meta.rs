//! What the store says of itself: its schema, whose it is, how often it was opened.

use serde::{Deserialize, Serialize};

use super::read::{Read, StorageError};
use super::tables::{SCHEMA, Table, Write, tags};
use crate::identifiers::ServerName;
use crate::time::Timestamp;

/// The one row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// First, and of fixed meaning in every version.
    pub schema: u32,
    pub server_name: ServerName,
    /// The number of the last start ([`boot_after`]); part of every sync token, since what lives in memory begins anew with each.
    pub boots: u32,
}

const META: Table<(), Meta> = Table::new(tags::META);
/// The same row, of which only the schema is read.
const SCHEMA_ONLY: Table<(), (u32,)> = Table::new(tags::META);

/// What keeps a store from being opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    Storage(StorageError),
    Schema { found: u32 },
    ServerName { found: ServerName },
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> OpenError {
        OpenError::Storage(error)
    }
}

/// The number of a start after so many others. Starts that the store has lost, because it is an older one, have another number, as long
/// as they were in another second.
#[must_use]
pub fn boot_after(boots: u32, now: Timestamp) -> u32 {
    let seconds = u32::try_from(now.0 / 1000).unwrap_or(u32::MAX);
    if boots == 0 { 1 } else { seconds.max(boots.saturating_add(1)) }
}

/// The number of the last start; zero for a new store.
pub fn open(read: &dyn Read, server_name: &ServerName) -> Result<u32, OpenError> {
    let Some((schema,)) = SCHEMA_ONLY.get(read, ())? else { return Ok(0) };
    if schema != SCHEMA {
        return Err(OpenError::Schema { found: schema });
    }
    let meta = META.get(read, ())?.ok_or_else(|| StorageError("the meta row is gone".into()))?;
    if meta.server_name != *server_name {
        return Err(OpenError::ServerName { found: meta.server_name });
    }
    Ok(meta.boots)
}

/// Records a start.
pub fn record_boot(write: &mut dyn Write, server_name: &ServerName, boots: u32) {
    META.put(write, (), &Meta { schema: SCHEMA, server_name: server_name.clone(), boots });
}
