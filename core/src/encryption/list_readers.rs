//! Other servers that have asked for a user's device list although, as far as is known here, they share no room with the user: they
//! may have heard of a join before this server has. What changes until it hears of it is told to them too, or they would never know
//! (Server-Server API, "Device Management").

use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::flow::Step;
use crate::identifiers::{ServerName, UserId};
use crate::limits::{LIST_READER_MEMORY, MAX_LIST_READERS};
use crate::store::tables::{Table, tags};
use crate::store::{Order, Read, StorageError};
use crate::time::Timestamp;

/// When it asked.
const READERS: Table<(UserId, ServerName), Timestamp> = Table::new(tags::LIST_READER);

fn all(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Vec<(Timestamp, ServerName)>, StorageError> {
    let mut readers = Vec::new();
    READERS.scan::<StorageError>(read, (user_id,), Order::Ascending, |(_, server), asked| {
        readers.push((asked, server));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(readers)
}

/// Notes that a server has asked. Of too many the one is forgotten that asked first.
pub fn note(step: &mut Step<'_>, user_id: &UserId, server: &ServerName) -> Result<(), StorageError> {
    let readers = all(step, user_id)?;
    let is_new = readers.iter().all(|(_, reader)| reader != server);
    if is_new
        && readers.len() >= MAX_LIST_READERS
        && let Some((_, first)) = readers.iter().min()
    {
        READERS.delete(step, (user_id, first));
    }
    let now = step.now;
    READERS.put(step, (user_id, server), &now);
    Ok(())
}

/// Those who asked lately. The others are forgotten.
pub fn recent(step: &mut Step<'_>, user_id: &UserId) -> Result<Vec<ServerName>, StorageError> {
    let mut recent = Vec::new();
    for (asked, server) in all(step, user_id)? {
        if step.now < asked + LIST_READER_MEMORY {
            recent.push(server);
        } else {
            READERS.delete(step, (user_id, &server));
        }
    }
    Ok(recent)
}
