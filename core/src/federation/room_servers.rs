//! Which other servers are in the rooms that events come from: read once, and kept until a membership changes.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;

use crate::identifiers::ServerName;
use crate::limits::MAX_ROOMS_WITH_SERVERS;
use crate::room::servers;
use crate::store::tables::{Position, RoomNum};
use crate::store::{Read, StorageError};

/// The rooms that were asked about. Beyond [`MAX_ROOMS_WITH_SERVERS`] all are forgotten and read again.
#[derive(Debug, Default)]
pub(super) struct RoomServers(BTreeMap<RoomNum, Others>);

/// Other servers, and since when they are in the room.
pub(super) type Others = Rc<[(ServerName, Position)]>;

impl RoomServers {
    /// Whether it is known that no other server is in the room.
    pub fn is_local(&self, room: RoomNum) -> bool {
        self.0.get(&room).is_some_and(|servers| servers.is_empty())
    }

    /// The other servers in the room.
    pub fn of(&mut self, read: &dyn Read, own: &ServerName, room: RoomNum) -> Result<Others, StorageError> {
        if let Some(servers) = self.0.get(&room) {
            return Ok(servers.clone());
        }
        let found: Others =
            servers::servers_since(read, room)?.into_iter().filter(|(server, _)| server != own).collect();
        if self.0.len() >= MAX_ROOMS_WITH_SERVERS {
            self.0.clear();
        }
        self.0.insert(room, found.clone());
        Ok(found)
    }

    /// Who is in the room has changed.
    pub fn forget(&mut self, room: RoomNum) {
        self.0.remove(&room);
    }
}
