//! The servers that take part in a room: those with joined members. Events are sent to them.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::state::Room;
use super::tables::{SERVERS, ServerInRoom};
use crate::flow::Step;
use crate::identifiers::ServerName;
use crate::store::tables::{Position, RoomNum};
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

/// The same, and since when each is in the room: what is older is not sent to it.
pub fn servers_since(read: &(impl Read + ?Sized), room: RoomNum) -> Result<Vec<(ServerName, Position)>, StorageError> {
    let mut servers = Vec::new();
    SERVERS.scan::<StorageError>(read, room, (), Order::Ascending, |server, row| {
        servers.push((server, row.since));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(servers)
}

/// Since when a server is in the room, if it is.
pub fn since(read: &(impl Read + ?Sized), room: &Room, server: &ServerName) -> Result<Option<Position>, StorageError> {
    Ok(SERVERS.get(read, room.num, server)?.map(|row| row.since))
}

/// Whether a server has a joined member in the room's current state.
pub fn is_in(read: &(impl Read + ?Sized), room: &Room, server: &ServerName) -> Result<bool, StorageError> {
    Ok(SERVERS.get(read, room.num, server)?.is_some())
}

/// Counts a user of `server` who has joined, or is no longer joined. `true` if that brings the server into the room, or takes it
/// out.
pub(super) fn count(
    step: &mut Step<'_>,
    room: RoomNum,
    server: &ServerName,
    joined: bool,
) -> Result<bool, StorageError> {
    let row = SERVERS.get(step, room, server)?;
    let members = row.as_ref().map_or(0, |row| row.members);
    let since = row.map_or(step.position(), |row| row.since);
    match (joined, members) {
        (true, members) => SERVERS.put(step, room, server, &ServerInRoom { members: members + 1, since }),
        (false, 0 | 1) => SERVERS.delete(step, room, server),
        (false, members) => SERVERS.put(step, room, server, &ServerInRoom { members: members - 1, since }),
    }
    Ok(members == 0 || !joined && members == 1)
}
