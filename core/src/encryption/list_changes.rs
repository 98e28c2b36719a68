//! Local users whose devices or cross-signing keys changed lately. Another server may hear late that a user is out of the only room
//! that both were in, or have been in a room before that was known here: a change in between is told to it by nobody, and it takes what
//! it knows for current. So whoever comes into a room is told of those there who changed something (Server-Server API, "Device
//! Management").

use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::flow::Step;
use crate::identifiers::UserId;
use crate::limits::LIST_CHANGE_MEMORY;
use crate::store::tables::{Table, tags};
use crate::store::{Order, StorageError};
use crate::time::Timestamp;

/// When the last change was.
const CHANGES: Table<UserId, Timestamp> = Table::new(tags::LIST_CHANGE);

/// Notes that a user's devices or keys have changed now.
pub fn note(step: &mut Step<'_>, user_id: &UserId) {
    let now = step.now;
    CHANGES.put(step, user_id, &now);
}

/// Those who changed something lately. The others are forgotten.
pub fn recent(step: &mut Step<'_>) -> Result<Vec<UserId>, StorageError> {
    let (mut recent, mut old) = (Vec::new(), Vec::new());
    let now = step.now;
    CHANGES.scan::<StorageError>(step, (), Order::Ascending, |user_id, changed| {
        if now < changed + LIST_CHANGE_MEMORY {
            recent.push(user_id)
        } else {
            old.push(user_id)
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for user_id in old {
        CHANGES.delete(step, &user_id);
    }
    Ok(recent)
}
