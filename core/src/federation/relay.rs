//! Which events this server sends to others: those of its own users, and those that it brought into a room for another server
//! (Server-Server API, "Joining Rooms": "The resident server must also send the event to other servers participating in the room").

use crate::event::content::Membership;
use crate::flow::Step;
use crate::identifiers::{ServerName, UserId};
use crate::room::history_visibility::membership_in;
use crate::room::{EventIndex, Standing, StoredEvent};
use crate::store::StorageError;
use crate::store::tables::{RoomNum, RoomTable, room_tags};

const RELAYED: RoomTable<EventIndex, ()> = RoomTable::new(room_tags::RELAYED);

/// Marks an event of another server that this server is to send to the others in the room: one that came with `send_join`,
/// `send_leave` or `send_knock`. In the step that stores the event.
pub fn relay(step: &mut Step<'_>, room: RoomNum, index: EventIndex) {
    RELAYED.put(step, room, index, &());
}

/// Whether this server sends an event of another server to others.
pub(super) fn is_relayed(step: &Step<'_>, room: RoomNum, index: EventIndex) -> Result<bool, StorageError> {
    RELAYED.contains(step, room, index)
}

/// Whether this server sends the event to others.
pub(super) fn is_ours(step: &Step<'_>, room: RoomNum, event: &StoredEvent) -> Result<bool, StorageError> {
    let is_local = event.header.sender.server_str() == step.config.server_name.as_str();
    let is_ours = is_local || is_relayed(step, room, event.index)?;
    Ok(is_ours && event.header.standing == Standing::Accepted)
}

/// The server whose user an event puts out of the room, or whose invite or knock it takes back. That server may not be in the
/// room any more, and is to know.
pub(super) fn puts_out_user_of(event: &StoredEvent) -> Option<ServerName> {
    if event.header.kind != "m.room.member" {
        return None;
    }
    let user_id = UserId::parse(event.header.state_key.as_deref()?).ok()?;
    matches!(membership_in(event)?, Membership::Leave | Membership::Ban).then(|| user_id.server_name())
}
