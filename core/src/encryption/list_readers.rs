//! Other servers that have asked for a user's device list although, as far as is known here, they share no room with the user: they
//! may have heard of a join before this server has. What changes until it hears of it is told to them too, or they would never know
//! (Server-Server API, "Device Management").
//!
//! Any server may ask for any user, and again. So who asks again soon is not written down again, and all that is written is a ring: the
//! newest takes the place of the one that came longest ago.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::flow::Step;
use crate::identifiers::{ServerName, UserId};
use crate::limits::{LIST_READER_MEMORY, LIST_READER_PAUSE, MAX_LIST_READERS, MAX_LIST_READERS_OF_ALL};
use crate::store::ring::Ring;
use crate::store::tables::{Table, tags};
use crate::store::{Order, Read, StorageError};
use crate::time::Timestamp;

/// When it asked.
const READERS: Table<(UserId, ServerName), Timestamp> = Table::new(tags::LIST_READER);
/// The same rows as they were written, each at its place in the ring.
const SLOTS: Table<u32, (UserId, ServerName, Timestamp)> = Table::new(tags::LIST_READER_SLOT);
const RING: Ring = Ring::new(tags::LIST_READER_NEXT_SLOT, MAX_LIST_READERS_OF_ALL);

fn all(read: &(impl Read + ?Sized), user_id: &UserId) -> Result<Vec<(Timestamp, ServerName)>, StorageError> {
    let mut readers = Vec::new();
    READERS.scan::<StorageError>(read, (user_id,), Order::Ascending, |(_, server), asked| {
        readers.push((asked, server));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(readers)
}

/// Notes that a server has asked, unless it did a short while ago. Of too many the one is forgotten that asked first.
pub fn note(step: &mut Step<'_>, user_id: &UserId, server: &ServerName) -> Result<(), StorageError> {
    let now = step.now;
    let readers = all(step, user_id)?;
    match readers.iter().find(|(_, reader)| reader == server) {
        // A clock that was ahead when this was written has been set back since.
        Some((asked, _)) if *asked <= now && now < *asked + LIST_READER_PAUSE => return Ok(()),
        None if readers.len() >= MAX_LIST_READERS => {
            if let Some((_, first)) = readers.iter().min() {
                READERS.delete(step, (user_id, first));
            }
        }
        _ => {}
    }
    READERS.put(step, (user_id, server), &now);
    take_slot(step, (user_id.clone(), server.clone(), now))
}

/// Puts a row that has just been written into the ring. What it takes the place of is forgotten, unless it was written again since.
fn take_slot(step: &mut Step<'_>, row: (UserId, ServerName, Timestamp)) -> Result<(), StorageError> {
    if let (_, Some((user_id, server, asked))) = RING.put(step, &SLOTS, &row)?
        && READERS.get(step, (&user_id, &server))? == Some(asked)
    {
        READERS.delete(step, (&user_id, &server));
    }
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

#[cfg(test)]
mod tests;
