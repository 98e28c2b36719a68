//! The servers that take part in a room: those with joined members. Events are sent to them.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::state::Room;
use super::tables::SERVERS;
use crate::flow::Step;
use crate::identifiers::ServerName;
use crate::store::tables::RoomNum;
use crate::store::{Order, Read, StorageError};

/// The servers with joined members in the room's current state, this one too if it has any.
pub fn servers_in(read: &(impl Read + ?Sized), room: &Room) -> Result<Vec<ServerName>, StorageError> {
    let mut servers = Vec::new();
    SERVERS.scan::<StorageError>(read, room.num, (), Order::Ascending, |server, _| {
        servers.push(server);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(servers)
}

/// Whether a server has a joined member in the room's current state.
pub fn is_in(read: &(impl Read + ?Sized), room: &Room, server: &ServerName) -> Result<bool, StorageError> {
    Ok(SERVERS.get(read, room.num, server)?.is_some())
}

/// Counts a user of `server` who has joined, or is no longer joined.
pub(super) fn count(step: &mut Step<'_>, room: RoomNum, server: &ServerName, joined: bool) -> Result<(), StorageError> {
    let members = SERVERS.get(step, room, server)?.unwrap_or(0);
    match (joined, members) {
        (true, members) => SERVERS.put(step, room, server, &(members + 1)),
        (false, 0 | 1) => SERVERS.delete(step, room, server),
        (false, members) => SERVERS.put(step, room, server, &(members - 1)),
    }
    Ok(())
}
