//! The state that goes with invites and knocks (Client-Server API, "Stripped state"): between servers as whole events.

use alloc::vec::Vec;

use super::{Room, StoredEvent};
use crate::event::STRIPPED_STATE;
use crate::identifiers::UserId;
use crate::store::state_map::StateId;
use crate::store::{Read, StorageError};

/// The events of the state `at` that tell somebody what the room is; with the member event of `inviter`, so that they are shown
/// with their name and face.
pub fn stripped_state(
    read: &(impl Read + ?Sized),
    room: &Room,
    at: StateId,
    inviter: Option<&UserId>,
) -> Result<Vec<StoredEvent>, StorageError> {
    let mut state = Vec::with_capacity(STRIPPED_STATE.len() + 2);
    for kind in STRIPPED_STATE {
        state.extend(room.state_event(read, at, kind, "")?);
    }
    if let Some(inviter) = inviter {
        state.extend(room.state_event(read, at, "m.room.member", inviter)?);
    }
    Ok(state)
}
